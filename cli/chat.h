/* sotto chat: a conversation, turn by turn.
 *
 *     line_editor ─> message ─┬─> conversation ─> sotto_chat_fit ─> ids ─> reply ─> standard output
 *                             └─> /command (chat_commands.c)                 └────> conversation */
#ifndef CLI_CHAT_H
#define CLI_CHAT_H

#include "../src/text/text_stream.h"
#include "conversation.h"
#include "line_editor.h"
#include "reply.h"

typedef struct chat_request {
  language_options language;
  sampling sampling;
  const char *message, *system, *history, *load, *save; /* NULL: not given */
  bool no_history, json, timings;
  int64_t most; /* tokens of an answer */
  const char *stops[TEXT_STREAM_MAX_STOPS];
  size_t n_stops;
} chat_request;

typedef struct chat {
  chat_request *r; /* its sampling and `most` are changed by /set */
  language l;
  sotto_session *session;
  line_editor editor;
  conversation conversation;
  reply last;         /* reply, of the last answer */
  uint64_t n_answers; /* each draws with a seed of its own */
  bool failed;        /* something could not be done: what a script sees of it is the exit status */
  bool broken;        /* standard output takes no more */
} chat;

/* What comes after a command. */
typedef enum chat_next { CHAT_READ, CHAT_ANSWER, CHAT_END } chat_next;

/* Runs a line that begins with a slash. */
chat_next chat_command(chat *c, const text *line);
/* Names of the commands, for Tab; NULL-terminated. */
const char *const *chat_command_names(void);

/* Prints a sentence about the conversation, in parentheses, on standard error. */
void chat_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints what could not be done; CHAT_READ. */
chat_next chat_complain(chat *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
