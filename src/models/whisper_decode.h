/* The search for the tokens of one window at one temperature.
 *
 *     prompt ─> logits ─> rules ─> greedy:  the best token            ─┐
 *                                  samples: one drawn for each of them ├─> next ─> logits ─> ...
 *                                  beams:   the best of all extensions ─┘
 *     ... until the end of text (of all samples; of enough beams) ─> ranked, the best is the result
 *
 * All sequences of a step go through the network as one batch. Where the backend chooses, steps run ahead of what is known here, and only the tokens
 * taken and their scores come back; when enough hypotheses are finished, what ran ahead is forgotten. */
#ifndef SOTTO_WHISPER_DECODE_H
#define SOTTO_WHISPER_DECODE_H

#include "whisper_net.h"
#include "whisper_rules.h"

#define WHISPER_MAX_FINISHED 128 /* hypotheses that a beam search with patience collects */

typedef struct whisper_search whisper_search;

typedef struct whisper_search_options {
  int32_t beam_size; /* at temperature 0; 1: greedy */
  int32_t best_of;   /* above 0 */
  float patience;
  float length_penalty; /* negative: by mean log-probability */
  int32_t sample_len;   /* most tokens of a window */
  int32_t n_ctx;        /* positions of the network */
  uint64_t seed;
} whisper_search_options;

typedef struct whisper_hypothesis {
  int32_t *tokens; /* [n] without prompt and end of text, with what was given */
  float *p;        /* [n] probability under the model; 1 for what was given */
  int32_t n;
  double sum_logprob; /* of the tokens found and the end, after the rules */
  int32_t row;        /* while it is live: its row of the last forward pass; after the prompt, of the next one */
  int32_t sample;     /* which of the samples it is: what is drawn for it depends on that alone */
} whisper_hypothesis;

/* Takes all memory. `net` and `rules` are borrowed. NULL: no memory. */
whisper_search *whisper_search_open(const whisper_net *net, const whisper_rules *rules,
                                    const whisper_search_options *o);
void whisper_search_close(whisper_search *s);

/* Begins a search. prompt[n], n < n_ctx, is copied; prompt[sot_index] is the start of transcript, where no-speech is read.
 * Its last n_given tokens are the given start of the text: every hypothesis begins with them. */
void whisper_search_begin(whisper_search *s, const int32_t *prompt, int32_t n, int32_t sot_index, int32_t n_given,
                          float temperature);

/* One forward pass, or none while one is pending. SOTTO_AGAIN, SOTTO_OK at the end, or an error. */
sotto_status whisper_search_step(whisper_search *s);

/* The result, after SOTTO_OK. Valid until the next search. */
const whisper_hypothesis *whisper_search_result(const whisper_search *s);
float whisper_search_no_speech(const whisper_search *s);

/* The latest timestamp token so far of the leading sequence, for progress; -1: none. */
int32_t whisper_search_timestamp(const whisper_search *s);
int32_t whisper_search_steps(const whisper_search *s); /* forward passes since open */

#endif
