/* The kernels of attention: the part of kernels_body.h, which includes this, that works on keys and values in places. */

static void attend_slots(float *y, const int16_t *q, float q_scale, float cap, const int16_t *k, const float *k_scale,
                         const int16_t *v, const float *v_scale, int32_t d, const int32_t *slots, int32_t length,
                         float *scores) {
  for (int32_t i = 0; i < length; i++) {
    const int16_t *key = k + (size_t)slots[i] * (size_t)d;
    vi sum = vi_zero();
    for (int32_t j = 0; j < d; j += 2 * VW) sum = vi_dot16_add(sum, vi_load(q + j), vi_load(key + j));
    int32_t lanes[VW], total = 0;
    vi_store(lanes, sum);
    for (int l = 0; l < VW; l++) total = (int32_t)((uint32_t)total + (uint32_t)lanes[l]);
    scores[i] = (float)total * k_scale[slots[i]];
  }
  if (cap > 0) softcap(scores, length, q_scale, cap);
  const float inverse = 1.0f / exp_sum(scores, length, cap > 0 ? 1.0f : q_scale);
  for (int32_t j = 0; j < d; j += 4 * VW) {
    vf sum[4];
    UNROLL for (int h = 0; h < 4; h++) sum[h] = vf_set1(0);
    for (int32_t i = 0; i < length; i++) {
      const int16_t *value = v + (size_t)slots[i] * (size_t)d + j;
      const vf p = vf_set1(scores[i] * v_scale[slots[i]]);
      UNROLL for (int h = 0; h < 4; h++) sum[h] = vf_fma(p, vf_from_i16(value + h * VW), sum[h]);
    }
    UNROLL for (int h = 0; h < 4; h++) vf_store(y + j + h * VW, vf_mul(sum[h], vf_set1(inverse)));
  }
}

static const attention_kernels attention = {.slots = attend_slots};
