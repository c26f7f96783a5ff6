/* <stdio.h> for the C tests in WebAssembly: the engine's, and what only tests use: printing, and files that are only read. */
#ifndef SOTTO_TEST_WASM_STDIO_H
#define SOTTO_TEST_WASM_STDIO_H

#include_next <stdio.h>

#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2

typedef struct FILE FILE;
extern FILE *const stdout, *const stderr;

int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int fprintf(FILE *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
int puts(const char *s);
int putchar(int c);
int fputc(int c, FILE *f);
size_t fwrite(const void *from, size_t size, size_t count, FILE *f);

FILE *fopen(const char *path, const char *mode); /* mode: "rb" */
int fseek(FILE *f, long offset, int from);
long ftell(FILE *f);
size_t fread(void *to, size_t size, size_t count, FILE *f);
int fclose(FILE *f);

#endif
