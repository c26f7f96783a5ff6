/* Keys and values: memory, filling, and places as bytes. */
#include "cpu_kv.h"

#define SLOT_DIMS 64 /* a head's rows in KV_SLOTS are padded to multiples of this */

static bool open_whole(cpu *c, kv *a) {
  const int32_t nr = c->k->nr, mr = c->k->mr;
  a->padded_slots = divide_up(a->n_slots, nr) * nr;
  a->padded_dim = divide_up(a->head_dim, nr) * nr;
  const size_t heads = (size_t)a->n_head;
  a->k = mem_alloc(heads, kv_key_size(a) * sizeof(int16_t));
  a->v = mem_alloc(heads, kv_value_size(a) * sizeof(int16_t));
  a->k_scale = mem_alloc(heads, (size_t)a->padded_slots * sizeof(float));
  a->v_scale = mem_alloc(heads, (size_t)a->padded_dim * sizeof(float));
  /* Scratch of an item, as whole_item takes it. */
  const size_t rows = (size_t)(KV_BLOCK_PANELS * mr),
               stretches = (size_t)divide_up(max_i32(a->n_slots, a->head_dim), UNIT_LENGTH);
  return cpu_grow_scratch(c, 4 * 64 + rows * (stretches * 4 + ((size_t)max_i32(a->n_slots, a->head_dim) + 1) * 2 +
                                              (size_t)a->padded_slots * 4 + (size_t)a->padded_dim * 4));
}

static bool open_slots(cpu *c, kv *a) {
  const bool eight = a->type == KV_Q8_0;
  a->padded_slots = a->n_slots;
  a->padded_dim = divide_up(a->head_dim, SLOT_DIMS) * SLOT_DIMS;
  a->groups = eight ? a->padded_dim / KV_GROUP : 1;
  const size_t rows = (size_t)a->n_head * (size_t)a->n_slots;
  const size_t row_bytes = (size_t)a->padded_dim * (eight ? 1 : sizeof(int16_t));
  a->k = mem_alloc(rows, row_bytes);
  a->v = mem_alloc(rows, row_bytes);
  a->k_scale = mem_alloc(rows, (size_t)a->groups * sizeof(float));
  a->v_scale = mem_alloc(rows, (size_t)a->groups * sizeof(float));
  return cpu_attention_grow(c, a->padded_dim);
}

kv *cpu_kv_open(backend *be, int kind, kv_type type, int32_t n_slots, int32_t n_head, int32_t head_dim) {
  cpu *c = (cpu *)be;
  if (n_slots < 1 || n_head < 1 || head_dim < 1 || n_slots > 1 << 24 || head_dim > 1 << 16) return NULL;
  if (kind == KV_WHOLE && type != KV_16) return NULL;
  kv *a = mem_alloc(1, sizeof *a);
  if (!a) return NULL;
  *a = (kv){.kind = kind, .type = type, .n_slots = n_slots, .n_head = n_head, .head_dim = head_dim};
  bool grown = kind == KV_WHOLE ? open_whole(c, a) : open_slots(c, a);
  if (grown && a->k && a->v && a->k_scale && a->v_scale) return a;
  cpu_kv_close(be, a);
  return NULL;
}

void cpu_kv_close(backend *be, kv *a) {
  (void)be;
  if (!a) return;
  mem_free(a->k);
  mem_free(a->v);
  mem_free(a->k_scale);
  mem_free(a->v_scale);
  mem_free(a);
}

/* -- filling -- */

typedef struct fill_job {
  const cpu *c;
  kv *a;
  tensor k, v;
} fill_job;

/* One head's keys (even items) or values (odd items). */
static void fill_item(void *context, int32_t item, int32_t thread) {
  (void)thread;
  const fill_job *j = context;
  const kernels *kernel = j->c->k;
  kv *a = j->a;
  const int32_t head = item / 2, column = head * a->head_dim;
  const size_t nr = (size_t)kernel->nr;
  if (item % 2 == 0) {
    const size_t panel_size = (size_t)divide_up(a->head_dim, 2) * 2 * nr;
    for (int32_t s = 0; s < a->n_slots; s++)
      a->k_scale[(size_t)head * (size_t)a->padded_slots + (size_t)s] = quantize_right(
          kernel, tensor_at(j->k, s) + column, a->head_dim,
          (int16_t *)a->k + (size_t)head * kv_key_size(a) + (size_t)s / nr * panel_size + (size_t)s % nr * 2, nr);
  } else {
    for (int32_t d = 0; d < a->head_dim; d += kernel->nr)
      kernel->quantize_columns(
          tensor_at(j->v, 0) + column + d, (size_t)j->v.stride, a->n_slots, a->head_dim - d,
          (int16_t *)a->v + (size_t)head * kv_value_size(a) + (size_t)divide_up(a->n_slots, 2) * 2 * (size_t)d,
          a->v_scale + (size_t)head * (size_t)a->padded_dim + d);
  }
}

void cpu_kv_fill(backend *be, kv *a, tensor k, tensor v) {
  fill_job job = {(cpu *)be, a, k, v};
  cpu_run(job.c, fill_item, &job, 2 * a->n_head, 2.0 * k.rows * k.cols);
}

/* int8 with a scale for each group of x[n]; scales lie `stride` apart. */
static void quantize_groups(const kernels *k, const float *x, int32_t n, int8_t *out, float *scales, size_t stride) {
  for (int32_t g = 0; g < n; g += KV_GROUP, scales += stride) {
    const int32_t length = min_i32(KV_GROUP, n - g);
    int16_t wide[KV_GROUP] = {0};
    float largest, norm = k->norm(x + g, length, &largest);
    *scales = norm == norm ? fixed_unit(0, largest, 1) * (FIXED_MAX / 127) : norm;
    k->quantize_pairs(x + g, length, *scales, wide, 1);
    for (int32_t i = 0; i < length; i++) out[g + i] = (int8_t)wide[i];
  }
}

void cpu_kv_store_row(const kernels *kernel, kv *a, const float *k, const float *v, int32_t slot) {
  const int32_t d = a->head_dim;
  for (int32_t head = 0; head < a->n_head; head++, k += d, v += d) {
    const kv_row r = kv_row_at(a, head, slot);
    if (a->type == KV_Q8_0) {
      quantize_groups(kernel, k, d, r.k, r.k_scale, 1);
      quantize_groups(kernel, v, d, r.v, r.v_scale, (size_t)a->n_slots);
    } else {
      *r.k_scale = kv_quantize(kernel, k, d, FIXED_NORM_B, r.k);
      *r.v_scale = quantize_by_largest(kernel, v, d, r.v);
    }
  }
}

/* -- places as bytes: of each head the key's scales and elements, then the value's; no padding -- */

static int32_t used_groups(const kv *a) { return a->type == KV_Q8_0 ? divide_up(a->head_dim, KV_GROUP) : 1; }
static size_t used_bytes(const kv *a) { return (size_t)a->head_dim * (a->type == KV_Q8_0 ? 1 : sizeof(int16_t)); }

size_t cpu_kv_place_bytes(const kv *a) {
  return (size_t)a->n_head * 2 * ((size_t)used_groups(a) * sizeof(float) + used_bytes(a));
}

bool cpu_kv_get(backend *be, const kv *a, const int32_t *slots, int32_t n, void *bytes) {
  (void)be;
  char *at = bytes;
  for (int32_t i = 0; i < n; i++) {
    for (int32_t head = 0; head < a->n_head; head++) {
      const kv_row r = kv_row_at(a, head, slots[i]);
      for (int32_t g = 0; g < used_groups(a); g++, at += sizeof(float)) memcpy(at, r.k_scale + g, sizeof(float));
      memcpy(at, r.k, used_bytes(a)), at += used_bytes(a);
      for (int32_t g = 0; g < used_groups(a); g++, at += sizeof(float))
        memcpy(at, r.v_scale + (size_t)g * (size_t)a->n_slots, sizeof(float));
      memcpy(at, r.v, used_bytes(a)), at += used_bytes(a);
    }
  }
  return true;
}

void cpu_kv_copy(backend *be, kv *to, const kv *from, const int32_t *slots, int32_t n) {
  (void)be;
  for (int32_t i = 0; i < n; i++) {
    for (int32_t head = 0; head < to->n_head; head++) {
      const kv_row a = kv_row_at(to, head, slots[i]), b = kv_row_at(from, head, slots[i]);
      memcpy(a.k, b.k, used_bytes(to));
      memcpy(a.v, b.v, used_bytes(to));
      memcpy(a.k_scale, b.k_scale, (size_t)used_groups(to) * sizeof(float));
      for (int32_t g = 0; g < used_groups(to); g++)
        a.v_scale[(size_t)g * (size_t)to->n_slots] = b.v_scale[(size_t)g * (size_t)from->n_slots];
    }
  }
}

void cpu_kv_put(backend *be, kv *a, const int32_t *slots, int32_t n, const void *bytes) {
  (void)be;
  const char *at = bytes;
  for (int32_t i = 0; i < n; i++) {
    for (int32_t head = 0; head < a->n_head; head++) {
      const kv_row r = kv_row_at(a, head, slots[i]);
      for (int32_t g = 0; g < used_groups(a); g++, at += sizeof(float)) memcpy(r.k_scale + g, at, sizeof(float));
      memcpy(r.k, at, used_bytes(a)), at += used_bytes(a);
      for (int32_t g = 0; g < used_groups(a); g++, at += sizeof(float))
        memcpy(r.v_scale + (size_t)g * (size_t)a->n_slots, at, sizeof(float));
      memcpy(r.v, at, used_bytes(a)), at += used_bytes(a);
    }
  }
}
