/* The GPU backend of ops.h: the table of its operations, and what they share.
 *
 *     gpu_tape.c       dispatches on a tape         gpu_linear.c, gpu_linear_many.c   matrix products, embedding
 *     gpu_memory.c     buffers, reads               gpu_attention.c                   keys and values, attention
 *     gpu_weight.c     weights as they lie there    gpu_rows.c, gpu_choose.c          loops over rows, choosing tokens
 *
 * An operation here says what it is about to change, so that older reads of it end, and what it costs, so that no piece of work for the device is
 * so long that a driver takes it for a hang. The rest is done by the other files. */
#include "gpu_host.h"
#include "gpu_tape.h"

/* Multiplications of one piece: a fifth of a second on a slow device. A step of a decoder stays whole. After a wait the first pieces are smaller, so that
 * the device begins while the rest is being recorded. */
#define FIRST_WORK 2e9
#define MOST_WORK  2e10
enum { FEW_ROWS = 8 };

bool gpu_grow_scratch(gpu *g, size_t bytes) {
  if (bytes <= g->scratch_bytes) return true;
  const uint32_t id = gpu_buffer_new(g, bytes);
  if (id == 0) return false;
  gpu_buffer_free(g, g->scratch);
  g->scratch = id;
  g->prepared.rows = 0;
  g->scratch_bytes = bytes;
  return true;
}

/* An operation of so many multiplications on n rows comes. */
static void work(gpu *g, int32_t n, double multiplications) {
  if (n <= FEW_ROWS) return;
  if (g->waited) g->piece = FIRST_WORK, g->work = 0;
  g->waited = false;
  if (g->work > 0 && g->work + multiplications > g->piece) {
    gpu_flush(g);
    g->work = 0;
    g->piece = g->piece < MOST_WORK / 2 ? 2 * g->piece : MOST_WORK;
  }
  g->work += multiplications;
}

static double product_work(tensor y, const weight *w) { return (double)y.rows * w->out * w->in; }

/* A tensor is about to change. */
static void changes(gpu *g, tensor t) {
  if (t.rows > 0)
    gpu_changes(g, t.buf->id, t.offset * sizeof(float),
                ((size_t)(t.rows - 1) * (size_t)t.stride + (size_t)t.cols) * sizeof(float));
}

static void changes_normed(gpu *g, const normed *in) {
  changes(g, in->rows);
  if (in->add != NULL) changes(g, in->sum);
}

static void changes_kv(gpu *g, const kv *c) {
  gpu_changes(g, c->k, 0, SIZE_MAX);
  gpu_changes(g, c->v, 0, SIZE_MAX);
}

/* ---- memory ---- */

/* Devices do not tell: what they cannot have fails when it is opened. */
static bool reserve(backend *be, uint64_t bytes) {
  (void)be, (void)bytes;
  return true;
}

/* Bound as a whole by the kernels. */
static buffer *buffer_open(backend *be, size_t n_elements) {
  gpu *g = (gpu *)be;
  if (n_elements > g->traits.max_binding_bytes / sizeof(float)) return NULL;
  buffer *b = mem_alloc(1, sizeof *b);
  if (b == NULL) return NULL;
  *b = (buffer){gpu_buffer_new(g, n_elements * sizeof(float)), n_elements};
  if (b->id != 0) return b;
  mem_free(b);
  return NULL;
}

static void buffer_close(backend *be, buffer *b) {
  if (b == NULL) return;
  gpu_buffer_free((gpu *)be, b->id);
  mem_free(b);
}

static void upload(backend *be, tensor dst, const float *src) {
  gpu *g = (gpu *)be;
  const bool dense = dst.stride == dst.cols;
  const size_t row = (size_t)dst.cols, n = dense ? (size_t)dst.rows * row : row;
  for (int32_t i = 0; i < (dense ? min_i32(dst.rows, 1) : dst.rows); i++)
    gpu_write(g, dst.buf->id, (dst.offset + (size_t)i * (size_t)dst.stride) * sizeof(float), src + (size_t)i * row,
              n * sizeof(float));
}

static void copy(backend *be, tensor dst, tensor src) {
  gpu *g = (gpu *)be;
  changes(g, dst);
  for (int32_t i = 0; i < dst.rows; i++)
    gpu_copy(g, src.buf->id, (src.offset + (size_t)i * (size_t)src.stride) * sizeof(float), dst.buf->id,
             (dst.offset + (size_t)i * (size_t)dst.stride) * sizeof(float), (size_t)dst.cols * sizeof(float));
}

static float *read_tensor(backend *be, tensor src) { return gpu_read_tensor((gpu *)be, src); }

/* ---- operations ---- */

static void linear(backend *be, tensor y, tensor x, const weight *w, const tensor *bias, activation act,
                   const tensor *residual) {
  gpu *g = (gpu *)be;
  changes(g, y);
  work(g, y.rows, product_work(y, w));
  gpu_linear(be, y, x, w, bias, act, residual);
}

static void norm(backend *be, const normed *in) {
  changes_normed((gpu *)be, in);
  gpu_norm(be, in);
}

static void norm_linear(backend *be, const normed *in, const product *out, int32_t n_out, activation act) {
  gpu *g = (gpu *)be;
  double multiplications = 0;
  changes_normed(g, in);
  for (int32_t i = 0; i < n_out; i++) {
    changes(g, out[i].y);
    multiplications += product_work(out[i].y, out[i].w);
  }
  work(g, in->x.rows, multiplications);
  gpu_norm_linear(be, in, out, n_out, act);
}

static void norm_geglu(backend *be, tensor y, const normed *in, const weight *gate, const weight *up, tensor scratch) {
  gpu *g = (gpu *)be;
  changes_normed(g, in);
  changes(g, y);
  changes(g, scratch);
  work(g, y.rows, 2 * product_work(y, gate));
  gpu_norm_geglu(be, y, in, gate, up, scratch);
}

static void embed(backend *be, tensor y, const weight *table, const int32_t *ids, float scale, const tensor *positions,
                  const int32_t *pos) {
  changes((gpu *)be, y);
  gpu_embed(be, y, table, ids, scale, positions, pos);
}

static void rope_table(backend *be, tensor y, tensor frequencies, const int32_t *pos) {
  changes((gpu *)be, y);
  gpu_rope_table(be, y, frequencies, pos);
}

static void softcap(backend *be, tensor x, float cap) {
  changes((gpu *)be, x);
  gpu_softcap(be, x, cap);
}

static void kv_fill(backend *be, kv *c, tensor k, tensor v) {
  changes_kv((gpu *)be, c);
  gpu_kv_fill(be, c, k, v);
}

static void kv_put(backend *be, kv *c, const int32_t *slots, int32_t n, const void *bytes) {
  changes_kv((gpu *)be, c);
  gpu_kv_put(be, c, slots, n, bytes);
}

/* Neighbouring places go together. */
static void kv_copy(backend *be, kv *to, const kv *from, const int32_t *slots, int32_t n) {
  gpu *g = (gpu *)be;
  const size_t place = (size_t)to->n_head * (size_t)to->head_dim * sizeof(uint16_t);
  changes_kv(g, to);
  for (int32_t i = 0, run; i < n; i += run) {
    const size_t at = (size_t)slots[i] * place;
    for (run = 1; i + run < n && slots[i + run] == slots[i] + run;) run++;
    gpu_copy(g, from->k, at, to->k, at, (size_t)run * place);
    gpu_copy(g, from->v, at, to->v, at, (size_t)run * place);
  }
}

/* What follows attention; returns its work. */
static double changes_after(gpu *g, const attended *then) {
  if (then == NULL) return 0;
  changes(g, then->out.y);
  return product_work(then->out.y, then->out.w);
}

static void cross_attention(backend *be, tensor y, tensor q, const kv *c, float scale, const attended *then) {
  gpu *g = (gpu *)be;
  changes(g, y);
  work(g, y.rows, 2.0 * y.rows * y.cols * c->n_slots + changes_after(g, then));
  gpu_cross_attention(be, y, q, c, scale, then);
}

static void self_attention(backend *be, tensor y, tensor q, tensor k, tensor v, kv *c, const int32_t *slots,
                           const rotation *turn, float scale, const kv_view *view, const attended *then) {
  gpu *g = (gpu *)be;
  changes(g, y);
  changes(g, q);
  changes(g, k);
  changes(g, v);
  changes_kv(g, c);
  double places = 0;
  for (int32_t i = 0; i < y.rows; i++) places += view->length[i];
  work(g, y.rows, 2 * places * y.cols + changes_after(g, then));
  gpu_self_attention(be, y, q, k, v, c, slots, turn, scale, view, then);
}

/* What is kept in a place of chosen tokens. */
static void changes_place(gpu *g, int32_t place) {
  const size_t word = sizeof(uint32_t), list = SPEECH_LISTS + SPEECH_LIST_WORDS * (size_t)place;
  gpu_changes(g, g->chosen, (size_t)place * word, word);
  gpu_changes(g, g->chosen, list * word, SPEECH_LIST_WORDS * word);
}

static bool choose(backend *be, tensor logits, const sotto_sampler_options *options, const int32_t *history,
                   int32_t n_history, double draw, int32_t place) {
  gpu *g = (gpu *)be;
  /* Where it is not done here, the logits are being read, perhaps. */
  if (!gpu_choose(be, logits, options, history, n_history, draw, place)) return false;
  changes(g, logits);
  changes_place(g, place);
  return true;
}

static void share(backend *be, tensor y, tensor x, int32_t column) {
  changes((gpu *)be, y);
  gpu_share(be, y, x, column);
}

static void forget(backend *be, int32_t place) { changes_place((gpu *)be, place); }

static bool choose_speech(backend *be, tensor logits, const speech_rules *rules, const speech_state *state,
                          int32_t keep, int32_t place) {
  changes_place((gpu *)be, place);
  return gpu_choose_speech(be, logits, rules, state, keep, place);
}

/* ---- the backend ---- */

static void backend_close(backend *be) {
  gpu *g = (gpu *)be;
  if (g == NULL) return;
  if (g->tape != NULL && g->reads != NULL) {
    gpu_buffer_free(g, g->scratch);
    gpu_buffer_free(g, g->chosen);
  }
  gpu_reads_close(g->reads);
  gpu_tape_close(g->tape);
  mem_free(g);
}

static const ops gpu_ops = {
    .name = "webgpu",
    .close = backend_close,
    .reserve = reserve,
    .buffer_open = buffer_open,
    .buffer_close = buffer_close,
    .upload = upload,
    .copy = copy,
    .read = read_tensor,
    .weight_open = gpu_weight_open,
    .weight_rows = gpu_weight_rows,
    .weight_seal = gpu_weight_seal,
    .weight_close = gpu_weight_close,
    .weight_bytes = gpu_weight_bytes,
    .linear = linear,
    .norm = norm,
    .norm_linear = norm_linear,
    .norm_geglu = norm_geglu,
    .embed = embed,
    .rope_table = rope_table,
    .softcap = softcap,
    .kv_open = gpu_kv_open,
    .kv_close = gpu_kv_close,
    .kv_fill = kv_fill,
    .kv_place_bytes = gpu_kv_place_bytes,
    .kv_get = gpu_kv_get,
    .kv_put = kv_put,
    .kv_copy = kv_copy,
    .cross_attention = cross_attention,
    .self_attention = self_attention,
    .choose = choose,
    .chosen = gpu_chosen,
    .forget = forget,
    .share = share,
    .choose_speech = choose_speech,
    .chosen_speech = gpu_chosen_speech,
};

static bool take_all(gpu *g) {
  g->tape = gpu_tape_open();
  g->reads = gpu_reads_open();
  if (g->tape == NULL || g->reads == NULL) return false;
  g->waited = true;
  g->chosen = gpu_buffer_new(g, CHOSEN_WORDS * sizeof(uint32_t));
  return g->chosen != 0 && gpu_grow_scratch(g, GPU_ALIGNMENT);
}

sotto_status gpu_backend_open(backend **out, error *err) {
  *out = NULL;
  if (gpu_host_now == NULL) return fail(err, SOTTO_ERR_UNSUPPORTED, "a native build has no WebGPU: use the CPU");
  uint32_t words[sizeof(gpu_traits) / sizeof(uint32_t)] = {0};
  gpu_host_now->traits(words);
  gpu *g = mem_alloc(1, sizeof *g);
  if (g == NULL) return fail(err, SOTTO_ERR_MEMORY, "out of memory for the GPU");
  memcpy(&g->traits, words, sizeof words);
  g->base.ops = &gpu_ops;
  const bool present = g->traits.max_buffer_bytes > 0;
  if (present && take_all(g)) {
    *out = &g->base;
    return SOTTO_OK;
  }
  backend_close(&g->base);
  return present ? fail(err, SOTTO_ERR_MEMORY, "the GPU has no memory left: close what uses it")
                 : fail(err, SOTTO_ERR_UNSUPPORTED, "there is no WebGPU device: use the CPU");
}
