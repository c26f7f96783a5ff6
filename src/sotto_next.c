/* The next token: a session and a sampler as one. On the CPU a step, a choice, and so on. A backend that chooses itself runs ahead of its caller:
 *
 *     tokens that are known | chosen ahead, at most 4: place 0 ─> evaluated ─> place 1 ─> evaluated ─> ...
 *                             └─> read, one by one, as they arrive ─> the caller
 *
 * so that it never waits for what the caller makes of a token. The sampler knows nothing of them until they are handed out: its random numbers are looked
 * up beforehand. When the caller goes elsewhere they are forgotten, as if they had not been. */
#include "sotto_session.h"
#include "text/sampler.h"

/* ---- ahead ---- */

/* Asking is also what makes the answer come. */
static void ask(sotto_session *s, ahead *a) {
  if (a->status == SOTTO_AGAIN) a->status = s->engine->be->ops->chosen(s->engine->be, a->place, &a->id);
}

void session_come_back(sotto_session *s) {
  const bool checking = s->speculation != NULL && s->speculation->rows > 0;
  if (s->n_ahead == 0 && !checking) return;
  if (checking) s->speculation->rows = 0;
  for (int32_t i = 0; i < s->n_ahead; i++) backend_leave_place(s->engine->be, s->ahead[i].place);
  s->n_ahead = s->n_logits = 0;
  /* The logits are those of a token that is forgotten, or changed. A ring holds n_batch places more than the last token looks back to. */
  if (!gemma_truncate(s->state, s->n_tokens - 1)) gemma_truncate(s->state, 0);
}

/* Chooses the token after all others, and evaluates it where it fits. OK: done; AGAIN: not here, not now. */
static sotto_status run_ahead(sotto_session *s, sotto_sampler *chooser) {
  const int32_t place = backend_take_place(s->engine->be);
  if (place < 0) return SOTTO_AGAIN;
  int32_t ids[MOST_AHEAD], n_history;
  for (int32_t i = 0; i < s->n_ahead; i++) ids[i] = CHOSEN(s->ahead[i].place);
  const int32_t *history = sampler_history(chooser->s, ids, s->n_ahead, &n_history);
  if (!gemma_choose(s->state, sampler_options(chooser->s), history, n_history, sampler_peek(chooser->s, s->n_ahead),
                    place)) {
    backend_leave_place(s->engine->be, place);
    return SOTTO_AGAIN;
  }
  ahead *a = &s->ahead[s->n_ahead++];
  *a = (ahead){.place = place, .status = SOTTO_AGAIN};
  s->stamp = chooser->stamp;
  s->n_logits = 0;
  ask(s, a); /* before the next token, so that the answer does not wait for it */
  const int32_t id = CHOSEN(place);
  const bool fits = gemma_length(s->state) < s->capacity;
  const sotto_status status = fits ? gemma_eval(s->state, &id, 1, 1) : SOTTO_OK;
  if (status == SOTTO_OK) s->n_logits = fits;
  return status;
}

/* Hands out a token. */
static sotto_status append(sotto_session *s, int32_t chosen, int32_t *id) {
  s->tokens[s->n_tokens++] = *id = chosen;
  return SOTTO_OK;
}

/* The first of those ahead; AGAIN while pending. */
static sotto_status hand_out(sotto_session *s, sotto_sampler *chooser, int32_t *id) {
  ask(s, &s->ahead[0]);
  const ahead first = s->ahead[0];
  if (first.status == SOTTO_AGAIN) return check_device(s->engine, SOTTO_AGAIN);
  if (first.status < 0) {
    session_come_back(s);
    return sampler_no_numbers(&s->engine->err);
  }
  backend_leave_place(s->engine->be, first.place);
  s->n_ahead--;
  memmove(s->ahead, s->ahead + 1, (size_t)s->n_ahead * sizeof *s->ahead);
  sampler_chose(chooser->s, first.id);
  return append(s, first.id, id);
}

/* ---- the call ---- */

sotto_status session_sample(sotto_session *s, sotto_sampler *chooser, int32_t row, int32_t *id, float *logprob) {
  float *logits = gemma_logits(s->state, row);
  if (logits == NULL) return check_device(s->engine, SOTTO_AGAIN);
  int32_t chosen;
  TRY(sotto_sampler_sample(chooser, logits, &chosen, logprob));
  sotto_sampler_accept(chooser, chosen);
  s->n_logits = 0;
  return append(s, chosen, id);
}

sotto_status sotto_session_next(sotto_session *s, sotto_sampler *chooser, int32_t *id, float *logprob) {
  if (s == NULL || chooser == NULL || id == NULL || chooser->engine != s->engine) return SOTTO_ERR_ARGUMENT;
  if (s->speculation != NULL) return speculation_next(s, chooser, id, logprob);
  const bool alone = s->engine->be->ops->choose != NULL && logprob == NULL;
  if (s->stamp != chooser->stamp || !alone) session_come_back(s);
  if (s->n_ahead == 0) {
    const sotto_status status = session_evaluate(s);
    if (status != SOTTO_OK) return status;
  }
  /* No further than there are places in rings to come back. */
  for (const int32_t most = min_i32(MOST_AHEAD, s->n_batch); alone && s->n_ahead < most && s->n_logits > 0;) {
    const sotto_status status = run_ahead(s, chooser);
    if (status == SOTTO_AGAIN) break;
    if (status < 0) {
      session_come_back(s);
      return fail(&s->engine->err, status, "the model could not take another token: open a new session");
    }
  }
  return s->n_ahead > 0 ? hand_out(s, chooser, id) : session_sample(s, chooser, s->n_logits - 1, id, logprob);
}
