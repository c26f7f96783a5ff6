/* Where text goes: standard output at once, or a file that appears whole or not at all.
 *
 *     open ─> DIR/.NAME.PID.tmp ─> write ... ─> commit (renamed to DIR/NAME) | discard */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef struct output {
  FILE *file; /* NULL while closed */
  char *path; /* NULL: standard output */
  char *temporary;
} output;

/* `path` NULL: standard output. Each function returns false with errno set where it fails. */
bool output_open(output *o, const char *path);
bool output_write(output *o, const char *bytes, size_t size); /* and flushes: readers see what is final */
bool output_commit(output *o);
void output_discard(output *o); /* does nothing once committed */

#endif
