/* Decoder of audio files: bytes pulled through a callback in, interleaved frames out, in constant memory.
 *
 *     read() ─> head (64 KiB, looked at to tell the format) ─> wav | mp3 | flac | vorbis ─> frames
 *
 * The format is told from the content; names do not matter. Nothing seeks, so pipes work. */
#ifndef CLI_DECODE_H
#define CLI_DECODE_H

#include <stddef.h>
#include <stdint.h>

typedef struct decoder decoder;

/* Gives up to `size` > 0 next bytes of the file; fewer is fine, 0: the end. */
typedef size_t decoder_read_bytes(void *context, void *bytes, size_t size);

/* Opens a file by its first bytes. On failure NULL, and `problem` (of `problem_size` bytes) holds a sentence. */
decoder *decoder_open(decoder_read_bytes *read, void *context, char *problem, size_t problem_size);
void decoder_close(decoder *d); /* NULL is allowed */

typedef struct decoder_format {
  double rate; /* Hz */
  int32_t channels;
} decoder_format;

#define DECODER_MAX_CHANNELS 32

/* Decodes up to `capacity` floats (at least DECODER_MAX_CHANNELS) into whole frames of one format, which may differ from
 * the last call's: files put together from others do that. Returns the number of frames; 0: the end, or a failure. */
size_t decoder_read(decoder *d, float *frames, size_t capacity, decoder_format *format);

/* The sentence of the failure that ended reading; NULL when none did. */
const char *decoder_problem(const decoder *d);

/* "wav", "mp3", "flac", "vorbis" */
const char *decoder_name(const decoder *d);

#endif
