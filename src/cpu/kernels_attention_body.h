/* The kernels of attention over places: the part of kernels_body.h, which includes this, that kernels_attention.h describes. */

/* -- scores -- */

/* A kernel takes four places, a quarter of the block apart: neighbours would be read side by side in one page of memory, where prefetchers
 * see no stream (4096 places that are not in cache: 111 us, not 285). */

/* m rows times four places, to at[4] of each row. */
INLINE void scores_16_of_4(const int m, const int16_t *q, int32_t d, const int16_t *const k[4], float *x,
                           const int32_t *at) {
  vi sum[2][4];
  UNROLL for (int r = 0; r < m; r++) UNROLL for (int p = 0; p < 4; p++) sum[r][p] = vi_zero();
  NO_UNROLL for (int32_t j = 0; j < d; j += 2 * VW) {
    const vi a = vi_load(q + j), b = m > 1 ? vi_load(q + d + j) : a;
    UNROLL for (int p = 0; p < 4; p++) {
      const vi key = vi_load(k[p] + j);
      sum[0][p] = vi_dot16_add(sum[0][p], a, key);
      if (m > 1) sum[1][p] = vi_dot16_add(sum[1][p], b, key);
      if (m > 1) KEEP(sum[0][p], sum[1][p]);
    }
  }
  UNROLL for (int r = 0; r < m; r++) {
    int32_t total[4];
    vi_sum4(total, sum[r][0], sum[r][1], sum[r][2], sum[r][3]);
    for (int p = 0; p < 4; p++) memcpy(x + r * KV_BLOCK + at[p], total + p, sizeof *total);
  }
}

static void scores_16(const kv_block *b) {
  float scale[KV_BLOCK] = {0};
  const size_t d = (size_t)b->d;
  const int32_t quarter = (b->n + 3) / 4;
  for (int32_t i = 0; i < quarter; i++) {
    int32_t at[4];
    const int16_t *k[4];
    for (int p = 0; p < 4; p++) {
      at[p] = min_i32(i + p * quarter, b->n - 1);
      const size_t place = (size_t)b->slots[at[p]];
      k[p] = (const int16_t *)b->k + place * d;
      scale[at[p]] = b->k_scale[place];
    }
    int32_t r = 0;
    for (; r + 2 <= b->rows; r += 2) scores_16_of_4(2, b->q + (size_t)r * d, b->d, k, b->x + r * KV_BLOCK, at);
    if (r < b->rows) scores_16_of_4(1, b->q + (size_t)r * d, b->d, k, b->x + r * KV_BLOCK, at);
  }
  for (int32_t r = 0; r < b->rows; r++) {
    float *x = b->x + r * KV_BLOCK;
    for (int32_t i = 0; i < b->n; i += VW) vf_store(x + i, vf_mul(vi_to_vf(vi_load(x + i)), vf_load(scale + i)));
  }
}

INLINE void scores_8_of_4(const int m, const int16_t *q, int32_t d, const int8_t *const k[4],
                          const float *const scale[4], float *x, const int32_t *at) {
  vf sum[2][4];
  UNROLL for (int r = 0; r < m; r++) UNROLL for (int p = 0; p < 4; p++) sum[r][p] = vf_set1(0);
  NO_UNROLL for (int32_t g = 0; g < d / KV_GROUP; g++) {
    UNROLL for (int p = 0; p < 4; p++) {
      vi part[2] = {vi_zero(), vi_zero()};
      UNROLL for (int j = 0; j < KV_GROUP; j += 2 * VW) {
        const vi key = vi_load_s8(k[p] + KV_GROUP * g + j);
        UNROLL for (int r = 0; r < m; r++) part[r] =
            vi_dot16_add(part[r], vi_load(q + (size_t)r * (size_t)d + KV_GROUP * g + j), key);
      }
      const vf s = vf_splat(scale[p] + g);
      UNROLL for (int r = 0; r < m; r++) sum[r][p] = vf_fma(vi_to_vf(part[r]), s, sum[r][p]);
    }
  }
  UNROLL for (int r = 0; r < m; r++) {
    float total[4];
    vf_sum4(total, sum[r][0], sum[r][1], sum[r][2], sum[r][3]);
    for (int p = 0; p < 4; p++) x[r * KV_BLOCK + at[p]] = total[p];
  }
}

static void scores_8(const kv_block *b) {
  const size_t d = (size_t)b->d;
  const int32_t quarter = (b->n + 3) / 4;
  for (int32_t i = 0; i < quarter; i++) {
    int32_t at[4];
    const int8_t *k[4];
    const float *scale[4];
    for (int p = 0; p < 4; p++) {
      at[p] = min_i32(i + p * quarter, b->n - 1);
      const size_t place = (size_t)b->slots[at[p]];
      k[p] = (const int8_t *)b->k + place * d;
      scale[p] = b->k_scale + place * (d / KV_GROUP);
    }
    int32_t r = 0;
    for (; r + 2 <= b->rows; r += 2) scores_8_of_4(2, b->q + (size_t)r * d, b->d, k, scale, b->x + r * KV_BLOCK, at);
    if (r < b->rows) scores_8_of_4(1, b->q + (size_t)r * d, b->d, k, scale, b->x + r * KV_BLOCK, at);
  }
}

/* -- softmax -- */

static float weigh(float *x, int32_t n, float factor, float *top, float *sum) {
  if (n < 1) return 1.0f;
  vf most = vf_set1(*top);
  int32_t i = 0;
  for (; i + VW <= n; i += VW) most = vf_max(vf_load(x + i), most);
  float largest = vf_largest(most);
  for (int32_t j = i; j < n; j++) largest = x[j] > largest ? x[j] : largest;
  const exp_constants constants = exp_prepare();
  const vf f = vf_set1(factor), m = vf_set1(largest);
  float shrink = 1.0f;
  if (largest != *top) {
    shrink = vf_largest(vf_exp(vf_mul(vf_sub(vf_set1(*top), m), f), &constants));
    *top = largest;
  }
  vf total = vf_set1(0);
  for (i = 0; i + VW <= n; i += VW) {
    const vf e = vf_exp(vf_mul(vf_sub(vf_load(x + i), m), f), &constants);
    vf_store(x + i, e);
    total = vf_add(total, e);
  }
  float rest = 0;
  if (i < n) {
    float tail[VW] = {0};
    const size_t bytes = (size_t)(n - i) * sizeof *x;
    memcpy(tail, x + i, bytes);
    vf_store(tail, vf_exp(vf_mul(vf_sub(vf_load(tail), m), f), &constants));
    memcpy(x + i, tail, bytes);
    for (int32_t j = 0; j < n - i; j++) rest += tail[j];
  }
  *sum = *sum * shrink + vf_sum(total) + rest;
  return shrink;
}

/* -- values -- */

/* weights[n] = x * scale / unit, 0 outside of [begin, end) and behind n in whole vectors; gives the unit. */
static float quantize_weights(const float *x, const float *scale, int32_t begin, int32_t end, int32_t n,
                              int16_t *weights) {
  float product[KV_BLOCK], sum = 0, most = 0;
  vf sums = vf_set1(0), largest = sums;
  int32_t i = 0;
  for (; i < min_i32(begin, n); i++) product[i] = 0;
  for (; i + VW <= end; i += VW) {
    const vf w = vf_mul(vf_load(x + i), vf_load(scale + i));
    vf_store(product + i, w);
    sums = vf_add(sums, w);
    largest = vf_max(w, largest);
  }
  for (; i < end; i++) {
    product[i] = x[i] * scale[i];
    sum += product[i];
    most = product[i] > most ? product[i] : most;
  }
  const int32_t padded = (n + 2 * VW - 1) / (2 * VW) * 2 * VW;
  for (; i < padded; i++) product[i] = 0;
  const float whole = vf_largest(largest);
  const float unit = fixed_unit(sum + vf_sum(sums), whole > most ? whole : most, WEIGHT_SUM);
  const vf inverse = vf_set1(unit > 0 ? 1.0f / unit : 0);
  for (i = 0; i < padded; i += 2 * VW)
    vi_store(weights + i,
             vi_narrow16(vf_mul(vf_load(product + i), inverse), vf_mul(vf_load(product + i + VW), inverse)));
  return unit;
}

/* Elements [e, e + 2 * VW) of rows [first, first + m). */
INLINE void values_of(const bool eight, const int m, const void *const *v, size_t e, const kv_block *b, int32_t first,
                      const float *unit) {
  const int16_t *weights = b->weights + first * KV_BLOCK;
  vi sum[4][2];
  UNROLL for (int r = 0; r < m; r++) sum[r][0] = sum[r][1] = vi_zero();
  NO_UNROLL for (int32_t i = 0; i < b->n; i += 2) {
    const vi v0 = eight ? vi_load_s8((const int8_t *)v[i] + e) : vi_load((const int16_t *)v[i] + e);
    const vi v1 = eight ? vi_load_s8((const int8_t *)v[i + 1] + e) : vi_load((const int16_t *)v[i + 1] + e);
    const vi low = vi_zip_low(v0, v1), high = vi_zip_high(v0, v1);
    UNROLL for (int r = 0; r < m; r++) {
      const vi w = vi_splat32(weights + r * KV_BLOCK + i);
      sum[r][0] = vi_dot16_add(sum[r][0], w, low);
      sum[r][1] = vi_dot16_add(sum[r][1], w, high);
      KEEP(sum[r][0], sum[r][1]);
    }
  }
  UNROLL for (int r = 0; r < m; r++) {
    const vf u = vf_splat(unit + first + r), shrink = vf_splat(b->shrink + first + r);
    float *y = b->y + (size_t)(first + r) * (size_t)b->d + e;
    vf low = vi_to_vf(sum[r][0]), high = vi_to_vf(sum[r][1]);
    vf_unzip(&low, &high);
    vf_store(y, vf_fma(low, u, vf_mul(vf_load(y), shrink)));
    vf_store(y + VW, vf_fma(high, u, vf_mul(vf_load(y + VW), shrink)));
  }
}

INLINE void values(const bool eight, const kv_block *b) {
  const void *v[KV_BLOCK + 1];
  float scale[KV_BLOCK], unit[KV_ROWS];
  const size_t d = (size_t)b->d, group = eight ? KV_GROUP : d, n = (size_t)b->n;
  for (size_t i = 0; i < n; i++) v[i] = (const char *)b->v + (size_t)b->slots[i] * d * (eight ? 1 : 2);
  v[n] = v[n - 1]; /* of an odd number: its weight is 0 */
  for (size_t at = 0; at < d; at += group) {
    const float *of_group = b->v_scale + at / group * b->v_stride;
    for (size_t i = 0; i < n; i++) scale[i] = of_group[b->slots[i]];
    for (int32_t r = 0; r < b->rows; r++)
      unit[r] = quantize_weights(b->x + r * KV_BLOCK, scale, b->begin[r], b->end[r], b->n, b->weights + r * KV_BLOCK);
    /* A few elements of all places stay in the first cache while the rows pass by. */
    for (size_t e = at; e < at + group; e += 2 * VW) {
      int32_t r = 0;
      for (; r + 4 <= b->rows; r += 4) values_of(eight, 4, v, e, b, r, unit);
      if (b->rows - r == 3) values_of(eight, 3, v, e, b, r, unit);
      if (b->rows - r == 2) values_of(eight, 2, v, e, b, r, unit);
      if (b->rows - r == 1) values_of(eight, 1, v, e, b, r, unit);
    }
  }
}

static void values_16(const kv_block *b) { values(false, b); }
static void values_8(const kv_block *b) { values(true, b); }

static const attention_kernels attention = {
    .scores = {scores_16, scores_8},
    .values = {values_16, values_8},
    .weigh = weigh,
};
