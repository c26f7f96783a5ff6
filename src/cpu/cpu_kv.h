/* Keys and values in CPU memory.
 *
 *   KV_WHOLE   for each head, keys as right panels whose columns are places and values as right panels whose columns are
 *              dimensions (kernels.h), so that both products of attention are tiles of the matrix kernel
 *   KV_SLOTS   rows [head][place][padded_dim]; padding is zero. KV_16: int16 with one f32 scale a row. KV_Q8_0: int8 with a scale for
 *              every KV_GROUP elements, of keys [head][place][group], of values [head][group][place] */
#ifndef SOTTO_CPU_KV_H
#define SOTTO_CPU_KV_H

#include "cpu.h"

#define KV_BLOCK_PANELS 4 /* KV_WHOLE: left panels of queries in an item of attention */

struct kv {
  int kind;
  kv_type type;
  int32_t n_slots, n_head, head_dim;
  int32_t padded_slots, padded_dim; /* columns of the panels; in KV_SLOTS, elements of a row */
  int32_t groups;                   /* KV_SLOTS: scales of a row */
  void *k, *v;                      /* int16, KV_Q8_0: int8 */
  float *k_scale, *v_scale;
};

/* KV_WHOLE: elements of one head's keys and values. */
static inline size_t kv_key_size(const kv *a) {
  return (size_t)divide_up(a->head_dim, 2) * 2 * (size_t)a->padded_slots;
}
static inline size_t kv_value_size(const kv *a) { return (size_t)divide_up(a->n_slots, 2) * 2 * (size_t)a->padded_dim; }

/* KV_SLOTS: one head's row of a place. */
typedef struct kv_row {
  void *k, *v;
  float *k_scale, *v_scale; /* groups of k lie side by side, those of v n_slots apart */
} kv_row;

static inline kv_row kv_row_at(const kv *a, int32_t head, int32_t slot) {
  const size_t place = (size_t)head * (size_t)a->n_slots + (size_t)slot, groups = (size_t)a->groups;
  const size_t at = place * (size_t)a->padded_dim * (a->type == KV_Q8_0 ? 1 : sizeof(int16_t));
  return (kv_row){.k = (char *)a->k + at,
                  .v = (char *)a->v + at,
                  .k_scale = a->k_scale + place * groups,
                  .v_scale = a->v_scale + (size_t)head * groups * (size_t)a->n_slots + (size_t)slot};
}

/* A whole row as int16 with one unit: at most `norm_limit` long, and at most FIXED_MAX an element. */
static inline float kv_quantize(const kernels *k, const float *x, int32_t n, float norm_limit, int16_t *out) {
  float largest, norm = k->norm(x, n, &largest), unit = fixed_unit(norm, largest, norm_limit);
  k->quantize_pairs(x, n, unit, out, 1);
  return unit;
}

/* KV_SLOTS: k and v [n_head * head_dim] go to a place. */
void cpu_kv_store_row(const kernels *kernel, kv *a, const float *k, const float *v, int32_t slot);

/* The two parts of self attention (ops.h): q and k are rotated, and k and v stored; then queries see places. */
void cpu_place(backend *be, tensor q, tensor k, tensor v, kv *a, const int32_t *slots, const rotation *turn);
void cpu_attend(backend *be, tensor y, tensor q, const kv *a, float scale, const kv_view *view);

/* Memory that attention over places of rows of padded_dim needs; false: there is none. Only while opening. */
bool cpu_attention_grow(cpu *c, int32_t padded_dim);

#endif
