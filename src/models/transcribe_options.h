/* The options of a transcription, checked, with texts turned into tokens. */
#ifndef SOTTO_TRANSCRIBE_OPTIONS_H
#define SOTTO_TRANSCRIBE_OPTIONS_H

#include "../text/whisper_vocab.h"

typedef struct transcribe_settings {
  sotto_transcribe_options o; /* pointers in it are NULL: they are the caller's */
  int32_t language;           /* index, -1: to be detected */
  int32_t *initial_prompt;    /* [n_initial_prompt] */
  int32_t *prefix;            /* [n_prefix] */
  int32_t n_initial_prompt, n_prefix;
  int32_t n_seqs; /* the most sequences that the search has in work at once */
} transcribe_settings;

/* n_ctx: text positions of the model. On failure nothing is left behind. Errors: ARGUMENT, MEMORY. */
sotto_status transcribe_settings_open(transcribe_settings *s, const sotto_transcribe_options *options,
                                      const whisper_vocab *vocab, int32_t n_ctx, error *err);
void transcribe_settings_close(transcribe_settings *s);

/* The temperature of attempt 0, 1, ...; negative where there is none. */
float transcribe_temperature(const transcribe_settings *s, int32_t attempt);

#endif
