/* Messages typed by a person, or lines of standard input.
 *
 *     terminal ─> linenoise: cursor keys, history, Tab ─┐
 *     pipe, file, dumb terminal ─> a line ──────────────┴─> lines that belong together ─> message
 *
 * A line that ends with a backslash goes on in the next one; lines between """ and """ belong together, and so do lines pasted at once. */
#ifndef CLI_LINE_EDITOR_H
#define CLI_LINE_EDITOR_H

#include "json.h"

typedef struct line_editor {
  bool on_terminal; /* standard input and output are a terminal that can be edited on */
  char *history;    /* path; NULL: none is kept */
} line_editor;

typedef enum line_result { LINE_READ, LINE_INTERRUPTED, LINE_END } line_result;

/* `history`: a file that is made, for its owner alone, where it is missing; NULL: none is kept. `words`, NULL-terminated and constant, are what
 * Tab completes at the start of a line. */
void line_editor_open(line_editor *e, const char *history, const char *const *words);
void line_editor_close(line_editor *e);

/* Reads one message to the end of `message`. `initial` (may be NULL) is there to be edited, on a terminal. LINE_INTERRUPTED: Ctrl-C. */
line_result line_editor_read(line_editor *e, text *message, const char *initial);

/* Adds to the history. */
void line_editor_remember(line_editor *e, const text *message);

/* Where the history is kept by default: sotto/chat_history in $XDG_STATE_HOME or ~/.local/state. NULL: there is no such place. Free it. */
char *line_editor_default_history(void);

#endif
