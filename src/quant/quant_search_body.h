/* The search for scales: for each sub-block some ways to round are tried, and each is judged by the scale (and minimum) that fits it best, which least
 * squares give at once.
 *
 *     x ~ s l + m, weights w:   sums A = w l, B = w l l, C = w x l, W = w, X = w x
 *     s = (W C - X A) / (W B - A A), m = (B X - C A) / (W B - A A); m above 0 becomes 0, then s = C / B
 *     the weighted square error is the sum of w x x less the gain s C + m X: the largest gain wins
 *
 * In blocks of 256 scales and minima become integers of few bits, and of those near by the pair with the least error is taken.
 *
 * Large elements weigh more than small ones (with root mean square r of the block: r + |x|; by importance i: i sqrt(2 r² + x²)). */

typedef struct fit {
  float step, low; /* x ~ step l - low */
  float gain;
} fit;

enum { TRIES = 9, REFINEMENTS = 2, REACH = 1 };

INLINE float sum8(const v8f *p) {
  float v[8];
  STORE(v, *p);
  return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

/* v rounded to an integer of [low, high]. |v| beyond 2^22 and NaN give some of them. */
INLINE v8f round_in(v8f v, int low, int high) {
  v8i i = BITS(v + 12582912.0f) - 0x4B400000;
  const v8i above = i > EACH_I(low);
  i = SELECT_I(above, i, EACH_I(low));
  const v8i below = i < EACH_I(high);
  i = SELECT_I(below, i, EACH_I(high));
  return __builtin_convertvector(i, v8f);
}

/* How a rounding with step 1 / inv and minimum `low` does, after the best scale for it; false: it is no use. */
INLINE bool try_with_min(const v8f *x, const v8f *w, int nv, int levels, float inv, float low, float sum_w, float sum_x,
                         fit *f) {
  v8f a = EACH(0.0f), b = a, c = a;
  for (int k = 0; k < nv; k++) {
    const v8f l = round_in((x[k] + low) * inv, 0, levels), wl = w[k] * l, wll = wl * l, wxl = wl * x[k];
    a += wl;
    b += wll;
    c += wxl;
  }
  const float A = sum8(&a), B = sum8(&b), C = sum8(&c), WB = sum_w * B, AA = A * A, D = WB - AA;
  if (!(D > 0)) return false;
  const float WC = sum_w * C, XA = sum_x * A, BX = B * sum_x, CA = C * A;
  float s = (WC - XA) / D, m = (BX - CA) / D;
  if (m > 0) {
    m = 0;
    s = C / B;
  }
  const float sC = s * C, mX = m * sum_x;
  *f = (fit){s, -m, sC + mX};
  return s > 0;
}

static fit fit_with_min(const float *values, const float *weights, int nv, int levels) {
  v8f x[4], w[4], low = EACH(0.0f), high = EACH(-3.4e38f), sw = EACH(0.0f), sx = sw;
  for (int k = 0; k < nv; k++) {
    LOAD(x[k], values + 8 * k);
    LOAD(w[k], weights + 8 * k);
    const v8i less = x[k]<low, more = x[k]> high;
    low = SELECT(less, x[k], low);
    high = SELECT(more, x[k], high);
    const v8f wx = w[k] * x[k];
    sw += w[k];
    sx += wx;
  }
  float lo = low[0], hi = high[0];
  for (int l = 1; l < 8; l++) {
    lo = low[l] < lo ? low[l] : lo;
    hi = high[l] > hi ? high[l] : hi;
  }
  const float range = hi - lo, sum_w = sum8(&sw), sum_x = sum8(&sx);
  fit best = {range > 0 ? range / (float)levels : 0, -lo, 0};
  if (!(range > 0) || !(sum_w > 0)) return best;
  best.gain = -3.4e38f;
  for (int i = 0; i < TRIES; i++) {
    fit f;
    const float inv = ((float)levels + 0.2f * (float)(i - TRIES / 2)) / range;
    if (try_with_min(x, w, nv, levels, inv, -lo, sum_w, sum_x, &f) && f.gain > best.gain) best = f;
  }
  for (int i = 0; i < REFINEMENTS && best.step > 0; i++) {
    fit f;
    if (!try_with_min(x, w, nv, levels, 1.0f / best.step, best.low, sum_w, sum_x, &f) || !(f.gain > best.gain)) break;
    best = f;
  }
  return best;
}

/* Without a minimum: integers of [-half, half). */
static fit fit_signed(const float *values, const float *weights, int nv, int half) {
  v8f x[4], w[4];
  float most = 0;
  for (int k = 0; k < nv; k++) {
    LOAD(x[k], values + 8 * k);
    LOAD(w[k], weights + 8 * k);
  }
  for (int j = 0; j < 8 * nv; j++)
    if (fabsf(values[j]) > fabsf(most)) most = values[j];
  fit best = {most / (float)-half, 0, -1};
  if (most == 0) return best;
  for (int i = 0; i < TRIES + REFINEMENTS; i++) {
    const float inv = i < TRIES ? ((float)-half + 0.2f * (float)(i - TRIES / 2)) / most : inverse(best.step);
    v8f b = EACH(0.0f), c = b;
    for (int k = 0; k < nv; k++) {
      const v8f l = round_in(x[k] * inv, -half, half - 1), wl = w[k] * l, wll = wl * l, wxl = wl * x[k];
      b += wll;
      c += wxl;
    }
    const float B = sum8(&b), C = sum8(&c);
    if (!(B > 0)) continue;
    const float s = C / B, gain = s * C;
    if (gain > best.gain) best = (fit){s, 0, gain};
  }
  return best;
}

/* Weights of n elements, sub-blocks of `of` elements on their own. */
static void weigh(const float *x, const float *importance, size_t n, size_t of, float *w) {
  for (size_t i = 0; i < n; i += of) {
    v8f squares = EACH(0.0f);
    for (size_t j = 0; j < of; j += 8) {
      v8f v;
      LOAD(v, x + i + j);
      const v8f vv = v * v;
      squares += vv;
    }
    const float mean = sum8(&squares) / (float)of, root = sqrtf(mean);
    for (size_t j = i; j < i + of; j++) {
      const float square = x[j] * x[j];
      w[j] = importance != NULL ? importance[j] * sqrtf(2 * mean + square) : root + fabsf(x[j]);
    }
  }
}

/* ---- blocks of 256 ---- */

INLINE int nearest_in(float x, int low, int high) {
  const float r = roundf(x);
  return cut(r, low, high);
}

/* The integers of a sub-block with its scale and minimum as they will be read. */
INLINE void round_with(const float *x, size_t n, float step, float low, int levels, uint8_t *q) {
  const float inv = inverse(step);
  for (size_t j = 0; j < n; j += 8) {
    v8f v;
    LOAD(v, x + j);
    const v8b bytes = __builtin_convertvector(__builtin_convertvector(round_in((v + low) * inv, 0, levels), v8i), v8b);
    STORE(q + j, bytes);
  }
}

/* The weighted square error of a sub-block with this scale and minimum. */
INLINE float error_with(const float *x, const float *w, size_t n, float step, float low, int levels) {
  const float inv = inverse(step);
  v8f sum = EACH(0.0f);
  for (size_t j = 0; j < n; j += 8) {
    v8f v, weight;
    LOAD(v, x + j);
    LOAD(weight, w + j);
    const v8f shifted = v + low, back = round_in(shifted * inv, 0, levels) * step, off = shifted - back,
              squares = off * off, weighted = squares * weight;
    sum += weighted;
  }
  return sum8(&sum);
}

/* Scale and minimum are integers of few bits: of those near by the best pair is taken. */
INLINE void settle(const float *x, const float *w, size_t n, float d, float dmin, int levels, int scale_levels,
                   int *scale, int *min) {
  const int s0 = *scale, m0 = *min;
  float best = 3.4e38f;
  for (int m = m0 - REACH; m <= m0 + REACH; m++) {
    for (int s = s0 - REACH; s <= s0 + REACH; s++) {
      if (m < 0 || m > scale_levels || s < 0 || s > scale_levels) continue;
      const float e = error_with(x, w, n, d * (float)s, dmin * (float)m, levels);
      if (!(e < best)) continue;
      best = e;
      *scale = s;
      *min = m;
    }
  }
}

INLINE void settle_signed(const float *x, const float *w, float d, int half, int scale_half, int *scale) {
  const int s0 = *scale;
  float best = 3.4e38f;
  for (int s = s0 - REACH; s <= s0 + REACH; s++) {
    if (s < -scale_half || s >= scale_half) continue;
    const float step = d * (float)s, e = error_with(x, w, 16, step, step * (float)half, 2 * half - 1);
    if (!(e < best)) continue;
    best = e;
    *scale = s;
  }
}

static void search_with_min(const float *x, const float *importance, size_t n, int levels, int scale_levels, uint8_t *q,
                            int *scale, int *min, float *d, float *dmin) {
  float w[256], max_step = 0, max_low = 0;
  fit f[16];
  weigh(x, importance, 256, n, w);
  for (size_t i = 0; i < 256 / n; i++) {
    f[i] = fit_with_min(x + i * n, w + i * n, (int)n / 8, levels);
    max_step = f[i].step > max_step ? f[i].step : max_step;
    max_low = f[i].low > max_low ? f[i].low : max_low;
  }
  *d = f16_to_f32(f32_to_f16(max_step / (float)scale_levels));
  *dmin = f16_to_f32(f32_to_f16(max_low / (float)scale_levels));
  for (size_t i = 0; i < 256 / n; i++) {
    scale[i] = nearest_in(f[i].step * inverse(*d), 0, scale_levels);
    min[i] = nearest_in(f[i].low * inverse(*dmin), 0, scale_levels);
    settle(x + i * n, w + i * n, n, *d, *dmin, levels, scale_levels, &scale[i], &min[i]);
    round_with(x + i * n, n, *d * (float)scale[i], *dmin * (float)min[i], levels, q + i * n);
  }
}

static void search_signed(const float *x, const float *importance, int half, int scale_half, uint8_t *q, int *scale,
                          float *d) {
  float w[256], most = 0;
  fit f[16];
  weigh(x, importance, 256, 16, w);
  for (size_t i = 0; i < 16; i++) {
    f[i] = fit_signed(x + 16 * i, w + 16 * i, 2, half);
    if (fabsf(f[i].step) > fabsf(most)) most = f[i].step;
  }
  *d = f16_to_f32(f32_to_f16(most / (float)-scale_half));
  for (size_t i = 0; i < 16; i++) {
    scale[i] = nearest_in(f[i].step * inverse(*d), -scale_half, scale_half - 1);
    settle_signed(x + 16 * i, w + 16 * i, *d, half, scale_half, &scale[i]);
    const float step = *d * (float)scale[i];
    round_with(x + 16 * i, 16, step, step * (float)half, 2 * half - 1, q + 16 * i);
  }
}

static void search_q2_k(const float *x, const float *w, uint8_t *block) {
  uint8_t q[256];
  int scale[16], min[16];
  float d, dmin;
  search_with_min(x, w, 16, 3, 15, q, scale, min, &d, &dmin);
  q2_k_pack(q, scale, min, d, dmin, block);
}

static void search_q3_k(const float *x, const float *w, uint8_t *block) {
  uint8_t q[256];
  int scale[16];
  float d;
  search_signed(x, w, 4, 32, q, scale, &d);
  q3_k_pack(q, scale, d, block);
}

static void search_q4_k(const float *x, const float *w, uint8_t *block) {
  uint8_t q[256];
  int scale[8], min[8];
  float d, dmin;
  search_with_min(x, w, 32, 15, 63, q, scale, min, &d, &dmin);
  q4_k_pack(q, scale, min, d, dmin, block);
}

static void search_q5_k(const float *x, const float *w, uint8_t *block) {
  uint8_t q[256];
  int scale[8], min[8];
  float d, dmin;
  search_with_min(x, w, 32, 31, 63, q, scale, min, &d, &dmin);
  q5_k_pack(q, scale, min, d, dmin, block);
}

static void search_q6_k(const float *x, const float *w, uint8_t *block) {
  uint8_t q[256];
  int scale[16];
  float d;
  search_signed(x, w, 32, 128, q, scale, &d);
  q6_k_pack(q, scale, d, block);
}

/* ---- blocks of 32, where columns differ in importance ---- */

static void search_q45_0(const float *x, const float *importance, int half, uint8_t *block) {
  float w[32];
  uint8_t q[32];
  weigh(x, importance, 32, 32, w);
  const float d = f16_to_f32(f32_to_f16(fit_signed(x, w, 4, half).step));
  round_with(x, 32, d, d * (float)half, 2 * half - 1, q);
  store_block(q, d, NULL, half > 8, block);
}

static void search_q45_1(const float *x, const float *importance, int levels, uint8_t *block) {
  float w[32];
  uint8_t q[32];
  weigh(x, importance, 32, 32, w);
  const fit f = fit_with_min(x, w, 4, levels);
  const float d = f16_to_f32(f32_to_f16(f.step)), min = f16_to_f32(f32_to_f16(-f.low));
  round_with(x, 32, d, -min, levels, q);
  store_block(q, d, &min, levels > 15, block);
}

static void search_q4_0(const float *x, const float *w, uint8_t *block) { search_q45_0(x, w, 8, block); }
static void search_q4_1(const float *x, const float *w, uint8_t *block) { search_q45_1(x, w, 15, block); }
static void search_q5_0(const float *x, const float *w, uint8_t *block) { search_q45_0(x, w, 16, block); }
static void search_q5_1(const float *x, const float *w, uint8_t *block) { search_q45_1(x, w, 31, block); }

static bool search_row(uint32_t type, const float *x, const float *importance, void *row, size_t n) {
  static void (*const of_type[DTYPE_COUNT])(const float *, const float *, uint8_t *) = {
      [DTYPE_Q4_0] = search_q4_0, [DTYPE_Q4_1] = search_q4_1, [DTYPE_Q5_0] = search_q5_0,
      [DTYPE_Q5_1] = search_q5_1, [DTYPE_Q2_K] = search_q2_k, [DTYPE_Q3_K] = search_q3_k,
      [DTYPE_Q4_K] = search_q4_k, [DTYPE_Q5_K] = search_q5_k, [DTYPE_Q6_K] = search_q6_k};
  const size_t elements = dtype_block_elements(type), bytes = dtype_block_bytes(type);
  uint8_t *p = row;
  if (type >= DTYPE_COUNT || of_type[type] == NULL || (elements == 32 && importance == NULL)) return false;
  for (size_t i = 0; i < n; i += elements, p += bytes)
    of_type[type](x + i, importance != NULL ? importance + i : NULL, p);
  return true;
}
