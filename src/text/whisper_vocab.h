/* Whisper's vocabulary: byte-level tokens in rank order, special tokens by layout, languages.
 *
 * Special ids follow from n_vocab alone (.en / multilingual / v3). */
#ifndef SOTTO_WHISPER_VOCAB_H
#define SOTTO_WHISPER_VOCAB_H

#include "../base/base.h"

#define WHISPER_N_LANGUAGES     100  /* older models know the first 99 */
#define WHISPER_N_TIMESTAMPS    1501 /* 0.00 s to 30.00 s */
#define WHISPER_MAX_TOKEN_BYTES 1024 /* of a token in a file; real ones have at most 128 */

typedef struct whisper_vocab whisper_vocab;

typedef struct whisper_special {
  int32_t eot, sot, first_language, n_languages, translate, transcribe, start_of_lm, start_of_prev, no_speech,
      no_timestamps, first_timestamp;
  int32_t multilingual;
} whisper_special;

/* n_vocab from the file's header. NULL: no memory. */
whisper_vocab *whisper_vocab_open(int32_t n_vocab);
void whisper_vocab_close(whisper_vocab *v);
/* Tokens must be added in order from id 0; bytes are copied. */
sotto_status whisper_vocab_add(whisper_vocab *v, int32_t id, const char *text, uint32_t bytes, error *err);
/* Builds the indices. Errors: MEMORY; UNSUPPORTED where n_vocab is none of Whisper's. */
sotto_status whisper_vocab_seal(whisper_vocab *v, error *err);

int32_t whisper_vocab_size(const whisper_vocab *v); /* n_vocab */
const whisper_special *whisper_vocab_special(const whisper_vocab *v);

/* Bytes of a token, NUL-terminated; *bytes (may be NULL) their number. Special tokens and timestamps read "<|en|>", "<|1.00|>"... */
const char *whisper_vocab_text(const whisper_vocab *v, int32_t id, uint32_t *bytes);

/* Id of the token with just these bytes (special tokens are not looked at); -1: there is none. */
int32_t whisper_vocab_find(const whisper_vocab *v, const char *text, size_t bytes);
/* Bytes of the longest token. */
uint32_t whisper_vocab_longest(const whisper_vocab *v);

/* Text to ids as tiktoken does for this vocabulary (GPT-2 pre-tokenization, then merges by rank); special tokens are not parsed. Writes at most
 * `capacity` ids, returns the number that the text has. Any bytes are allowed. Near linear time.
 * (whisper_encode.c) */
size_t whisper_vocab_encode(const whisper_vocab *v, const char *text, size_t bytes, int32_t *ids, size_t capacity);

/* Language index of a code or an English name, any case; -1: unknown. */
int32_t whisper_language_find(const char *name);
/* Code and name of index [0, 100); false when out of range. */
bool whisper_language(int32_t index, const char **code, const char **name);

#endif
