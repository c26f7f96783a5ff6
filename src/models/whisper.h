/* Whisper: the loaded model and its forward pass. One window at a time:
 *
 *     mel [3000, n_mel] ─> conv, conv ─> encoder layers ─> cross K/V of each decoder layer
 *     tokens ─> embedding ─> decoder layers (self, cross, MLP) ─> logits [n, n_vocab] */
#ifndef SOTTO_WHISPER_H
#define SOTTO_WHISPER_H

#include "../audio/mel.h"
#include "../formats/ggml_bin.h"
#include "../ops.h"

#define WHISPER_WINDOW_FRAMES 3000       /* mel frames of 10 ms */
#define WHISPER_MAX_SEQS      MAX_SPEECH /* sequences decoded as one batch: beams or samples */
#define WHISPER_MAX_VOCAB     52000

typedef struct whisper_vocab whisper_vocab; /* src/text/whisper_vocab.h */
typedef struct whisper whisper;             /* a model: weights, vocabulary, filters */
typedef struct whisper_state whisper_state; /* one window in work: activations, K/V */

/* -- model -- */

whisper *whisper_open(backend *be); /* NULL: no memory */
void whisper_close(whisper *w);
sotto_status whisper_feed(whisper *w, const void *bytes, size_t size, error *err);
sotto_status whisper_finish(whisper *w, error *err);
const ggml_bin_header *whisper_header(const whisper *w); /* NULL before it came */
const whisper_vocab *whisper_vocabulary(const whisper *w);
const float *whisper_filters(const whisper *w); /* [n_mel, 201] */
bool whisper_finished(const whisper *w);
/* As sotto_model_describe and sotto_model_tensor. */
void whisper_describe(const whisper *w, sotto_model_info *info);
int32_t whisper_tensor(const whisper *w, int32_t index, const char **name, const char **type, int64_t dims[4]);

/* -- state -- */

/* n_seqs in [1, WHISPER_MAX_SEQS]: the most sequences decoded together. n_audio_ctx: positions of the encoder, two frames each; 0: all that the model
 * has. With fewer the window is as much shorter, and costs less. */
sotto_status whisper_state_open(whisper_state **out, whisper *w, int32_t n_seqs, int32_t n_audio_ctx, error *err);
void whisper_state_close(whisper_state *s);

/* Whether the encoder's products, those of the keys and values for the decoder included, may round to bytes where that is faster; not at first. */
void whisper_round_to_bytes(whisper_state *s, bool on);

/* Begins to encode a window: frames of log-mel, normalised, time-major [2 * n_audio_ctx, n_mel]; copied. Then call whisper_encode until SOTTO_OK; each call is
 * one layer or so and returns SOTTO_AGAIN while there is more. *fraction (may be NULL): how much is done. */
void whisper_encode_begin(whisper_state *s, const float *frames);
sotto_status whisper_encode(whisper_state *s, float *fraction);
/* After that: whether the window's work is done, and not only given to a GPU. Nobody needs to wait for it; it tells the time. */
bool whisper_encoded(whisper_state *s);

/* Empties the sequences: sequence 0 is live and empty. */
void whisper_decode_reset(whisper_state *s);

/* Sequence 0 takes n tokens (the prompt). Logits are made for the rows wanted: want[n_want], ascending indices in [0, n), n_want <= WHISPER_MAX_SEQS.
 * n + what sequence 0 holds <= n_text_ctx. Returns SOTTO_OK or an error. */
sotto_status whisper_decode_prompt(whisper_state *s, const int32_t *tokens, int32_t n, const int32_t *want,
                                   int32_t n_want);

/* n sequences go on: sequence i becomes a copy of the old sequence parent[i], extended by tokens[i]. One batch; logits for each. Costs nothing for the copies.
 * All parents have the same length. n <= n_seqs. */
sotto_status whisper_decode_next(whisper_state *s, const int32_t *tokens, const int32_t *parent, int32_t n);

/* Logits [n_vocab] f32 of row i of the last decode call (of the wanted rows, or of sequence i); may be written to. NULL while pending (a GPU's readback): try again. */
float *whisper_logits(whisper_state *s, int32_t i);

/* n of them, from token `first` on: a GPU reads no more than these. */
float *whisper_some_logits(whisper_state *s, int32_t i, int32_t first, int32_t n);
/* The probability of a token in the first row that the last prompt made. Asked for directly after the prompt, then for the same token until it is not AGAIN. */
sotto_status whisper_share(whisper_state *s, int32_t token, float *p);

/* A backend that chooses takes the best that the sequences of the last call can become by one token, `keep` of them: see choose_speech in ops.h. They are
 * those chosen in the place `from`, or, with from < 0, known: past[n]; after a prompt there is one, of the last row. With draws (else NULL) each goes on with what is
 * drawn for it instead. Returns a place for what is chosen; -1: it cannot, or not now. */
int32_t whisper_decode_choose(whisper_state *s, const speech_rules *rules, const speech_past *past, int32_t from,
                              int32_t keep, const speech_draws *draws);
/* The n = keep sequences chosen in `place` go on with their tokens. One batch; logits for each. */
sotto_status whisper_decode_follow(whisper_state *s, int32_t place, int32_t n);
/* What was chosen, once, in the order of choosing: the place is free then, as all are after a reset. AGAIN while pending. choices: [MAX_SPEECH_CHOICES].
 * Errors: FORMAT: what the device tells is nonsense. */
sotto_status whisper_decode_chosen(whisper_state *s, int32_t place, speech_choice *choices, int32_t *n);

/* For tests: encoder output [n_audio_ctx, n_audio_state], valid until the next call. */
const float *whisper_encoder_output(whisper_state *s);

#endif
