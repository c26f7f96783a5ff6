/* Text of a model on a terminal. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Writes to standard output, at once. On a terminal control characters are left out but newlines and tabs: what a model writes cannot command it.
 * False with errno set. */
bool terminal_show(const char *bytes, size_t size);

#endif
