/* Elementary functions in WebAssembly, in double precision, by textbook series after reducing the argument to a small range. Written
 * to be short and within a few units in the last place (tests/native/test_wasm_libc.c); kernels have their own, faster ones. */
#include <math.h>
#include <stdint.h>
#include <string.h>

#define LN2_HIGH    0x1.62e42fee00000p-1 /* 33 bits, so that n * LN2_HIGH is exact */
#define LN2_LOW     0x1.a39ef35793c76p-33
#define PI_2_HIGH   0x1.921fb54400000p+0
#define PI_2_MIDDLE 0x1.0b4611a600000p-34
#define PI_2_LOW    0x1.3198a2e037073p-69

static double power_of_two(int n) { /* n in [-1022, 1023] */
  uint64_t bits = (uint64_t)(n + 1023) << 52;
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

double ldexp(double x, int exponent) {
  for (; exponent > 1023; exponent -= 1023) {
    x *= 0x1p1023;
    if (exponent > 4000) exponent = 4000;
  }
  for (; exponent < -969;
       exponent += 969) { /* in such steps a result is rounded once, when it is subnormal in the end */
    x *= 0x1p-969;
    if (exponent < -4000) exponent = -4000;
  }
  return x * power_of_two(exponent);
}

/* x = n ln 2 + r, |r| <= ln 2 / 2:  e^x = 2^n e^r */
double exp(double x) {
  if (isnan(x)) return x;
  if (x > 710) return HUGE_VAL;
  if (x < -746) return 0;
  double n = rint(x * 1.4426950408889634074);
  double r = x - n * LN2_HIGH - n * LN2_LOW, sum = 1;
  for (int k = 13; k > 0; k--) sum = 1 + sum * r / k;
  return ldexp(sum, (int)n);
}

double exp2(double x) {
  double n = rint(x);
  return fabs(x) < 1100 ? ldexp(exp((x - n) * 0.69314718055994530942), (int)n) : exp(x);
}

/* x = 2^e m, m in [sqrt 1/2, sqrt 2), s = (m - 1) / (m + 1):  ln m = 2 (s + s^3/3 + s^5/5 + ...) */
double log(double x) {
  uint64_t bits;
  int e = 0;
  if (x == 0) return -HUGE_VAL;
  if (x < 0) return NAN;
  if (!isfinite(x)) return x;
  if (x < 0x1p-1022) {
    x *= 0x1p54;
    e = -54;
  }
  memcpy(&bits, &x, sizeof bits);
  e += (int)(bits >> 52) - 1023;
  bits = (bits & 0xfffffffffffffu) | (uint64_t)1023 << 52;
  memcpy(&x, &bits, sizeof x);
  if (x > 1.41421356237309504880) {
    x /= 2;
    e++;
  }
  double f = x - 1, s = f / (2 + f), s2 = s * s, tail = 0;
  for (int k = 23; k >= 3; k -= 2) tail = (tail + 1.0 / k) * s2;
  /* 2 s = f - s f: the large part f stays exact */
  return e * LN2_HIGH + (f - (s * (f - 2 * tail) - e * LN2_LOW));
}

double log10(double x) { return log(x) * 0.43429448190325182765; }
double log2(double x) { return log(x) * 1.4426950408889634074; }

/* r in [-pi/4, pi/4], odd: sin r, even: cos r */
static double sine_or_cosine(double r, int odd) {
  double sum = 1;
  for (int k = odd ? 19 : 18; k > 1; k -= 2) sum = 1 - sum * r * r / (k * (k - 1));
  return odd ? r * sum : sum;
}

/* x = n pi/2 + r, exact for |x| < 2^20 or so; the engine's angles are positions and turns, far smaller. */
static double quarter_turns(double x, unsigned n_more) {
  double n = rint(x * 0.63661977236758134308);
  double r = x - n * PI_2_HIGH - n * PI_2_MIDDLE - n * PI_2_LOW;
  unsigned quadrant = ((unsigned)(int64_t)n + n_more) & 3;
  double value = sine_or_cosine(r, !(quadrant & 1));
  return quadrant & 2 ? -value : value;
}

double sin(double x) { return isfinite(x) ? quarter_turns(x, 0) : NAN; }
double cos(double x) { return isfinite(x) ? quarter_turns(x, 1) : NAN; }

/* The error grows with |y ln x|: 1e-13 at the ends of the range. */
double pow(double x, double y) {
  if (y == 0 || x == 1) return 1;
  if (isnan(x) || isnan(y)) return NAN;
  int whole = rint(y) == y, odd = whole && fabs(y) < 0x1p53 && rint(y / 2) != y / 2;
  double sign = signbit(x) && odd ? -1 : 1;
  if (x < 0 && !whole && isfinite(x)) return NAN;
  if (x == 0) return sign * (y < 0 ? HUGE_VAL : 0);
  if (isinf(y)) return fabs(x) == 1 ? 1 : (fabs(x) > 1) == (y > 0) ? HUGE_VAL : 0;
  return sign * exp(y * log(fabs(x)));
}

/* erf x = 2 / sqrt pi e^-x² (x + 2 x³/3 + 4 x⁵/(3 5) + ...); all terms have one sign. */
double erf(double x) {
  if (isnan(x)) return x;
  if (fabs(x) > 6) return copysign(1, x);
  double term = x, sum = x;
  for (int k = 3; fabs(term) > 1e-17 * fabs(sum); k += 2) {
    term *= 2 * x * x / k;
    sum += term;
  }
  return 1.1283791670955125739 * exp(-x * x) * sum;
}

double tanh(double x) {
  if (fabs(x) < 0.05) { /* e^2x - 1 would lose digits */
    double x2 = x * x;
    return x * (1 - x2 * (1.0 / 3 - x2 * (2.0 / 15 - x2 * (17.0 / 315 - x2 * 62.0 / 2835))));
  }
  double e = exp(2 * fabs(x));
  return copysign(isinf(e) ? 1 : (e - 1) / (e + 1), x);
}
