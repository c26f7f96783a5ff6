/* Transcripts as txt, srt, vtt, tsv, lrc and JSON: bytes for bytes what tests/fixtures/formats shows.
 *
 *     begin ─> segment, segment, ... ─> end
 *        every call appends to `out`, which the caller empties into a file as it likes
 *
 * JSON has the whole text before the segments, so a JSON writer holds on to what it has until `end`. */
#ifndef CLI_FORMAT_H
#define CLI_FORMAT_H

#include "../include/sotto.h"
#include "json.h"

typedef enum format {
  FORMAT_CONSOLE, /* [START --> END]  text */
  FORMAT_TXT,
  FORMAT_SRT,
  FORMAT_VTT,
  FORMAT_JSON, /* indented */
  FORMAT_TSV,
  FORMAT_LRC,
  FORMAT_JSON_LINE, /* the form of --json */
  FORMAT_COUNT
} format;

/* Name and file extension of a format: "txt", ...; both JSON forms are "json". */
const char *format_name(format f);
/* The format that a user may name; -1: none. */
int format_find(const char *name, size_t size);

/* What only the whole file has. */
typedef struct transcript {
  const char *file;
  const char *language;
  double language_probability;
  const sotto_timings *timings; /* NULL: leave them out, and the two below */
  double load_ms, total_ms;
  double peak_memory_bytes;
} transcript;

typedef struct writer {
  format format;
  text *out;
  int n_cues;    /* numbered so far */
  text whole;    /* JSON: the texts so far */
  text segments; /* JSON: the segments so far */
} writer;

void writer_begin(writer *w, format f, text *out);
void writer_segment(writer *w, const sotto_segment *segment);
/* Also frees what the writer holds. */
void writer_end(writer *w, const transcript *t);

#endif
