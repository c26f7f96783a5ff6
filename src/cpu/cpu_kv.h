/* Keys and values in CPU memory.
 *
 *   KV_WHOLE   for each head, keys as right panels whose columns are places and values as right panels whose columns are
 *              dimensions (kernels.h), so that both products of attention are tiles of the matrix kernel
 *   KV_SLOTS   rows [head][place][padded_dim]; padding is zero. KV_16: int16 with one f32 scale a row */
#ifndef SOTTO_CPU_KV_H
#define SOTTO_CPU_KV_H

#include "cpu.h"

#define KV_BLOCK_PANELS 4 /* KV_WHOLE: left panels of queries in an item of attention */

struct kv {
  int kind;
  kv_type type;
  int32_t n_slots, n_head, head_dim;
  int32_t padded_slots, padded_dim; /* columns of the panels; in KV_SLOTS, elements of a row */
  int16_t *k, *v;
  float *k_scale, *v_scale;
};

/* KV_WHOLE: elements of one head's keys and values. */
static inline size_t kv_key_size(const kv *a) {
  return (size_t)divide_up(a->head_dim, 2) * 2 * (size_t)a->padded_slots;
}
static inline size_t kv_value_size(const kv *a) { return (size_t)divide_up(a->n_slots, 2) * 2 * (size_t)a->padded_dim; }

#endif
