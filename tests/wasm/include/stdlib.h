/* <stdlib.h> for the C tests in WebAssembly: the engine's, and what only tests use. */
#ifndef SOTTO_TEST_WASM_STDLIB_H
#define SOTTO_TEST_WASM_STDLIB_H

#include_next <stdlib.h>

_Noreturn void exit(int code);
double strtod(const char *text, char **end);
unsigned long strtoul(const char *text, char **end, int base);
static inline long labs(long x) { return x < 0 ? -x : x; }
static inline long long llabs(long long x) { return x < 0 ? -x : x; }

#endif
