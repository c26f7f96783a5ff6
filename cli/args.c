#include "args.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int args_wrong(const args *a, const char *format, ...) {
  va_list list;
  va_start(list, format);
  fputs("sotto: ", stderr);
  vfprintf(stderr, format, list);
  fprintf(stderr, "; see 'sotto %s--help'\n", a->command);
  va_end(list);
  return ARGS_WRONG;
}

/* The value stands in the same argument (`inside`) or is the next one. */
static int take_value(args *a, const option_spec *o, const char *inside) {
  a->value = inside != NULL ? inside : a->argv[a->index];
  if (a->value == NULL) return args_wrong(a, "option '%s' needs a value", a->shown);
  if (inside == NULL) a->index++;
  return o->id;
}

static int take_letter(args *a) {
  char letter = *a->letters++;
  const char *rest = *a->letters != '\0' ? a->letters : NULL;
  a->letters = rest;
  snprintf(a->shown, sizeof a->shown, "-%c", letter);
  for (const option_spec *o = a->options; o->name != NULL; o++) {
    if (o->letter != letter) continue;
    if (!o->has_value) return o->id;
    a->letters = NULL;
    return take_value(a, o, rest);
  }
  return args_wrong(a, "unknown option '%s'", a->shown);
}

static int take_name(args *a, const char *name) {
  const char *equals = strchr(name, '=');
  int size = equals != NULL ? (int)(equals - name) : (int)strlen(name);
  snprintf(a->shown, sizeof a->shown, "--%.*s", size, name);
  for (const option_spec *o = a->options; o->name != NULL; o++) {
    if (strlen(o->name) != (size_t)size || memcmp(o->name, name, (size_t)size) != 0) continue;
    if (o->has_value) return take_value(a, o, equals != NULL ? equals + 1 : NULL);
    if (equals != NULL) return args_wrong(a, "option '%s' takes no value", a->shown);
    return o->id;
  }
  return args_wrong(a, "unknown option '%s'", a->shown);
}

int args_next(args *a) {
  if (a->letters != NULL) return take_letter(a);
  const char *argument = a->argv[a->index];
  if (argument == NULL) return ARGS_END;
  a->index++;
  if (a->only_operands || argument[0] != '-' || argument[1] == '\0') { /* a lone dash is a file name */
    a->value = argument;
    return ARGS_OPERAND;
  }
  if (argument[1] != '-') {
    a->letters = argument + 1;
    return take_letter(a);
  }
  if (argument[2] == '\0') {
    a->only_operands = true;
    return args_next(a);
  }
  return take_name(a, argument + 2);
}

bool args_integer(const args *a, int64_t low, int64_t high, int64_t *out) {
  char *end;
  errno = 0;
  long long value = strtoll(a->value, &end, 10);
  if (end == a->value || *end != '\0' || errno != 0 || value < low || value > high) {
    args_wrong(a, "option '%s' needs a whole number from %" PRId64 " to %" PRId64 ", not '%s'", a->shown, low, high,
               a->value);
    return false;
  }
  *out = value;
  return true;
}

bool args_number(const args *a, double low, double high, float *out) {
  char *end;
  double value = strtod(a->value, &end);
  if (end == a->value || *end != '\0' || !(value >= low && value <= high)) {
    args_wrong(a, "option '%s' needs a number from %g to %g, not '%s'", a->shown, low, high, a->value);
    return false;
  }
  *out = (float)value;
  return true;
}
