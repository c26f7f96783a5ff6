/* What a line that begins with a slash does in a chat. */
#define _XOPEN_SOURCE 700

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "chat.h"
#include "process.h"

/* ---- the conversation ---- */

static chat_next run_system(chat *c, const char *argument) {
  text *system = &c->conversation.system;
  if (argument[0] == '\0') {
    if (system->size == 0)
      chat_note("there is no system text");
    else
      fprintf(stderr, "%.*s\n", (int)system->size, system->data);
    return CHAT_READ;
  }
  system->size = 0;
  if (strcmp(argument, "\"\"") != 0) text_string(system, argument);
  chat_note(system->size > 0 ? "the model is told this from now on" : "there is no system text any more");
  return CHAT_READ;
}

static chat_next run_undo(chat *c, const char *argument) {
  (void)argument;
  conversation *turns = &c->conversation;
  if (turns->n_turns == 0) return chat_complain(c, "there is nothing to undo");
  if (!conversation_awaits_answer(turns)) conversation_drop(turns);
  conversation_drop(turns);
  chat_note("the last message and its answer are taken back; %zu turns are left", turns->n_turns);
  return CHAT_READ;
}

static chat_next run_retry(chat *c, const char *argument) {
  (void)argument;
  conversation *turns = &c->conversation;
  if (turns->n_turns == 0) return chat_complain(c, "there is nothing to answer again");
  if (!conversation_awaits_answer(turns)) conversation_drop(turns);
  return CHAT_ANSWER;
}

static chat_next run_edit(chat *c, const char *argument) {
  conversation *turns = &c->conversation;
  text message = {0};
  if (turns->n_turns == 0) return chat_complain(c, "there is no message to edit");
  if (argument[0] != '\0') {
    text_string(&message, argument);
  } else if (!c->editor.on_terminal) {
    return chat_complain(c, "give the new text: /edit TEXT");
  } else {
    const sotto_turn *last = &turns->turns[turns->n_turns - (conversation_awaits_answer(turns) ? 1 : 2)];
    if (line_editor_read(&c->editor, &message, last->text) != LINE_READ || message.size == 0) {
      text_free(&message);
      chat_note("nothing was changed");
      return CHAT_READ;
    }
    line_editor_remember(&c->editor, &message);
  }
  if (!conversation_awaits_answer(turns)) conversation_drop(turns);
  conversation_drop(turns);
  const bool ok = !message.failed && conversation_add(turns, message.data, message.size);
  text_free(&message);
  return ok ? CHAT_ANSWER : chat_complain(c, "out of memory");
}

static chat_next run_clear(chat *c, const char *argument) {
  (void)argument;
  while (c->conversation.n_turns > 0) conversation_drop(&c->conversation);
  chat_note(c->conversation.system.size > 0 ? "the conversation begins anew; the system text stays"
                                            : "the conversation begins anew");
  return CHAT_READ;
}

/* ---- files ---- */

/* A path as a shell would read it: "~/" is the home folder. Free it. */
static char *expand(const char *path) {
  const char *home = getenv("HOME");
  if (strncmp(path, "~/", 2) != 0 || home == NULL) return strdup(path);
  const size_t size = strlen(home) + strlen(path);
  char *whole = malloc(size);
  if (whole != NULL) snprintf(whole, size, "%s%s", home, path + 1);
  return whole;
}

static chat_next run_save(chat *c, const char *argument) {
  const char *given = argument[0] != '\0' ? argument : c->r->save;
  if (given == NULL) return chat_complain(c, "name the file: /save FILE");
  char *path = expand(given);
  const bool ok = path != NULL && conversation_save(&c->conversation, path, c->l.path);
  if (ok)
    chat_note("saved to %s", path);
  else
    chat_complain(c, "could not write %s: %s", given, strerror(errno));
  free(path);
  return CHAT_READ;
}

static chat_next run_load(chat *c, const char *argument) {
  char problem[512] = "out of memory";
  if (argument[0] == '\0') return chat_complain(c, "name the file: /load FILE");
  char *path = expand(argument);
  const bool ok = path != NULL && conversation_load(&c->conversation, path, problem, sizeof problem);
  free(path);
  if (!ok) return chat_complain(c, "%s: %s", argument, problem);
  chat_note("%zu turns were loaded", c->conversation.n_turns);
  return conversation_awaits_answer(&c->conversation) ? CHAT_ANSWER : CHAT_READ;
}

/* ---- settings and numbers ---- */

static chat_next run_stats(chat *c, const char *argument) {
  (void)argument;
  if (c->last.stop_reason != NULL) reply_print_timings(&c->last, &c->l, stderr);
  fprintf(stderr, "context: %d of %d tokens in use; %zu turns", (int)sotto_session_length(c->session),
          (int)sotto_session_capacity(c->session), c->conversation.n_turns);
  if (c->conversation.first > 0)
    fprintf(stderr, ", of which the model no longer sees the first %zu", c->conversation.first);
  fprintf(stderr, "; %d threads, %s\n", (int)sotto_engine_threads(c->l.engine), sotto_engine_isa(c->l.engine));
  return CHAT_READ;
}

static chat_next list_settings(const chat *c) {
  text out = {0};
  sampling_list(&c->r->sampling, &out);
  if (c->r->most < INT32_MAX) text_format(&out, "  %-20s %lld\n", "tokens", (long long)c->r->most);
  if (!out.failed) fwrite(out.data, 1, out.size, stderr);
  text_free(&out);
  return CHAT_READ;
}

static chat_next run_set(chat *c, const char *argument) {
  if (argument[0] == '\0') return list_settings(c);
  const size_t size = strcspn(argument, " \t=");
  const char *value = argument + size + strspn(argument + size, " \t=");
  const int id = sampling_find(argument, size);
  const bool is_length = size == strlen("tokens") && strncmp(argument, "tokens", size) == 0;
  if (id == 0 && !is_length)
    return chat_complain(c, "there is no setting '%.*s'; /set lists them", (int)size, argument);
  args a = {.command = "chat ", .value = value};
  snprintf(a.shown, sizeof a.shown, "%.*s", (int)size, argument);
  bool taken;
  if (!(is_length ? args_integer(&a, 0, INT32_MAX, &c->r->most) : sampling_option(&c->r->sampling, &a, id, &taken)))
    c->failed = true;
  return CHAT_READ;
}

/* ---- the list ---- */

static chat_next run_help(chat *c, const char *argument);

static chat_next run_exit(chat *c, const char *argument) {
  (void)c, (void)argument;
  return CHAT_END;
}

static const struct {
  const char *name, *argument, *help;
  chat_next (*run)(chat *c, const char *argument);
} commands[] = {
    {"/help", "", "this list", run_help},
    {"/system", "TEXT", "what the model is told before the conversation; without TEXT: shows it; \"\": nothing",
     run_system},
    {"/retry", "", "answers the last message again", run_retry},
    {"/edit", "[TEXT]", "changes the last message, and answers it", run_edit},
    {"/undo", "", "takes the last message and its answer back", run_undo},
    {"/clear", "", "begins anew; the system text stays", run_clear},
    {"/save", "FILE", "writes the conversation to a file (JSON)", run_save},
    {"/load", "FILE", "goes on with the conversation of a file", run_load},
    {"/set", "[NAME VALUE]", "temperature, top-k, top-p, ..., tokens; without: lists them", run_set},
    {"/stats", "", "speed of the last answer, context and memory in use", run_stats},
    {"/exit", "", "ends (Ctrl-D too)", run_exit},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static chat_next run_help(chat *c, const char *argument) {
  (void)c, (void)argument;
  for (size_t i = 0; i < N_COMMANDS; i++)
    fprintf(stderr, "  %-8s%-13s %s\n", commands[i].name, commands[i].argument, commands[i].help);
  fputs(
      "\n"
      "  A line that ends with \\ goes on in the next one; so do all lines between \"\"\" and \"\"\".\n"
      "  Ctrl-C stops an answer. A message that begins with a slash: write two.\n",
      stderr);
  return CHAT_READ;
}

const char *const *chat_command_names(void) {
  static const char *names[N_COMMANDS + 1];
  for (size_t i = 0; i < N_COMMANDS; i++) names[i] = commands[i].name;
  return names;
}

chat_next chat_command(chat *c, const text *line) {
  char *copy = malloc(line->size + 1);
  if (copy == NULL) return chat_complain(c, "out of memory");
  memcpy(copy, line->data, line->size);
  copy[line->size] = '\0';
  char *end = copy + strlen(copy);
  while (end > copy && strchr(" \t\r\n", end[-1]) != NULL) *--end = '\0';
  const size_t size = strcspn(copy, " \t\n");
  const char *argument = copy + size + strspn(copy + size, " \t\n");
  chat_next next = CHAT_READ;
  size_t i = 0;
  while (i < N_COMMANDS && (strlen(commands[i].name) != size || strncmp(commands[i].name, copy, size) != 0)) i++;
  if (i == N_COMMANDS && strncmp(copy, "/quit", size) == 0 && size == strlen("/quit")) i = N_COMMANDS - 1;
  if (i == N_COMMANDS)
    chat_complain(c, "there is no command %.*s; /help lists them", (int)size, copy);
  else
    next = commands[i].run(c, argument);
  free(copy);
  return next;
}
