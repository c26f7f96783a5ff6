/* Beams that a backend chooses by itself, several steps ahead, through the whole network: the CPU's operations, and choose_speech as ops.h says it, beside
 * the same search by looking at the logits. */
#include "../../src/base/pool.h"
#include "../../src/models/whisper_decode.h"
#include "make_model.h"

enum { N_CTX = 448, N_SEQS = 5 };

/* What a choice keeps in its place. */
typedef struct kept {
  speech_choice list[MAX_SPEECH_CHOICES];
  speech_past past[MAX_SPEECH];
  int32_t slots[MAX_SPEECH][N_CTX];
  int32_t n, n_next, asked;
} kept;

static struct {
  kept at[MAX_CHOSEN];
  int32_t n_chosen, n_ahead, most_ahead;
} mock;
static ops cpu_ops, mock_ops;
static whisper_rules rules;

static bool mock_choose(backend *be, tensor logits, const speech_rules *r, const speech_state *state, int32_t keep,
                        int32_t place) {
  const kept *from = state->from < 0 ? NULL : &mock.at[state->from];
  kept *to = &mock.at[place];
  const int32_t n_rows = from != NULL ? from->n_next : logits.rows, n_vocab = logits.cols;
  float *rows = malloc((size_t)n_vocab * sizeof *rows), scores[MAX_SPEECH * (MAX_SPEECH + 1)];
  speech_choice all[MAX_SPEECH * (MAX_SPEECH + 1)];
  int32_t n_all = 0;
  CHECK(state->draws == NULL && place != state->from && r->end == rules.special->eot && state->length < N_CTX);
  for (int32_t row = 0; row < n_rows; row++) {
    const speech_past past = from != NULL ? from->past[row] : state->past[row];
    const int32_t tokens[] = {past.time, past.before, past.last};
    const int32_t first = past.last < 0 ? 3 : past.before < 0 ? 2 : past.time < 0 ? 1 : 0;
    whisper_candidate top[MAX_SPEECH + 1];
    memcpy(rows, cpu_ops.read(be, tensor_rows(logits, row, 1)), (size_t)n_vocab * sizeof *rows);
    const whisper_choice c = whisper_rules_apply(&rules, rows, tokens + first, 3 - first);
    const int32_t n_top = whisper_choice_top(&c, rows, keep + 1, top);
    for (int32_t i = 0; i < n_top; i++) {
      const float score = past.score + (top[i].logit - c.log_sum);
      int32_t at = n_all++;
      for (; at > 0 && scores[at - 1] < score; at--) {
        scores[at] = scores[at - 1];
        all[at] = all[at - 1];
      }
      scores[at] = score;
      all[at] = (speech_choice){row, top[i].token, top[i].logit, c.log_sum, c.model_log_sum};
    }
  }
  free(rows);
  to->n = to->n_next = to->asked = 0;
  for (int32_t i = 0; i < n_all && to->n_next < keep; i++) {
    const speech_choice c = all[i];
    to->list[to->n++] = c;
    if (c.id == r->end) continue;
    const speech_past past = from != NULL ? from->past[c.parent] : state->past[c.parent];
    int32_t *slots = to->slots[to->n_next];
    memcpy(slots, from != NULL ? from->slots[c.parent] : state->slots + (size_t)c.parent * (size_t)state->slot_stride,
           (size_t)state->length * sizeof *slots);
    slots[state->length] = state->next_slot + to->n_next;
    to->past[to->n_next++] =
        (speech_past){c.id, past.last, c.id >= r->first_time ? c.id : past.time, scores[i] - scores[0]};
  }
  mock.n_chosen++;
  mock.most_ahead = max_i32(mock.most_ahead, ++mock.n_ahead);
  return true;
}

/* The third asking is answered. */
static sotto_status mock_chosen(backend *be, int32_t place, speech_choice *choices, int32_t *n) {
  (void)be;
  kept *k = &mock.at[place];
  if (k->asked++ < 2) return SOTTO_AGAIN;
  memcpy(choices, k->list, sizeof k->list);
  *n = k->n;
  return SOTTO_OK;
}

static void mock_forget(backend *be, int32_t place) {
  (void)be, (void)place;
  mock.n_ahead--;
}

/* Sequences that are not there are some token or other, in places of their own. */
static void mock_embed(backend *be, tensor y, const weight *table, const int32_t *ids, float scale,
                       const tensor *positions, const int32_t *pos) {
  int32_t known[N_CTX];
  for (int32_t i = 0; i < y.rows; i++) {
    const int32_t index = -1 - ids[i] - MAX_CHOSEN;
    const kept *k = ids[i] < 0 ? &mock.at[index / MAX_SPEECH] : NULL;
    known[i] = k == NULL ? ids[i] : index % MAX_SPEECH < k->n_next ? k->past[index % MAX_SPEECH].last : 0;
  }
  cpu_ops.embed(be, y, table, known, scale, positions, pos);
}

static void mock_self_attention(backend *be, tensor y, tensor q, tensor k, tensor v, kv *c, const int32_t *slots,
                                const rotation *turn, float scale, const kv_view *view, const attended *then) {
  kv_view known = *view;
  if (view->slots == NULL) {
    kept *of = &mock.at[view->place];
    for (int32_t i = of->n_next; i < y.rows; i++)
      for (int32_t at = 0; at < view->length[i]; at++) of->slots[i][at] = slots[i];
    known.slots = of->slots[0];
    known.slot_stride = N_CTX;
  }
  cpu_ops.self_attention(be, y, q, k, v, c, slots, turn, scale, &known, then);
}

typedef struct found {
  int32_t tokens[N_CTX], n, steps;
  double sum_logprob;
} found;

static found find(whisper_state *s, whisper_search_options o, bool by_itself) {
  static const int32_t prompt[] = {50258, 50259, 50359};
  whisper_net net = whisper_net_of(s);
  if (!by_itself) net.choose = NULL;
  whisper_search *search = whisper_search_open(&net, &rules, &o);
  whisper_search_begin(search, prompt, 3, 0, 0, 0);
  sotto_status status;
  while ((status = whisper_search_step(search)) == SOTTO_AGAIN) continue;
  CHECK(status == SOTTO_OK);
  const whisper_hypothesis *h = whisper_search_result(search);
  found f = {.n = h->n, .steps = whisper_search_steps(search), .sum_logprob = h->sum_logprob};
  memcpy(f.tokens, h->tokens, (size_t)h->n * sizeof *f.tokens);
  whisper_search_close(search);
  return f;
}

int main(void) {
  backend *be = cpu_backend_open(pool_open(2));
  mock_ops = cpu_ops = *be->ops;
  mock_ops.choose_speech = mock_choose;
  mock_ops.chosen_speech = mock_chosen;
  mock_ops.forget = mock_forget;
  mock_ops.embed = mock_embed;
  mock_ops.self_attention = mock_self_attention;
  be->ops = &mock_ops;

  static float frames[WHISPER_WINDOW_FRAMES * 80];
  ggml_bin_header h = model_shape_small();
  byte_list file = model_random(h, DTYPE_F32, 5);
  error err = {""};
  whisper *w = whisper_open(be);
  whisper_state *s = NULL;
  CHECK(whisper_feed(w, file.bytes, file.size, &err) == SOTTO_OK && whisper_finish(w, &err) == SOTTO_OK);
  if (!CHECK(whisper_state_open(&s, w, N_SEQS, 0, &err) == SOTTO_OK)) return check_end();
  whisper_encode_begin(s, frames);
  while (whisper_encode(s, NULL) == SOTTO_AGAIN) continue;

  sotto_transcribe_options options;
  sotto_transcribe_options_default(&options);
  for (int32_t i = 0; i < 6; i++) {
    options.timestamps = i < 4;
    CHECK(whisper_rules_open(&rules, whisper_vocabulary(w), &options, 0.02, &err) == SOTTO_OK);
    const whisper_search_options o = {.beam_size = (const int32_t[]){1, 2, N_SEQS}[i % 3],
                                      .best_of = 1,
                                      .patience = i % 2 ? 2 : 1,
                                      .length_penalty = -1,
                                      .sample_len = 12 + i,
                                      .n_ctx = N_CTX};
    const found should = find(s, o, false), is = find(s, o, true);
    CHECK(is.n == should.n && memcmp(is.tokens, should.tokens, (size_t)is.n * sizeof *is.tokens) == 0);
    CHECK(is.steps == should.steps && is.n > 5);
    CHECK_NEAR(is.sum_logprob, should.sum_logprob, 1e-4);
    whisper_rules_close(&rules);
  }
  CHECK(mock.n_chosen > 40 && mock.most_ahead == 4);
  whisper_state_close(s);
  CHECK(mock.n_ahead == 0 && be->places == 0);
  whisper_close(w);
  be->ops->close(be);
  byte_list_free(&file);
  return check_end();
}
