/* Keys, values and attention on the GPU.
 *
 *     queries of a call        dispatches
 *     one, or beams            attend_few, which rotates and stores, too      (+ attend_combine, when the places are shared out, or the product
 *                                                                                that follows joins them itself)
 *     up to 8 of a sequence    rotate_store, attend_few                       (+ attend_combine)
 *     more                     rotate_store, attend_matrix or attend_tile
 *
 * Keys and values are halves, whatever their kv_type: this says only how their places look as bytes. */
#include "gpu.h"

#include <math.h>

enum {
  MAX_DIM = 256,
  FEW = 8,              /* queries of one attend_few */
  THREADS = 256,        /* of its workgroups, and of all others here */
  FEW_WORKGROUPS = 256, /* keep a large GPU busy; attend_combine takes no more stretches than that */
  ONE_STRETCH = 1, /* blocks of places that one workgroup takes faster than several workgroups and attend_combine */
  SCRATCH_FLOATS = 1 << 20, /* for y of stretches */
  NONE = -1,
};

static int32_t divide_up(int32_t a, int32_t b) { return (a + b - 1) / b; }

/* ---- memory ---- */

static size_t place_elements(const kv *c) { return (size_t)c->n_head * (size_t)c->head_dim; }
static size_t kv_bytes(const kv *c) { return (size_t)c->n_slots * place_elements(c) * sizeof(uint16_t); }

kv *gpu_kv_open(backend *be, int kind, kv_type type, int32_t n_slots, int32_t n_head, int32_t head_dim) {
  gpu *g = (gpu *)be;
  if (n_slots < 1 || n_head < 1 || head_dim < 8 || n_slots > 1 << 24 || head_dim > MAX_DIM || head_dim % 8 != 0)
    return NULL;
  if (kind == KV_WHOLE && type != KV_16) return NULL;
  kv *c = mem_alloc(1, sizeof *c);
  if (c == NULL) return NULL;
  *c = (kv){.kind = kind, .type = type, .n_slots = n_slots, .n_head = n_head, .head_dim = head_dim};
  const uint64_t bytes = (uint64_t)n_slots * place_elements(c) * sizeof(uint16_t);
  if (bytes <= g->traits.max_binding_bytes && gpu_grow_scratch(g, SCRATCH_FLOATS * sizeof(float))) {
    c->k = gpu_buffer_new(g, (size_t)bytes);
    c->v = gpu_buffer_new(g, (size_t)bytes);
  }
  if (c->k != 0 && c->v != 0) return c;
  gpu_kv_close(be, c);
  return NULL;
}

void gpu_kv_close(backend *be, kv *c) {
  if (c == NULL) return;
  gpu_buffer_free((gpu *)be, c->k);
  gpu_buffer_free((gpu *)be, c->v);
  mem_free(c);
}

/* ---- recording ---- */

static void rows_param(gpu *g, tensor t) {
  gpu_param(g, (uint32_t)t.offset);
  gpu_param(g, (uint32_t)t.stride);
}

static void bind_kv(gpu *g, const kv *c) {
  gpu_bind(g, BIND_KEYS, c->k, 0, kv_bytes(c));
  gpu_bind(g, BIND_VALUES, c->v, 0, kv_bytes(c));
}

void gpu_kv_fill(backend *be, kv *c, tensor k, tensor v) {
  gpu *g = (gpu *)be;
  gpu_kernel(g, "kv_fill");
  gpu_param(g, (uint32_t)k.rows);
  gpu_param(g, (uint32_t)k.cols);
  rows_param(g, k);
  rows_param(g, v);
  gpu_bind(g, BIND_ACT, k.buf->id, 0, 0);
  bind_kv(g, c);
  gpu_dispatch(g, (uint32_t)(((uint64_t)k.rows * (uint64_t)k.cols / 4 + THREADS - 1) / THREADS));
}

/* One call of attention. */
typedef struct call {
  gpu *g;
  const kv *c;
  tensor y, q, k, v;
  const int32_t *slots; /* of the rows of k and v */
  const rotation *turn;
  float scale;
  const kv_view *view;
  const attended *then;
} call;

/* What query i sees: [first, end) of its row of the table. */
static int32_t first_of(const kv_view *view, int32_t i) { return view->first != NULL ? view->first[i] : 0; }
static int32_t end_of(const kv_view *view, int32_t i) { return first_of(view, i) + view->length[i]; }

/* What queries [i, i + n) see, from the least first to the greatest end. */
typedef struct span {
  int32_t first, end;
} span;

static span span_of(const kv_view *view, int32_t i, int32_t n) {
  span s = {first_of(view, i), end_of(view, i)};
  for (int32_t j = i + 1; j < i + n; j++) {
    s.first = min_i32(s.first, first_of(view, j));
    s.end = max_i32(s.end, end_of(view, j));
  }
  return s;
}

/* Whether the table is one that choose_speech keeps. */
static bool is_chosen(const kv_view *view) { return view->ring == 0 && view->slots == NULL; }
static bool one_row(const kv_view *view) { return view->ring != 0 || (view->slot_stride == 0 && !is_chosen(view)); }

/* Whether places are told by the ring alone. A span longer than it, of queries whose views lie apart, would meet a slot twice. */
static bool by_ring(const kv_view *view, span s) { return view->ring != 0 && s.end - s.first <= view->ring; }

static int32_t group_of(const call *a) { return a->q.cols / (a->c->n_head * a->c->head_dim); }

/* Where the table of rotations begins, and its gains. */
static void turn_params(const call *a, int32_t first) {
  const rotation *turn = a->turn;
  rows_param(a->g, turn != NULL ? tensor_rows(turn->table, first, 1) : (tensor){.offset = 0});
  gpu_param(a->g, turn != NULL && turn->q_gain != NULL ? (uint32_t)turn->q_gain->offset : (uint32_t)NONE);
  gpu_param(a->g, turn != NULL && turn->k_gain != NULL ? (uint32_t)turn->k_gain->offset : (uint32_t)NONE);
  gpu_param_f32(a->g, turn != NULL ? turn->eps : 0);
}

/* With a table of rotations `vectors` is declared, gains or not: any buffer will do then. */
static void bind_gains(const call *a) {
  const rotation *turn = a->turn;
  const tensor *gain = turn->q_gain != NULL ? turn->q_gain : turn->k_gain;
  gpu_bind(a->g, BIND_VEC, gain != NULL ? gain->buf->id : a->g->chosen, 0, 0);
}

static void rotate_store(const call *a) {
  gpu *g = a->g;
  const kv *c = a->c;
  const int32_t n_q_head = a->turn != NULL ? group_of(a) * c->n_head : 0, heads = n_q_head + 2 * c->n_head;
  gpu_kernel(g, "rotate_store turn=%d", a->turn != NULL);
  gpu_param(g, (uint32_t)a->q.rows);
  gpu_param(g, (uint32_t)n_q_head);
  gpu_param(g, (uint32_t)c->n_head);
  gpu_param(g, (uint32_t)c->head_dim);
  rows_param(g, a->q);
  rows_param(g, a->k);
  rows_param(g, a->v);
  turn_params(a, 0);
  gpu_param(g, gpu_ints(g, a->slots, (size_t)a->q.rows));
  gpu_bind(g, BIND_ACT, a->q.buf->id, 0, 0);
  if (a->turn != NULL) bind_gains(a);
  bind_kv(g, c);
  gpu_dispatch(g, (uint32_t)(((uint64_t)a->q.rows * (uint64_t)heads + 7) / 8));
}

/* ---- few queries ---- */

/* How attend_few shares out a call. */
typedef struct few_plan {
  int32_t together, seqs; /* queries that share a row of the table; how often */
  int32_t rows, chunks;   /* rows of a workgroup; workgroups for those of a sequence */
  int32_t lanes;          /* threads of a place */
  int32_t stretch, stretches;
  bool join; /* stretches are left to the product that follows */
} few_plan;

static few_plan plan_few(const call *a, int32_t first, int32_t n) {
  const kv *c = a->c;
  const int32_t group = group_of(a), d = c->head_dim;
  few_plan p = {.together = one_row(a->view) ? n : 1};
  p.seqs = n / p.together;
  p.chunks = (p.together * group + (d > 128 ? 3 : 7)) / (d > 128 ? 4 : 8);
  p.rows = (p.together * group + p.chunks - 1) / p.chunks;
  p.lanes = d > 128 ? 8 : d > 64 ? 4 : 2;
  int32_t widest = 0;
  for (int32_t i = first; i < first + n; i += p.together) {
    const span s = span_of(a->view, i, p.together);
    widest = max_i32(widest, s.end - s.first);
  }
  const int32_t block = THREADS / p.lanes, blocks = (widest + block - 1) / block;
  const int32_t room = SCRATCH_FLOATS / (n * group * c->n_head * (d + 2));
  const int32_t most = min_i32(FEW_WORKGROUPS / (p.seqs * c->n_head * p.chunks), room);
  int32_t wanted = blocks <= ONE_STRETCH ? 1 : max_i32(1, min_i32(blocks, most));
  /* Every workgroup of the product reads all stretches: with several rows fewer of them are better than a dispatch more. */
  if (a->then != NULL && n == a->q.rows && n > 1) wanted = min_i32(wanted, MOST_JOINED / n);
  p.stretch = (blocks + wanted - 1) / wanted * block;
  p.stretches = (widest + p.stretch - 1) / p.stretch;
  p.join = p.stretches > 1 && a->then != NULL && n == a->q.rows && n * p.stretches <= MOST_JOINED &&
           a->then->out.w->n_parts == 1;
  return p;
}

static void combine(const call *a, tensor y, int32_t stretches, uint32_t stats) {
  gpu *g = a->g;
  const int32_t d = a->c->head_dim, n_head = group_of(a) * a->c->n_head, n_row = y.rows * n_head;
  gpu_kernel(g, "attend_combine sg=%u", (unsigned)g->traits.subgroup_min);
  gpu_param(g, (uint32_t)n_row);
  gpu_param(g, (uint32_t)n_head);
  gpu_param(g, (uint32_t)d);
  gpu_param(g, (uint32_t)stretches);
  gpu_param(g, stats);
  rows_param(g, y);
  gpu_bind(g, BIND_ACT, y.buf->id, 0, 0);
  gpu_bind(g, BIND_SCRATCH, g->scratch, 0, 0);
  gpu_dispatch(g, (uint32_t)n_row * (uint32_t)((d + 31) / 32));
}

/* Queries [first, first + n), at most FEW. fresh: each sees its own new place as its last one, and attend_few rotates and stores. Returns
 * whether what follows is done, too. */
static bool attend_few(const call *a, int32_t first, int32_t n, bool fresh) {
  gpu *g = a->g;
  const kv *c = a->c;
  const kv_view *view = a->view;
  const few_plan p = plan_few(a, first, n);
  const int32_t group = group_of(a), d = c->head_dim;
  const span all = span_of(view, first, n);
  const bool turn = fresh && a->turn != NULL, part = p.stretches > 1;
  const int table = is_chosen(view) ? 2 : !by_ring(view, all); /* as the kernel's key */
  const tensor y = tensor_rows(a->y, first, n);
  const uint32_t stats = (uint32_t)(n * group * c->n_head) * (uint32_t)(p.stretches * d);
  const int32_t block = THREADS / p.lanes, at_once = 4 * THREADS / d; /* values */
  gpu_kernel(g,
             "attend_few d8=%d rows=%d pairs=%d lanes=%d units=%d each=%d scores=%d shared=%d table=%d fresh=%d "
             "turn=%d part=%d sg=%u",
             (int)(d / 8), (int)p.rows, (int)divide_up(p.rows, 2), (int)p.lanes, (int)divide_up(d / 8, p.lanes),
             (int)divide_up(block, at_once), (int)divide_up(block, 32), p.together > 1, table, fresh, turn, part,
             (unsigned)g->traits.subgroup_min);
  rows_param(g, tensor_rows(a->q, first, n));
  rows_param(g, fresh ? tensor_rows(a->k, first, n) : (tensor){.offset = 0});
  rows_param(g, fresh ? tensor_rows(a->v, first, n) : (tensor){.offset = 0});
  rows_param(g, y);
  gpu_param(g, (uint32_t)c->n_head);
  gpu_param(g, (uint32_t)group);
  gpu_param(g, (uint32_t)p.together);
  gpu_param(g, (uint32_t)p.chunks);
  gpu_param(g, (uint32_t)p.stretch);
  gpu_param(g, (uint32_t)view->ring);
  if (table == 2) {
    gpu_param(g, (uint32_t)(SPEECH_TABLES + (view->place * MAX_SPEECH + first) * MOST_PLACES));
    gpu_param(g, MOST_PLACES);
  } else if (table) {
    const size_t stride = one_row(view) ? 0 : (size_t)view->slot_stride;
    gpu_param(g, gpu_ints(g, view->slots + (size_t)first * stride, (size_t)(p.seqs - 1) * stride + (size_t)all.end));
    gpu_param(g, (uint32_t)stride);
  } else {
    gpu_param(g, 0);
    gpu_param(g, 0);
  }
  turn_params(a, first);
  gpu_param_f32(g, a->scale);
  gpu_param_f32(g, view->softcap);
  gpu_param(g, stats);
  for (int32_t i = first; i < first + n; i++) {
    gpu_param(g, (uint32_t)first_of(view, i));
    gpu_param(g, (uint32_t)end_of(view, i));
    gpu_param(g, fresh ? (uint32_t)a->slots[i] : 0);
    gpu_param(g, 0);
  }
  gpu_bind(g, BIND_ACT, y.buf->id, 0, 0);
  if (turn) bind_gains(a);
  bind_kv(g, c);
  if (part) gpu_bind(g, BIND_SCRATCH, g->scratch, 0, 0);
  if (table == 2) gpu_bind(g, BIND_CHOSEN, g->chosen, 0, 0);
  gpu_dispatch_3d(g, (uint32_t)p.stretches, (uint32_t)(c->n_head * p.chunks), (uint32_t)p.seqs);
  if (p.join) {
    const stretched x = {y, group * c->n_head, d, p.stretches, stats};
    gpu_linear_stretched(g, &x, a->then);
  } else if (part) {
    combine(a, y, p.stretches, stats);
  }
  return p.join;
}

/* The product, where it is still to be done. */
static void follow(const call *a, bool joined) {
  const attended *then = a->then;
  if (then != NULL && !joined)
    gpu_linear(&a->g->base, then->out.y, a->y, then->out.w, then->out.bias, ACT_NONE, then->residual);
}

/* ---- many queries ---- */

/* How attend_matrix shares out a call; blocks = 0: not by subgroup matrices. */
typedef struct matrix_plan {
  int32_t blocks, places, across, subgroup;
} matrix_plan;

/* A workgroup has 16 * blocks rows and takes so many places at a time: more would leave room for fewer of them beside each other. */
static matrix_plan plan_matrix(const call *a) {
  const gpu_traits *t = &a->g->traits;
  const int32_t d = a->c->head_dim, across = d > 128 ? 2 : 1, places = 32, blocks = 4;
  const int32_t subgroup = (int32_t)t->subgroup_min, rows = 16 * blocks;
  if (t->matrix == 0 || t->subgroup_min != t->subgroup_max || subgroup < 16 || d % (16 * across) != 0 ||
      places % (across * subgroup / 2) != 0 || blocks * across * subgroup > (int32_t)t->max_invocations)
    return (matrix_plan){0};
  const int32_t stride = d / 8 + 1, units = places * stride + rows * (places / 4 + 1 + places / 8 + 1);
  if (16 * max_i32(units, rows * stride) + 1024 > (int32_t)t->max_workgroup_bytes) return (matrix_plan){0};
  return (matrix_plan){blocks, places, across, subgroup};
}

static void attend_many(const call *a) {
  gpu *g = a->g;
  const kv *c = a->c;
  const kv_view *view = a->view;
  const int32_t n = a->q.rows, group = group_of(a), n_row = n * group, d = c->head_dim;
  const bool whole = c->kind == KV_WHOLE;
  const bool table = !whole && !by_ring(view, span_of(view, 0, n));
  const matrix_plan m = plan_matrix(a);
  /* Large tiles read keys and values less often, small ones occupy more of the GPU. */
  const int32_t r = divide_up(n_row, 64) * c->n_head < FEW_WORKGROUPS / 2 ? 2 : 4;
  const int32_t n_tiles = divide_up(n_row, 16 * (m.blocks > 0 ? m.blocks : r));
  if (m.blocks > 0) {
    const int32_t threads = m.blocks * m.across * m.subgroup, team = m.across * m.subgroup / 16;
    gpu_kernel(
        g,
        "attend_matrix dim=%d table=%d whole=%d blocks=%d places=%d across=%d subgroup=%d steps=%d news=%d olds=%d "
        "outs=%d loads=%d eights=%d",
        (int)d, table, whole, (int)m.blocks, (int)m.places, (int)m.across, (int)m.subgroup, (int)(d / 16),
        (int)(m.places / 16 / m.across), (int)(m.places / 16), (int)(d / 16 / m.across),
        (int)divide_up(m.places * d / 8, threads), (int)(m.places / 8 / team));
  } else {
    gpu_kernel(g, "attend_tile dim=%d r=%d parts=%d table=%d whole=%d rolled=%d", (int)d, (int)r, (int)divide_up(d, 64),
               table, whole, g->traits.software != 0);
  }
  gpu_param(g, (uint32_t)n);
  gpu_param(g, (uint32_t)c->n_head);
  gpu_param(g, (uint32_t)group);
  rows_param(g, a->q);
  rows_param(g, a->y);
  gpu_param_f32(g, a->scale);
  gpu_param_f32(g, view->softcap);
  gpu_param(g, (uint32_t)view->ring);
  gpu_param(g, table ? gpu_ints(g, view->slots, (size_t)span_of(view, 0, n).end) : 0);
  gpu_param(g, whole || view->first == NULL ? (uint32_t)NONE : gpu_ints(g, view->first, (size_t)n));
  gpu_param(g, whole ? 0 : gpu_ints(g, view->length, (size_t)n));
  gpu_param(g, (uint32_t)n_tiles);
  gpu_bind(g, BIND_ACT, a->y.buf->id, 0, 0);
  bind_kv(g, c);
  gpu_dispatch(g, (uint32_t)n_tiles * (uint32_t)c->n_head);
}

/* ---- operations ---- */

void gpu_cross_attention(backend *be, tensor y, tensor q, const kv *c, float scale, const attended *then) {
  int32_t length[FEW];
  for (int32_t i = 0; i < FEW; i++) length[i] = c->n_slots;
  const kv_view view = {.ring = c->n_slots, .length = length};
  const call a = {.g = (gpu *)be, .c = c, .y = y, .q = q, .scale = scale, .view = &view, .then = then};
  bool joined = false;
  if (q.rows > FEW)
    attend_many(&a);
  else
    joined = attend_few(&a, 0, q.rows, false);
  follow(&a, joined);
}

/* Whether each query sees its own new place as its last one, and, as tables of beams share only their past, no other new one. */
static bool own_places(const call *a) {
  const kv_view *view = a->view;
  if (is_chosen(view)) return true;
  if (a->q.rows > 1 && one_row(view)) return false;
  for (int32_t i = 0; i < a->q.rows; i++) {
    const int32_t last = end_of(view, i) - 1;
    const int32_t slot =
        view->ring != 0 ? last % view->ring : view->slots[(size_t)i * (size_t)view->slot_stride + (size_t)last];
    if (slot != a->slots[i]) return false;
  }
  return true;
}

void gpu_self_attention(backend *be, tensor y, tensor q, tensor k, tensor v, kv *c, const int32_t *slots,
                        const rotation *turn, float scale, const kv_view *view, const attended *then) {
  const call a = {(gpu *)be, c, y, q, k, v, slots, turn, scale, view, then};
  const bool fresh = own_places(&a);
  bool joined = false;
  if (!fresh) rotate_store(&a);
  if (q.rows > FEW && one_row(view))
    attend_many(&a);
  else
    for (int32_t i = 0; i < q.rows; i += FEW) joined = attend_few(&a, i, min_i32(FEW, q.rows - i), fresh);
  follow(&a, joined);
}

/* ---- places as bytes: of each head the key's scales and elements, then the value's, as the CPU keeps them (cpu_kv.h) ---- */

enum { GROUP = 32 }; /* elements that share a scale, KV_Q8_0 */

/* KV_16: int16, of which the CPU's products ask that a key, as one vector, is at most so long. */
#define KEY_NORM 64225.0f

static int32_t scales_of(const kv *c) { return c->type == KV_Q8_0 ? (c->head_dim + GROUP - 1) / GROUP : 1; }
static size_t element_bytes(const kv *c) { return c->type == KV_Q8_0 ? 1 : sizeof(int16_t); }

size_t gpu_kv_place_bytes(const kv *c) {
  return (size_t)c->n_head * 2 * ((size_t)scales_of(c) * sizeof(float) + (size_t)c->head_dim * element_bytes(c));
}

static int32_t rounded(float x) { return (int32_t)(x < 0 ? x - 0.5f : x + 0.5f); }

/* The least power of two that is at least x: halves keep their bits in such units, so that what was saved once is saved without loss again. */
static float power_of_two(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  bits = (bits + 0x7fffffu) & 0x7f800000u;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* A head's row of halves; gives the next byte. */
static char *row_to_bytes(const kv *c, const uint16_t *row, bool key, char *at) {
  const int32_t d = c->head_dim, length = c->type == KV_Q8_0 ? GROUP : d;
  char *elements = at + (size_t)scales_of(c) * sizeof(float);
  for (int32_t i = 0; i < d; i += length) {
    const int32_t end = min_i32(i + length, d);
    float x[MAX_DIM], largest = 0, squares = 0, unit;
    for (int32_t j = i; j < end; j++) {
      const float value = x[j] = f16_to_f32(row[j]), size = value < 0 ? -value : value;
      largest = size > largest ? size : largest;
      squares += value * value;
    }
    if (c->type == KV_Q8_0)
      unit = largest / 127;
    else
      unit = power_of_two(key && sqrtf(squares) / KEY_NORM > largest / 32767 ? sqrtf(squares) / KEY_NORM
                                                                             : largest / 32767);
    if (squares != squares) unit = squares; /* a NaN stays one */
    memcpy(at, &unit, sizeof unit);
    at += sizeof unit;
    for (int32_t j = i; j < end; j++, elements += element_bytes(c)) {
      const int16_t wide = unit > 0 ? (int16_t)rounded(x[j] / unit) : 0;
      const int8_t narrow = (int8_t)wide;
      memcpy(elements, c->type == KV_Q8_0 ? (const void *)&narrow : &wide, element_bytes(c));
    }
  }
  return elements;
}

static const char *row_from_bytes(const kv *c, uint16_t *row, const char *at) {
  const int32_t length = c->type == KV_Q8_0 ? GROUP : c->head_dim;
  const char *elements = at + (size_t)scales_of(c) * sizeof(float);
  for (int32_t i = 0; i < c->head_dim; i++, elements += element_bytes(c)) {
    float unit;
    int16_t wide;
    int8_t narrow;
    memcpy(&unit, at + (size_t)(i / length) * sizeof unit, sizeof unit);
    memcpy(&wide, elements, element_bytes(c) == 1 ? 0 : sizeof wide);
    memcpy(&narrow, elements, sizeof narrow);
    const float x = unit * (float)(c->type == KV_Q8_0 ? narrow : wide);
    row[i] = f32_to_f16(x > 65504 ? 65504 : x < -65504 ? -65504 : x);
  }
  return elements;
}

/* How many of slots[n] lie side by side. */
static int32_t run_length(const int32_t *slots, int32_t n) {
  int32_t i = 1;
  while (i < n && slots[i] == slots[0] + i) i++;
  return i;
}

bool gpu_kv_get(backend *be, const kv *c, const int32_t *slots, int32_t n, void *bytes) {
  gpu *g = (gpu *)be;
  const size_t d = (size_t)c->head_dim, place = place_elements(c);
  uint16_t *k = mem_alloc((size_t)n * 2, place * sizeof *k), *v = k + (size_t)n * place;
  if (k == NULL) {
    be->lost = true;
    return false;
  }
  bool arrived = true;
  for (int32_t i = 0, run; i < n; i += run) {
    run = run_length(slots + i, n - i);
    const size_t from = (size_t)slots[i] * place, to = (size_t)i * place, size = (size_t)run * place * sizeof *k;
    /* All are asked for before the first one is waited for. */
    arrived &= gpu_read(g, c->k, from * sizeof *k, k + to, size);
    arrived &= gpu_read(g, c->v, from * sizeof *k, v + to, size);
  }
  char *at = bytes;
  for (size_t i = 0; arrived && i < (size_t)n * place; i += d) {
    at = row_to_bytes(c, k + i, true, at);
    at = row_to_bytes(c, v + i, false, at);
  }
  mem_free(k);
  return arrived;
}

void gpu_kv_put(backend *be, kv *c, const int32_t *slots, int32_t n, const void *bytes) {
  gpu *g = (gpu *)be;
  const size_t d = (size_t)c->head_dim, place = place_elements(c);
  uint16_t *k = mem_alloc((size_t)n * 2, place * sizeof *k), *v = k + (size_t)n * place;
  if (k == NULL) {
    be->lost = true;
    return;
  }
  const char *at = bytes;
  for (size_t i = 0; i < (size_t)n * place; i += d) {
    at = row_from_bytes(c, k + i, at);
    at = row_from_bytes(c, v + i, at);
  }
  for (int32_t i = 0, run; i < n; i += run) {
    run = run_length(slots + i, n - i);
    const size_t from = (size_t)i * place, to = (size_t)slots[i] * place, size = (size_t)run * place * sizeof *k;
    gpu_write(g, c->k, to * sizeof *k, k + from, size);
    gpu_write(g, c->v, to * sizeof *k, v + from, size);
  }
  mem_free(k);
}
