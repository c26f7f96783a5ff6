/* What appears on a terminal: text of a model, and how far long work is. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Writes to standard output, at once. On a terminal control characters are left out but newlines and tabs: what a model writes cannot command it.
 * False with errno set. */
bool terminal_show(const char *bytes, size_t size);

/* A line on standard error that is written over, where that is a terminal and the work has taken half a second. Zero it to begin. */
typedef struct terminal_progress {
  double begin_ms; /* of the first call */
  int percent;     /* shown last; 0: nothing was shown */
} terminal_progress;

void terminal_progress_show(terminal_progress *p, const char *what, double done, double total);
/* Takes the line away. */
void terminal_progress_hide(terminal_progress *p);

#endif
