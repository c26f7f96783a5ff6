/* Choosing tokens on the GPU, as src/text/sampler.c does it, and src/models/whisper_rules.c for transcripts.
 *
 *     logits ─> choose_change: bias, penalties ─> choose_best: of parts ─┬─ choose_first: the likeliest ────────────────┬─> chosen[place]
 *               (where there are any)                                    └─ choose_draw: top-k, top-p, min-p, one of it ┘
 *     logits ─> choose_speech step=1: of tiles ─> step=2: the choice ─> chosen[place], and its scores */
#include "gpu.h"

enum {
  MOST_CHANGES = 2048, /* entries of bias and history: each looks at all others */
  MOST_TOP = 1024,     /* of top-k */
  MOST_TILES = 256,    /* parts of choose_best */
  THREADS = 256,
  GROUPS = 16, /* of a tile */
  SPEECH_TILE = 2048,
  SPEECH_WORDS = 12, /* of a tile */
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

bool gpu_choose_speech(backend *be, tensor logits, const speech_rules *rules, const int32_t *before, int32_t n_before,
                       int32_t place) {
  gpu *g = (gpu *)be;
  const uint32_t n = (uint32_t)logits.cols, tiles = (n + SPEECH_TILE - 1) / SPEECH_TILE;
  if (tiles > THREADS || !gpu_grow_scratch(g, tiles * SPEECH_WORDS * sizeof(uint32_t))) return false;
  const uint32_t suppressed = gpu_ints(g, rules->suppressed, (size_t)rules->n_suppressed);
  const uint32_t last = gpu_ints(g, before, (size_t)n_before);
  for (int32_t step = 1; step <= 2; step++) {
    gpu_kernel(g, "choose_speech step=%d", (int)step);
    gpu_param(g, (uint32_t)logits.offset);
    gpu_param(g, n);
    gpu_param(g, (uint32_t)place);
    gpu_param(g, (uint32_t)rules->end);
    gpu_param(g, (uint32_t)rules->first_time);
    gpu_param(g, rules->timed);
    gpu_param(g, (uint32_t)rules->n_suppressed);
    gpu_param(g, suppressed);
    gpu_param(g, (uint32_t)n_before);
    gpu_param(g, last);
    gpu_bind(g, BIND_ACT, logits.buf->id, 0, 0);
    gpu_bind(g, BIND_SCRATCH, g->scratch, 0, 0);
    gpu_bind(g, BIND_CHOSEN, g->chosen, 0, 0);
    gpu_dispatch(g, step == 1 ? tiles : 1);
  }
  return true;
}

sotto_status gpu_chosen_speech(backend *be, int32_t place, speech_choice *choice) {
  gpu *g = (gpu *)be;
  const size_t at = (size_t)MAX_CHOSEN + 4 * (size_t)place;
  return gpu_read(g, g->chosen, at * sizeof(uint32_t), choice, sizeof *choice) ? SOTTO_OK : SOTTO_AGAIN;
}
