/* Tokens guessed ahead and checked together, inside of a session.
 *
 *     held | the last token ─> guesses: a smaller model's, or what followed the same tokens earlier in the text
 *            └──────────────────┴─> one step of several rows ─> logits of each ─> the sampler, token by token
 *
 * Every token is the sampler's choice from the model's own logits, with or without guesses: a guess that is chosen spares a step, the first that is not ends the
 * check, and what was evaluated behind it is forgotten. Rows of a step have the bits that they have alone, on the CPU, so texts are the same. */
#ifndef SOTTO_SPECULATE_H
#define SOTTO_SPECULATE_H

#include "sotto_internal.h"

enum { MOST_DRAFT = 15, USUAL_DRAFT = 4 };

/* What steps cost and guesses bring, as measured: how many guesses are worth it follows from that. */
typedef struct speculation_pace {
  double one_ms, row_ms, guess_ms; /* of a step of one row, each further row, a guess; 0: not known yet */
  double hits, tries;              /* guesses that were right, and those that were judged, the older ones fading */
  int32_t plain, patience; /* steps without guesses one after the other; after how many of them it is tried anew */
  int32_t checks;          /* since a step of one row was measured */
} speculation_pace;

typedef struct speculation {
  gemma_state *draft; /* NULL: guesses are looked up in the text */
  int32_t draft_vocab, draft_ctx, draft_batch;
  int32_t *held; /* [draft_ctx] what the draft holds */
  float *logits; /* [n_vocab] the draft's, with what it has not; NULL where it has all */
  int32_t most;  /* guesses of a check */

  int32_t guesses[MOST_DRAFT], n_guesses;
  int32_t row, rows; /* of a check that is under way: logits that come next, and how many there are */
  speculation_pace pace;
  sotto_speculation tally;
} speculation;

/* What it takes beside the session's own, for plans whose n_draft has been checked. `draft` NULL: looked up. */
uint64_t speculation_bytes(const gemma *model, const gemma *draft, const gemma_plan *plan);
/* Errors: ARGUMENT (another vocabulary), MEMORY. */
sotto_status speculation_open(speculation **out, const gemma *model, gemma *draft, const gemma_plan *plan, int32_t most,
                              error *err);
/* Another that goes on alike. Errors: MEMORY. */
sotto_status speculation_fork(speculation **out, speculation *from, int32_t n_vocab, error *err);
void speculation_close(speculation *p); /* NULL is allowed */

/* sotto_session_next of a session that has one. */
sotto_status speculation_next(sotto_session *s, sotto_sampler *chooser, int32_t *id, float *logprob);

#endif
