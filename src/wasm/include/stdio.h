/* The part of <stdio.h> that the engine uses, in WebAssembly: see ../format.c. */
#ifndef SOTTO_WASM_STDIO_H
#define SOTTO_WASM_STDIO_H

#include <stdarg.h>
#include <stddef.h>

int snprintf(char *to, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int vsnprintf(char *to, size_t size, const char *format, va_list arguments) __attribute__((format(printf, 3, 0)));

#endif
