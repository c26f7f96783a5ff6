/* See chat_template.h. One function writes a conversation, to a sink that takes marks and text: one sink counts and
 * copies characters, the other gathers the text between two marks and encodes it in one piece. */
#include "chat_template.h"

#include "unicode.h"

struct chat_template {
  const char *architecture;
  const char *bos, *begin, *end; /* marks: names of tokens */
  const char *user, *model;      /* names of roles */
};

static const chat_template templates[] = {
    {"gemma", "<bos>", "<start_of_turn>", "<end_of_turn>", "user", "model"},
    {"gemma2", "<bos>", "<start_of_turn>", "<end_of_turn>", "user", "model"},
    {"gemma3", "<bos>", "<start_of_turn>", "<end_of_turn>", "user", "model"},
    {"gemma3_text", "<bos>", "<start_of_turn>", "<end_of_turn>", "user", "model"},
};

const chat_template *chat_template_find(const char *architecture) {
  for (size_t i = 0; i < sizeof templates / sizeof *templates; i++)
    if (strcmp(templates[i].architecture, architecture) == 0) return &templates[i];
  return NULL;
}

int32_t chat_template_end_of_turn(const chat_template *t, const spm_vocab *v) {
  return spm_vocab_find(v, t->end, strlen(t->end));
}

/* ---- writing ---- */

typedef struct sink {
  const spm_vocab *v; /* NULL: text is wanted */
  id_list *ids;
  char *out; /* the text, or what of it was gathered since the last mark: [capacity] */
  size_t bytes, capacity;
  error *err;
} sink;

static void put_text(sink *s, const char *text, size_t bytes) {
  if (s->bytes < s->capacity && bytes > 0) memcpy(s->out + s->bytes, text, min_size(bytes, s->capacity - s->bytes));
  s->bytes += bytes;
}

static sotto_status flush(sink *s) {
  size_t bytes = s->bytes;
  s->bytes = 0;
  return bytes > 0 ? spm_encode(s->v, s->out, bytes, SPM_NO_DUMMY_SPACE, s->ids, s->err) : SOTTO_OK;
}

static sotto_status put_mark(sink *s, const char *name, int32_t id) {
  if (!s->v) {
    put_text(s, name, strlen(name));
    return SOTTO_OK;
  }
  TRY(flush(s));
  return id_list_add(s->ids, id, s->err);
}

static sotto_status check_order(const chat_turn *turns, size_t n_turns, unsigned flags, error *err) {
  size_t first = n_turns > 0 && turns[0].role == CHAT_SYSTEM;
  if (first && flags & CHAT_CONTINUE)
    return fail(err, SOTTO_ERR_ARGUMENT,
                "the system text comes before the first turn: begin a new conversation for another");
  if (n_turns == first) return fail(err, SOTTO_ERR_ARGUMENT, "a conversation needs a turn of the user: add one");
  for (size_t i = first; i < n_turns; i++) {
    chat_role due = (i - first) % 2 == 0 ? CHAT_USER : CHAT_MODEL;
    if (turns[i].role != due) {
      return fail(err, SOTTO_ERR_ARGUMENT,
                  "turn %zu is not the %s's: turns of user and model alternate, the user's first%s", i + 1,
                  due == CHAT_USER ? "user" : "model",
                  turns[i].role == CHAT_SYSTEM ? ", and system text comes before all" : "");
    }
  }
  if (flags & CHAT_REPLY && turns[n_turns - 1].role == CHAT_MODEL)
    return fail(err, SOTTO_ERR_ARGUMENT, "the last turn is the model's: a reply needs a turn of the user before it");
  return SOTTO_OK;
}

static sotto_status write_turns(const chat_template *t, sink *s, const chat_turn *turns, size_t n_turns,
                                unsigned flags) {
  int32_t bos = -1, begin = -1, end = -1;
  if (s->v) {
    bos = spm_vocab_settings(s->v)->bos;
    begin = spm_vocab_find(s->v, t->begin, strlen(t->begin));
    end = spm_vocab_find(s->v, t->end, strlen(t->end));
    if (begin < 0 || end < 0)
      return fail(s->err, SOTTO_ERR_UNSUPPORTED,
                  "the vocabulary has no %s: this model is not made for chat, give it raw text",
                  begin < 0 ? t->begin : t->end);
  }
  if (flags & CHAT_CONTINUE) {
    TRY(put_mark(s, t->end, end));
    put_text(s, "\n", 1);
  } else if (!s->v || bos >= 0) {
    TRY(put_mark(s, t->bos, bos));
  }
  const chat_turn *system = turns[0].role == CHAT_SYSTEM ? &turns[0] : NULL;
  for (size_t i = system != NULL; i < n_turns; i++) {
    size_t bytes = turns[i].bytes;
    const char *text = utf8_strip(turns[i].text, &bytes), *role = turns[i].role == CHAT_USER ? t->user : t->model;
    TRY(put_mark(s, t->begin, begin));
    put_text(s, role, strlen(role));
    put_text(s, "\n", 1);
    if (i == 1 && system && system->bytes > 0) {
      put_text(s, system->text, system->bytes);
      put_text(s, "\n\n", 2);
    }
    put_text(s, text, bytes);
    TRY(put_mark(s, t->end, end));
    put_text(s, "\n", 1);
  }
  if (flags & CHAT_REPLY) {
    TRY(put_mark(s, t->begin, begin));
    put_text(s, t->model, strlen(t->model));
    put_text(s, "\n", 1);
  }
  return s->v ? flush(s) : SOTTO_OK;
}

sotto_status chat_template_text(const chat_template *t, const chat_turn *turns, size_t n_turns, unsigned flags,
                                char *out, size_t capacity, size_t *bytes, error *err) {
  sink s = {.out = out, .capacity = capacity, .err = err};
  TRY(check_order(turns, n_turns, flags, err));
  TRY(write_turns(t, &s, turns, n_turns, flags));
  *bytes = s.bytes;
  return SOTTO_OK;
}

sotto_status chat_template_ids(const chat_template *t, const spm_vocab *v, const chat_turn *turns, size_t n_turns,
                               unsigned flags, id_list *out, error *err) {
  TRY(check_order(turns, n_turns, flags, err));
  sink s = {.v = v, .ids = out, .capacity = 64, .err = err};
  for (size_t i = 0; i < n_turns; i++) s.capacity += turns[i].bytes; /* no stretch between marks is longer */
  s.out = mem_alloc(s.capacity, 1);
  if (!s.out) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the conversation");
  sotto_status status = write_turns(t, &s, turns, n_turns, flags);
  mem_free(s.out);
  return status;
}
