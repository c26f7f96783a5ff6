/* Inside of a session, for sotto_session.c and sotto_next.c. */
#ifndef SOTTO_SESSION_H
#define SOTTO_SESSION_H

#include "sotto_internal.h"
#include "sotto_speculate.h"

enum { MOST_AHEAD = 4 };

/* A token that the backend chose, or is choosing, and that nobody has got yet. */
typedef struct ahead {
  int32_t place;       /* of the backend, where it is kept */
  sotto_status status; /* AGAIN: not known yet */
  int32_t id;
} ahead;

struct sotto_session {
  sotto_engine *engine;
  gemma_state *state;
  int32_t n_vocab, capacity, n_batch;
  bool all_logits;
  int32_t *tokens; /* [capacity + 1], of them n_tokens are wanted, and the first gemma_length are evaluated */
  int32_t n_tokens;
  int32_t n_logits; /* rows that the last step made, of what the state holds */

  /* The tokens after those: chosen one after the other, and evaluated but for the last one where the context ends. */
  ahead ahead[MOST_AHEAD];
  int32_t n_ahead;
  uint64_t stamp; /* of the sampler that they were chosen by */

  speculation *speculation; /* NULL: no tokens are guessed */
};

/* Evaluates a batch of the tokens that are wanted: AGAIN while more are to come, OK when all are. */
sotto_status session_evaluate(sotto_session *s);
/* Forgets what was chosen or guessed ahead: the last token is to be evaluated again then. */
void session_come_back(sotto_session *s);
/* Chooses the token after row `row` of the last logits, and adds it to what the session holds. AGAIN: they are pending. */
sotto_status session_sample(sotto_session *s, sotto_sampler *chooser, int32_t row, int32_t *id, float *logprob);

#endif
