/* The decoders as a WebAssembly module of their own, for hosts that have none (Node): the host gives the bytes of a
 * file through an imported function and takes 16 kHz mono samples, piece by piece, the same as the native command hears.
 *
 *     sotto_audio_open() ─> sotto_audio_read(), ... until 0 ─> sotto_audio_problem() ─> sotto_audio_close()
 *
 * One file at a time. */
#include <stdint.h>

#include "audio_in.h"

#define EXPORT(name) __attribute__((export_name(name), visibility("default")))
#define CAPACITY     16384

/* env.read(bytes, size): as decoder_read_bytes. */
__attribute__((import_module("env"), import_name("read"))) uint32_t host_read(void *bytes, uint32_t size);

static audio_in *open_file;
static char open_problem[256];
static float samples[CAPACITY];

static size_t read_host(void *context, void *bytes, size_t size) {
  (void)context;
  return host_read(bytes, (uint32_t)size);
}

/* 1: open; 0: sotto_audio_problem says why not. */
EXPORT("sotto_audio_open") int32_t sotto_audio_open(void) {
  open_problem[0] = '\0';
  audio_in_close(open_file);
  open_file = audio_in_open(read_host, NULL, open_problem, sizeof open_problem);
  return open_file != NULL;
}

/* Number of samples that now are at sotto_audio_samples(); 0: the end, or a failure. */
EXPORT("sotto_audio_read") uint32_t sotto_audio_read(void) {
  return open_file != NULL ? (uint32_t)audio_in_read(open_file, samples, CAPACITY) : 0;
}

EXPORT("sotto_audio_samples") const float *sotto_audio_samples(void) { return samples; }

/* The sentence of what failed last, NUL-terminated; NULL: nothing did. */
EXPORT("sotto_audio_problem") const char *sotto_audio_problem(void) {
  if (open_file != NULL) return audio_in_problem(open_file);
  return open_problem[0] != '\0' ? open_problem : NULL;
}

EXPORT("sotto_audio_close") void sotto_audio_close(void) {
  audio_in_close(open_file);
  open_file = NULL;
}
