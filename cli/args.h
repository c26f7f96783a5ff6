/* Command lines as GNU programs read them: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, -qv, operands anywhere, `--`.
 *
 * A caller lists its options and takes them one by one; what is wrong with the line is printed here, in a sentence. */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stdbool.h>
#include <stdint.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

typedef struct option_spec {
  const char *name; /* without the dashes; NULL ends a list */
  char letter;      /* 0: none */
  bool has_value;
  int id; /* > 0, chosen by the caller */
} option_spec;

typedef struct args {
  const char *command; /* "transcribe", for the sentences */
  const option_spec *options;
  char **argv;         /* NULL-terminated */
  int index;           /* of the next argument */
  const char *letters; /* left of a bundle such as -qv */
  bool only_operands;
  /* what args_next found */
  const char *value; /* of the option, or the operand */
  char shown[64];    /* the option as the user wrote it */
} args;

enum { ARGS_END = 0, ARGS_OPERAND = -1, ARGS_WRONG = -2 };

/* The next option's id, ARGS_OPERAND, ARGS_END, or ARGS_WRONG after printing why. */
int args_next(args *a);

/* The value of the option found last as a number of [low, high]; false after printing why not. */
bool args_integer(const args *a, int64_t low, int64_t high, int64_t *out);
bool args_number(const args *a, double low, double high, float *out);

/* Prints `sotto: SENTENCE; see 'sotto COMMAND --help'` and returns ARGS_WRONG. */
int args_wrong(const args *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
