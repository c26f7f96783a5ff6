/* Real FFT of 400 = 16 x 25 points by the prime-factor algorithm: as 16 and 25 share no factor, the transform is an
 * exact two-dimensional one, without twiddles between its stages.
 *
 *     x[400] ─(n = 25 n1 + 16 n2)─> 25 columns of 16 reals ─real FFT 16─> 8 rows of 25 ─complex FFT 25─> |.|^2
 *
 * Of the 16 rows, real input makes k1 and 16 - k1 conjugates of each other, so 8 rows hold all: rows 0 and 8, which are
 * real, travel as one complex row, and 4, 2, 10, 1, 5, 9, 13 stand for themselves and their mirror images. The bin of
 * (k1, k2) is the k with k = k1 mod 16 and k = k2 mod 25, folded at 200: 25 + 7 x 25 values make exactly the 201 bins.
 *
 * All arithmetic is on four frames at once, so there is no shuffling within the transform. */
#include "fft.h"

enum { N_ROW = 8, N_COLUMN = 25 };

typedef struct complex_lanes {
  fft_lanes re, im;
} complex_lanes;

static const int ROW_K1[N_ROW] = {0, 4, 2, 10, 1, 5, 9, 13}; /* row 0 carries k1 = 8 as its imaginary part */

/* cos and sin of 2 pi m / 25 */
static const float COS25[17] = {1.000000000f,  0.968583161f,  0.876306680f,  0.728968627f,  0.535826795f,
                                0.309016994f,  0.062790520f,  -0.187381315f, -0.425779292f, -0.637423990f,
                                -0.809016994f, -0.929776486f, -0.992114701f, -0.992114701f, -0.929776486f,
                                -0.809016994f, -0.637423990f};
static const float SIN25[17] = {0.000000000f, 0.248689887f,  0.481753674f,  0.684547106f,  0.844327926f, 0.951056516f,
                                0.998026728f, 0.982287251f,  0.904827052f,  0.770513243f,  0.587785252f, 0.368124553f,
                                0.125333234f, -0.125333234f, -0.368124553f, -0.587785252f, -0.770513243f};

/* z * (c - i s) */
static inline complex_lanes rotate(complex_lanes z, float c, float s) {
  return (complex_lanes){z.re * c + z.im * s, z.im * c - z.re * s};
}

/* Column n2: 16 reals at x[(25 n1 + 16 n2) mod 400] into rows[.][n2]. */
static inline void column_16(const fft_lanes *x, int n2, complex_lanes rows[N_ROW][N_COLUMN]) {
  const float c1 = 0.923879533f, s1 = 0.382683432f, half = 0.707106781f; /* cos, sin of pi / 8; sqrt(1/2) */
  fft_lanes even[8], odd[8];
  for (int j = 0, n = 16 * n2; j < 8; j++) {
    int m = n + 200 < FFT_SIZE ? n + 200 : n - 200; /* n1 + 8 */
    even[j] = x[n] + x[m];
    odd[j] = x[n] - x[m];
    n = n + 25 < FFT_SIZE ? n + 25 : n + 25 - FFT_SIZE;
  }
  /* k1 = 0, 8, 4: the real FFT of 4 of even[j] + even[j + 4] */
  fft_lanes a0 = even[0] + even[4], a1 = even[1] + even[5], a2 = even[2] + even[6], a3 = even[3] + even[7];
  rows[0][n2] = (complex_lanes){(a0 + a2) + (a1 + a3), (a0 + a2) - (a1 + a3)};
  rows[1][n2] = (complex_lanes){a0 - a2, a3 - a1};
  /* k1 = 2, 10: the FFT of 2 of (b[j] - i b[j + 2]) W8^j, where b = even[j] - even[j + 4] */
  fft_lanes b0 = even[0] - even[4], b1 = even[1] - even[5], b2 = even[2] - even[6], b3 = even[3] - even[7];
  fft_lanes w_re = (b1 - b3) * half, w_im = -(b1 + b3) * half;
  rows[2][n2] = (complex_lanes){b0 + w_re, w_im - b2};
  rows[3][n2] = (complex_lanes){b0 - w_re, -w_im - b2};
  /* k1 = 1, 5, 9, 13: the FFT of 4 of (odd[j] - i odd[j + 4]) W16^j */
  complex_lanes z0 = {odd[0], -odd[4]};
  complex_lanes z1 = rotate((complex_lanes){odd[1], -odd[5]}, c1, s1);
  complex_lanes z2 = {(odd[2] - odd[6]) * half, -(odd[2] + odd[6]) * half};
  complex_lanes z3 = rotate((complex_lanes){odd[3], -odd[7]}, s1, c1);
  complex_lanes p = {z0.re + z2.re, z0.im + z2.im}, q = {z0.re - z2.re, z0.im - z2.im};
  complex_lanes r = {z1.re + z3.re, z1.im + z3.im}, t = {z1.re - z3.re, z1.im - z3.im};
  rows[4][n2] = (complex_lanes){p.re + r.re, p.im + r.im};
  rows[5][n2] = (complex_lanes){q.re + t.im, q.im - t.re};
  rows[6][n2] = (complex_lanes){p.re - r.re, p.im - r.im};
  rows[7][n2] = (complex_lanes){q.re - t.im, q.im + t.re};
}

/* FFT of the 5 values in[0], in[5], in[10], in[15], in[20]. */
static inline void fft_5(const complex_lanes *in, complex_lanes out[5]) {
  const float c = 0.559016994f, s1 = 0.951056516f, s2 = 0.587785252f; /* sqrt(5) / 4; sin of 72 and 36 degrees */
  complex_lanes x0 = in[0], x1 = in[5], x2 = in[10], x3 = in[15], x4 = in[20];
  complex_lanes sum1 = {x1.re + x4.re, x1.im + x4.im}, dif1 = {x1.re - x4.re, x1.im - x4.im};
  complex_lanes sum2 = {x2.re + x3.re, x2.im + x3.im}, dif2 = {x2.re - x3.re, x2.im - x3.im};
  complex_lanes sum = {sum1.re + sum2.re, sum1.im + sum2.im};
  complex_lanes base = {x0.re - sum.re * 0.25f, x0.im - sum.im * 0.25f};
  complex_lanes spread = {(sum1.re - sum2.re) * c, (sum1.im - sum2.im) * c};
  complex_lanes a = {base.re + spread.re, base.im + spread.im}, b = {base.re - spread.re, base.im - spread.im};
  complex_lanes u = {dif1.re * s1 + dif2.re * s2, dif1.im * s1 + dif2.im * s2};
  complex_lanes v = {dif1.re * s2 - dif2.re * s1, dif1.im * s2 - dif2.im * s1};
  out[0] = (complex_lanes){x0.re + sum.re, x0.im + sum.im};
  out[1] = (complex_lanes){a.re + u.im, a.im - u.re};
  out[2] = (complex_lanes){b.re + v.im, b.im - v.re};
  out[3] = (complex_lanes){b.re - v.im, b.im + v.re};
  out[4] = (complex_lanes){a.re - u.im, a.im + u.re};
}

/* FFT of a row of 25 = 5 x 5; out[5 k' + k''] is X[k' + 5 k'']. */
static inline void fft_25(const complex_lanes row[N_COLUMN], complex_lanes out[N_COLUMN]) {
  complex_lanes stage[N_COLUMN]; /* [k'][j], k' strided by 1 so that the second stage reads every fifth */
  for (int j = 0; j < 5; j++) {
    complex_lanes y[5];
    fft_5(row + j, y);
    stage[5 * j] = y[0];
    for (int k = 1; k < 5; k++) stage[5 * j + k] = rotate(y[k], COS25[j * k], SIN25[j * k]);
  }
  for (int k = 0; k < 5; k++) fft_5(stage + k, out + 5 * k);
}

/* The bin of (k1, k2), by the Chinese remainder theorem: 225 is 1 mod 16 and 0 mod 25, 176 the reverse. */
static inline int bin_of(int k1, int k2) {
  int k = (225 * k1 + 176 * k2) % FFT_SIZE;
  return k < FFT_BINS ? k : FFT_SIZE - k;
}

static inline complex_lanes value_25(const complex_lanes out[N_COLUMN], int k2) { return out[5 * (k2 % 5) + k2 / 5]; }

void fft_power_400(const fft_lanes *x, fft_lanes *power) {
  complex_lanes rows[N_ROW][N_COLUMN], out[N_COLUMN];
  for (int n2 = 0; n2 < N_COLUMN; n2++) column_16(x, n2, rows);

  /* Row 0 holds z = x0 + i x8 of two real rows: X0[k] = (Z[k] + conj Z[-k]) / 2, X8[k] = (Z[k] - conj Z[-k]) / 2i */
  fft_25(rows[0], out);
  power[bin_of(0, 0)] = out[0].re * out[0].re;
  power[bin_of(8, 0)] = out[0].im * out[0].im;
  for (int k = 1; k <= N_COLUMN / 2; k++) {
    complex_lanes z = value_25(out, k), w = value_25(out, N_COLUMN - k);
    fft_lanes a = z.re + w.re, b = z.im - w.im, c = z.re - w.re, d = z.im + w.im;
    power[bin_of(0, k)] = (a * a + b * b) * 0.25f;
    power[bin_of(8, k)] = (c * c + d * d) * 0.25f;
  }
  for (int row = 1; row < N_ROW; row++) {
    fft_25(rows[row], out);
    for (int k = 0; k < 5; k++)
      for (int j = 0; j < 5; j++) {
        complex_lanes z = out[5 * k + j];
        power[bin_of(ROW_K1[row], k + 5 * j)] = z.re * z.re + z.im * z.im;
      }
  }
}
