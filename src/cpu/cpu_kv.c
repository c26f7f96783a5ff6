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
  a->padded_slots = a->n_slots;
  a->padded_dim = divide_up(a->head_dim, SLOT_DIMS) * SLOT_DIMS;
  const size_t rows = (size_t)a->n_head * (size_t)a->n_slots;
  a->k = mem_alloc(rows, (size_t)a->padded_dim * sizeof(int16_t));
  a->v = mem_alloc(rows, (size_t)a->padded_dim * sizeof(int16_t));
  a->k_scale = mem_alloc(rows, sizeof(float));
  a->v_scale = mem_alloc(rows, sizeof(float));
  return cpu_grow_scratch(c, (size_t)a->n_slots * 4 + (size_t)a->padded_dim * 6 + 64);
}

kv *cpu_kv_open(backend *be, int kind, kv_type type, int32_t n_slots, int32_t n_head, int32_t head_dim) {
  cpu *c = (cpu *)be;
  if (type != KV_16) return NULL;
  if (n_slots < 1 || n_head < 1 || head_dim < 1 || n_slots > 1 << 24 || head_dim > 1 << 16) return NULL;
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
      a->k_scale[(size_t)head * (size_t)a->padded_slots + (size_t)s] =
          quantize_right(kernel, tensor_at(j->k, s) + column, a->head_dim,
                         a->k + (size_t)head * kv_key_size(a) + (size_t)s / nr * panel_size + (size_t)s % nr * 2, nr);
  } else {
    for (int32_t d = 0; d < a->head_dim; d += kernel->nr)
      kernel->quantize_columns(
          tensor_at(j->v, 0) + column + d, (size_t)j->v.stride, a->n_slots, a->head_dim - d,
          a->v + (size_t)head * kv_value_size(a) + (size_t)divide_up(a->n_slots, 2) * 2 * (size_t)d,
          a->v_scale + (size_t)head * (size_t)a->padded_dim + d);
  }
}

void cpu_kv_fill(backend *be, kv *a, tensor k, tensor v) {
  fill_job job = {(cpu *)be, a, k, v};
  cpu_run(job.c, fill_item, &job, 2 * a->n_head, 2.0 * k.rows * k.cols);
}

void cpu_kv_store(backend *be, kv *a, tensor k, tensor v, const int32_t *slots) {
  const cpu *c = (cpu *)be;
  for (int32_t i = 0; i < k.rows; i++) {
    for (int32_t head = 0; head < a->n_head; head++) {
      const size_t place = (size_t)head * (size_t)a->n_slots + (size_t)slots[i], at = place * (size_t)a->padded_dim;
      const int32_t column = head * a->head_dim;
      a->k_scale[place] = quantize_right(c->k, tensor_at(k, i) + column, a->head_dim, a->k + at, 1);
      a->v_scale[place] = quantize_right(c->k, tensor_at(v, i) + column, a->head_dim, a->v + at, 1);
    }
  }
}

/* -- places as bytes: of each head the key's scale and elements, then the value's -- */

size_t cpu_kv_place_bytes(const kv *a) {
  return (size_t)a->n_head * 2 * (sizeof(float) + (size_t)a->head_dim * sizeof(int16_t));
}

bool cpu_kv_get(backend *be, const kv *a, const int32_t *slots, int32_t n, void *bytes) {
  (void)be;
  const size_t row_bytes = (size_t)a->head_dim * sizeof(int16_t);
  char *at = bytes;
  for (int32_t i = 0; i < n; i++) {
    for (int32_t head = 0; head < a->n_head; head++) {
      const size_t place = (size_t)head * (size_t)a->n_slots + (size_t)slots[i], row = place * (size_t)a->padded_dim;
      memcpy(at, a->k_scale + place, sizeof(float)), at += sizeof(float);
      memcpy(at, a->k + row, row_bytes), at += row_bytes;
      memcpy(at, a->v_scale + place, sizeof(float)), at += sizeof(float);
      memcpy(at, a->v + row, row_bytes), at += row_bytes;
    }
  }
  return true;
}

void cpu_kv_put(backend *be, kv *a, const int32_t *slots, int32_t n, const void *bytes) {
  (void)be;
  const size_t row_bytes = (size_t)a->head_dim * sizeof(int16_t);
  const char *at = bytes;
  for (int32_t i = 0; i < n; i++) {
    for (int32_t head = 0; head < a->n_head; head++) {
      const size_t place = (size_t)head * (size_t)a->n_slots + (size_t)slots[i], row = place * (size_t)a->padded_dim;
      memcpy(a->k_scale + place, at, sizeof(float)), at += sizeof(float);
      memcpy(a->k + row, at, row_bytes), at += row_bytes;
      memcpy(a->v_scale + place, at, sizeof(float)), at += sizeof(float);
      memcpy(a->v + row, at, row_bytes), at += row_bytes;
    }
  }
}
