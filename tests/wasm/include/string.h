/* <string.h> for the C tests in WebAssembly: the engine's, and what only tests use. */
#ifndef SOTTO_TEST_WASM_STRING_H
#define SOTTO_TEST_WASM_STRING_H

#include_next <string.h>

size_t strspn(const char *s, const char *of);
size_t strcspn(const char *s, const char *none_of);

#endif
