/* The segments of one window as the caller sees them: texts, token views, times. All memory is taken at open. */
#ifndef SOTTO_WHISPER_OUTPUT_H
#define SOTTO_WHISPER_OUTPUT_H

#include "../text/whisper_vocab.h"

typedef struct whisper_output whisper_output;

/* For windows of at most n_tokens. NULL: no memory. `vocab` is borrowed. */
whisper_output *whisper_output_open(const whisper_vocab *vocab, int32_t n_tokens);
void whisper_output_close(whisper_output *o);

/* The text of tokens[n] below `end`, as valid UTF-8. *bytes (may be NULL): its length. Valid until the next call. */
const char *whisper_output_text(whisper_output *o, const int32_t *tokens, int32_t n, int32_t end, size_t *bytes);

/* Forgets the segments of the last window; those of this one are like `common`. */
void whisper_output_begin(whisper_output *o, const sotto_segment *common);
/* Adds a segment; p[n]: probabilities. Returns its text, or NULL where there is none or it has no length: then nothing is added. */
const char *whisper_output_add(whisper_output *o, const int32_t *tokens, const float *p, int32_t n, double start_s,
                               double end_s);
/* The next segment that was not taken yet, or NULL. */
const sotto_segment *whisper_output_next(whisper_output *o);

#endif
