/* Choosing tokens on the GPU, as src/text/sampler.c does it, and src/models/whisper_rules.c for transcripts.
 *
 *     logits ─> choose_change: bias, penalties ─> choose_best: of parts ─┬─ choose_first: the likeliest ────────────────┬─> chosen[place]
 *               (where there are any)                                    └─ choose_draw: top-k, top-p, min-p, one of it ┘
 *     logits of sequences ─> choose_speech: of tiles ─┬─ choose_speech_best: the likeliest ───────┬─> chosen: what was taken, and the sequences that go on
 *                                                     └─ choose_speech_draw: one for each of them ┘
 *     logits ─> choose_share: the probability of a token, where there was no speech */
#include "gpu.h"

enum {
  MOST_CHANGES = 2048, /* entries of bias and history: each looks at all others */
  MOST_TOP = 1024,     /* of top-k */
  MOST_TILES = 256,    /* parts of choose_best */
  THREADS = 256,
  GROUPS = 16, /* of a tile */
  SPEECH_TILE = 2048,
  MOST_SPEECH_TILES = 32, /* of a row */
};

static bool penalizes(const sotto_sampler_options *o) {
  return o->repetition_penalty != 1 || o->presence_penalty != 0 || o->frequency_penalty != 0;
}

/* Bias and penalties, in place; false: no memory. */
static bool change(gpu *g, tensor logits, const sotto_sampler_options *o, const int32_t *history, int32_t n_history) {
  const size_t n_bias = o->n_logit_bias, n = n_bias + (size_t)n_history;
  if (n == 0) return true;
  int32_t *lists = mem_alloc(2 * n_bias + 1, sizeof *lists); /* ids, then the bits of the biases */
  if (lists == NULL) return false;
  for (size_t i = 0; i < n_bias; i++) {
    lists[i] = o->logit_bias[i].id;
    memcpy(&lists[n_bias + i], &o->logit_bias[i].bias, sizeof *lists);
  }
  gpu_kernel(g, "choose_change");
  gpu_param(g, (uint32_t)logits.offset);
  gpu_param(g, (uint32_t)logits.cols);
  gpu_param(g, (uint32_t)n_bias);
  gpu_param(g, gpu_ints(g, lists, n_bias));
  gpu_param(g, gpu_ints(g, lists + n_bias, n_bias));
  gpu_param(g, (uint32_t)n_history);
  gpu_param(g, gpu_ints(g, history, (size_t)n_history));
  gpu_param_f32(g, o->repetition_penalty);
  gpu_param_f32(g, o->presence_penalty);
  gpu_param_f32(g, o->frequency_penalty);
  gpu_bind(g, BIND_ACT, logits.buf->id, 0, 0);
  gpu_bind(g, BIND_CHOSEN, g->chosen, 0, 0);
  gpu_dispatch(g, (uint32_t)(n + 63) / 64);
  mem_free(lists);
  return true;
}

bool gpu_choose(backend *be, tensor logits, const sotto_sampler_options *o, const int32_t *history, int32_t n_history,
                double draw, int32_t place) {
  gpu *g = (gpu *)be;
  const bool greedy = o->top_k == 1 || o->temperature < 1e-6f;
  if (!penalizes(o)) n_history = 0;
  if (!greedy && (o->top_k < 1 || o->top_k > MOST_TOP || o->typical_p < 1)) return false;
  if (o->n_logit_bias > MOST_CHANGES || o->n_logit_bias + (size_t)n_history > MOST_CHANGES) return false;
  if (!gpu_grow_scratch(g, MOST_TILES * GROUPS * sizeof(uint32_t))) return false;
  if (!change(g, logits, o, history, n_history)) return false;

  const uint32_t n = (uint32_t)logits.cols, all = MOST_TILES * THREADS;
  const uint32_t per = n > 4 * all ? (n + all - 1) / all : 4; /* logits of an invocation */
  const uint32_t tiles = (n + THREADS * per - 1) / (THREADS * per);
  gpu_kernel(g, "choose_best greedy=%d", greedy);
  gpu_param(g, (uint32_t)logits.offset);
  gpu_param(g, n);
  gpu_param(g, per);
  gpu_bind(g, BIND_ACT, logits.buf->id, 0, 0);
  gpu_bind(g, BIND_SCRATCH, g->scratch, 0, 0);
  gpu_dispatch(g, tiles);

  if (greedy) {
    gpu_kernel(g, "choose_first");
    gpu_param(g, tiles);
    gpu_param(g, (uint32_t)place);
  } else {
    gpu_kernel(g, "choose_draw");
    gpu_param(g, (uint32_t)logits.offset);
    gpu_param(g, n);
    gpu_param(g, per);
    gpu_param(g, tiles * GROUPS);
    gpu_param(g, (uint32_t)min_i32(o->top_k, logits.cols));
    gpu_param(g, (uint32_t)place);
    gpu_param_f32(g, 1 / o->temperature);
    gpu_param_f32(g, o->top_p);
    gpu_param_f32(g, o->min_p);
    gpu_param_f32(g, (float)draw);
    gpu_bind(g, BIND_ACT, logits.buf->id, 0, 0);
  }
  gpu_bind(g, BIND_SCRATCH, g->scratch, 0, 0);
  gpu_bind(g, BIND_CHOSEN, g->chosen, 0, 0);
  gpu_dispatch(g, 1);
  return true;
}

sotto_status gpu_chosen(backend *be, int32_t place, int32_t *id) {
  gpu *g = (gpu *)be;
  uint32_t word;
  if (!gpu_read(g, g->chosen, (size_t)place * sizeof word, &word, sizeof word)) return SOTTO_AGAIN;
  *id = (int32_t)word;
  return *id >= 0 ? SOTTO_OK : SOTTO_ERR_FORMAT;
}

/* ---- transcripts ---- */

static uint32_t divide_up(uint32_t a, uint32_t b) { return (a + b - 1) / b; }

/* What both kernels read: choose_speech_rules.wgsl. */
static void speech_params(gpu *g, tensor logits, const speech_rules *rules, const speech_state *state, int32_t keep,
                          int32_t place) {
  const uint32_t n_text = (uint32_t)rules->first_time, n = (uint32_t)logits.cols;
  const bool known = state->from < 0;
  int32_t past[4 * MAX_SPEECH];
  for (int32_t i = 0; known && i < logits.rows; i++) {
    const speech_past *of = &state->past[i];
    memcpy(past + 4 * i, (const int32_t[]){of->last, of->before, of->time}, 3 * sizeof *past);
    memcpy(past + 4 * i + 3, &of->score, sizeof of->score);
  }
  gpu_param(g, (uint32_t)logits.offset);
  gpu_param(g, (uint32_t)logits.stride);
  gpu_param(g, (uint32_t)logits.rows);
  gpu_param(g, n);
  gpu_param(g, (uint32_t)rules->end);
  gpu_param(g, n_text);
  gpu_param(g, (uint32_t)rules->max_first);
  gpu_param(g, rules->timed);
  gpu_param(g, (uint32_t)rules->n_suppressed);
  gpu_param(g, gpu_ints(g, rules->suppressed, (size_t)rules->n_suppressed));
  gpu_param(g, divide_up(n_text, SPEECH_TILE));
  gpu_param(g, divide_up(n_text, SPEECH_TILE) + divide_up(n - n_text, SPEECH_TILE));
  gpu_param(g, (uint32_t)keep + 1); /* one of a row's best tokens may be the end */
  gpu_param(g, (uint32_t)keep);
  gpu_param(g, (uint32_t)place);
  gpu_param(g, known ? 0 : (uint32_t)state->from);
  gpu_param(g, known ? gpu_ints(g, past, 4 * (size_t)logits.rows) : 0);
  const size_t n_slots = (size_t)(logits.rows - 1) * (size_t)state->slot_stride + (size_t)state->length;
  gpu_param(g, known ? gpu_ints(g, state->slots, n_slots) : 0);
  gpu_param(g, (uint32_t)state->slot_stride);
  gpu_param(g, (uint32_t)state->length);
  gpu_param(g, (uint32_t)state->next_slot);
  if (state->draws == NULL) return;
  int32_t draws[MAX_SPEECH];
  memcpy(draws, state->draws->at, sizeof draws);
  gpu_param(g, gpu_ints(g, draws, (size_t)keep));
  gpu_param_f32(g, 1 / state->draws->temperature);
}

void gpu_share(backend *be, tensor y, tensor x, int32_t column) {
  gpu *g = (gpu *)be;
  gpu_kernel(g, "choose_share sg=%u", (unsigned)g->traits.subgroup_min);
  gpu_param(g, (uint32_t)x.offset);
  gpu_param(g, (uint32_t)x.cols);
  gpu_param(g, (uint32_t)column);
  gpu_param(g, (uint32_t)y.offset);
  gpu_bind(g, BIND_ACT, x.buf->id, 0, 0);
  gpu_dispatch(g, 1);
}

bool gpu_choose_speech(backend *be, tensor logits, const speech_rules *rules, const speech_state *state, int32_t keep,
                       int32_t place) {
  gpu *g = (gpu *)be;
  const uint32_t rows = (uint32_t)logits.rows, n_text = (uint32_t)rules->first_time;
  const uint32_t tiles = divide_up(n_text, SPEECH_TILE) + divide_up((uint32_t)logits.cols - n_text, SPEECH_TILE);
  const bool sample = state->draws != NULL, known = state->from < 0;
  const unsigned sg = g->traits.subgroup_min;
  const uint32_t words = sample ? 5 : 4 + 2 * ((uint32_t)keep + 1); /* of a tile */
  if (rows > MAX_SPEECH || keep > MAX_SPEECH || tiles > MOST_SPEECH_TILES || state->length >= MOST_PLACES ||
      !gpu_grow_scratch(g, rows * tiles * words * sizeof(uint32_t)))
    return false;
  gpu_kernel(g, "choose_speech known=%d sample=%d sg=%u", known, sample, sg);
  speech_params(g, logits, rules, state, keep, place);
  gpu_bind(g, BIND_ACT, logits.buf->id, 0, 0);
  gpu_bind(g, BIND_SCRATCH, g->scratch, 0, 0);
  if (!known) gpu_bind(g, BIND_CHOSEN, g->chosen, 0, 0);
  gpu_dispatch_3d(g, tiles, rows, 1);

  if (sample)
    gpu_kernel(g, "choose_speech_draw known=%d sample=1", known);
  else
    gpu_kernel(g, "choose_speech_best known=%d lists=%u sg=%u", known, (unsigned)divide_up(rows * tiles, THREADS), sg);
  speech_params(g, logits, rules, state, keep, place);
  if (sample) gpu_bind(g, BIND_ACT, logits.buf->id, 0, 0);
  gpu_bind(g, BIND_SCRATCH, g->scratch, 0, 0);
  gpu_bind(g, BIND_CHOSEN, g->chosen, 0, 0);
  gpu_dispatch(g, sample ? (uint32_t)keep : 1);
  return true;
}

sotto_status gpu_chosen_speech(backend *be, int32_t place, speech_choice *choices, int32_t *n) {
  gpu *g = (gpu *)be;
  uint32_t list[SPEECH_LIST_WORDS];
  const size_t at = SPEECH_LISTS + SPEECH_LIST_WORDS * (size_t)place;
  if (!gpu_read(g, g->chosen, at * sizeof *list, list, sizeof list)) return SOTTO_AGAIN;
  *n = (int32_t)(list[0] < MAX_SPEECH_CHOICES ? list[0] : MAX_SPEECH_CHOICES);
  memcpy(choices, list + 1, (size_t)*n * sizeof *choices);
  return SOTTO_OK;
}
