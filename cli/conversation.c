#define _XOPEN_SOURCE 700

#include "conversation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/formats/json.h"
#include "mapped_file.h"
#include "output.h"

/* ---- turns ---- */

void conversation_free(conversation *c) {
  while (c->n_turns > 0) conversation_drop(c);
  free(c->turns);
  text_free(&c->system);
  *c = (conversation){.n_turns = 0};
}

bool conversation_add(conversation *c, const char *bytes, size_t size) {
  if (c->n_turns == c->capacity) {
    const size_t capacity = c->capacity > 0 ? 2 * c->capacity : 16;
    sotto_turn *turns = realloc(c->turns, capacity * sizeof *turns);
    if (turns == NULL) return false;
    c->turns = turns;
    c->capacity = capacity;
  }
  char *copy = malloc(size + 1);
  if (copy == NULL) return false;
  if (size > 0) memcpy(copy, bytes, size);
  copy[size] = '\0';
  c->turns[c->n_turns] = (sotto_turn){c->n_turns % 2 == 0 ? SOTTO_USER : SOTTO_MODEL, copy, size};
  c->n_turns++;
  return true;
}

void conversation_drop(conversation *c) {
  if (c->n_turns == 0) return;
  free((void *)c->turns[--c->n_turns].text);
  if (c->first >= c->n_turns) c->first = 0; /* what was left out comes back where there is room again */
}

bool conversation_awaits_answer(const conversation *c) { return c->n_turns % 2 == 1; }

/* ---- the file ---- */

static void put_message(text *out, const char *role, const char *bytes, size_t size, bool last) {
  text_format(out, "{\"role\":\"%s\",\"content\":", role);
  json_string(out, bytes, size);
  text_string(out, last ? "}\n" : "},\n");
}

bool conversation_save(const conversation *c, const char *path, const char *model) {
  text out = {0};
  text_string(&out, "{");
  if (model != NULL) {
    text_string(&out, "\"model\":");
    json_string(&out, model, strlen(model));
    text_string(&out, ",");
  }
  text_string(&out, "\"messages\":[\n");
  if (c->system.size > 0) put_message(&out, "system", c->system.data, c->system.size, c->n_turns == 0);
  for (size_t i = 0; i < c->n_turns; i++)
    put_message(&out, c->turns[i].role == SOTTO_USER ? "user" : "assistant", c->turns[i].text, c->turns[i].bytes,
                i + 1 == c->n_turns);
  text_string(&out, "]}\n");
  output file;
  errno = ENOMEM;
  bool ok = !out.failed && output_open(&file, path);
  if (ok) {
    ok = output_write(&file, out.data, out.size) && output_commit(&file);
    const int code = errno;
    output_discard(&file);
    errno = code;
  }
  text_free(&out);
  return ok;
}

/* The string of a message, for the caller to free; NULL: it is none, or there is no memory. */
static char *content_of(const json *j, uint32_t message, size_t *size) {
  const uint32_t content = json_get(j, message, "content");
  if (json_kind_of(j, content) != JSON_STRING) return NULL;
  *size = json_read_string(j, content, NULL, 0);
  char *bytes = malloc(*size + 1);
  if (bytes != NULL) json_read_string(j, content, bytes, *size);
  return bytes;
}

static bool is_role(const json *j, uint32_t message, int32_t role) {
  const uint32_t said = json_get(j, message, "role");
  switch (role) {
    case SOTTO_SYSTEM:
      return json_is(j, said, "system");
    case SOTTO_USER:
      return json_is(j, said, "user");
    default:
      return json_is(j, said, "assistant") || json_is(j, said, "model");
  }
}

static sotto_status take_message(conversation *c, const json *j, uint32_t message, size_t index, error *err) {
  size_t size;
  char *bytes = content_of(j, message, &size);
  sotto_status status = SOTTO_OK;
  if (bytes == NULL) {
    status = fail(err, SOTTO_ERR_FORMAT, "message %zu has no text as its \"content\"", index + 1);
  } else if (index == 0 && is_role(j, message, SOTTO_SYSTEM)) {
    text_bytes(&c->system, bytes, size);
  } else if (!is_role(j, message, conversation_awaits_answer(c) ? SOTTO_MODEL : SOTTO_USER)) {
    status = fail(err, SOTTO_ERR_FORMAT, "message %zu has to be the %s's: messages go by turns, \"user\" first",
                  index + 1, conversation_awaits_answer(c) ? "assistant" : "user");
  } else if (!conversation_add(c, bytes, size)) {
    status = fail(err, SOTTO_ERR_MEMORY, "out of memory");
  }
  free(bytes);
  return status;
}

static sotto_status read_messages(conversation *c, const mapped_file *f, error *err) {
  json *j;
  TRY(json_parse(&j, f->bytes, f->size, "the conversation", err));
  uint32_t messages = json_root(j);
  if (json_kind_of(j, messages) == JSON_OBJECT) messages = json_get(j, messages, "messages");
  sotto_status status = SOTTO_OK;
  if (json_kind_of(j, messages) != JSON_ARRAY)
    status = fail(err, SOTTO_ERR_FORMAT, "this is no conversation: it has no array of \"messages\"");
  size_t index = 0;
  for (json_walk w = json_children(j, messages); status == SOTTO_OK && json_next(&w); index++)
    status = take_message(c, j, w.value, index, err);
  json_close(j);
  return status;
}

bool conversation_load(conversation *c, const char *path, char *problem, size_t room) {
  error err = {.text = ""};
  mapped_file f;
  conversation loaded = {.n_turns = 0};
  bool ok = mapped_file_open(&f, path, &err);
  if (ok) {
    ok = read_messages(&loaded, &f, &err) == SOTTO_OK;
    mapped_file_close(&f);
  }
  if (ok) {
    conversation_free(c);
    *c = loaded;
  } else {
    conversation_free(&loaded);
    snprintf(problem, room, "%s", err.text);
  }
  return ok;
}
