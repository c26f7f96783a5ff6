/* sotto transcribe: what the command line asks for. */
#ifndef CLI_TRANSCRIBE_H
#define CLI_TRANSCRIBE_H

#include <stdbool.h>

#include "../include/sotto.h"
#include "format.h"

typedef struct request {
  const char *model; /* path or name */
  int32_t threads;   /* 0: the engine chooses */
  sotto_transcribe_options options;
  int32_t *suppress_tokens; /* what options.suppress_tokens points to */
  format formats[FORMAT_COUNT];
  int n_formats;      /* at least 1 */
  const char *output; /* file, or directory where output_is_directory; NULL: standard output */
  bool output_is_directory;
  bool vad; /* silence is skipped */
  bool quiet, verbose;
  char **files; /* [n_files], "-": standard input */
  int n_files;
} request;

enum { REQUEST_OK = 1 };

/* Reads the arguments behind "transcribe". Returns REQUEST_OK, ARGS_END where help was printed, or ARGS_WRONG
 * after saying why. The request points into argv; free with request_free, also after a failure. */
int request_read(request *r, char **argv);
void request_free(request *r);

/* Path of the output of `file` in format f; NULL: no memory. Free it. Only where r->output is not NULL. */
char *request_output_path(const request *r, const char *file, format f);

#endif
