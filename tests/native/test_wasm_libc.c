/* The C library of the WebAssembly builds (src/wasm), compiled natively under other names, against the system's. */
#include "check.h"

#include <stdarg.h>

/* Pairs of what the engine uses: ours is put beside the system's. */
#define exp   our_exp
#define log   our_log
#define sin   our_sin
#define cos   our_cos
#define pow   our_pow
#define erf   our_erf
#define log10 our_log10
#define log2  our_log2
#define exp2  our_exp2
#define tanh  our_tanh
#define ldexp our_ldexp
double exp(double x), log(double x), sin(double x), cos(double x), pow(double x, double y), erf(double x);
double log10(double x), log2(double x), exp2(double x), tanh(double x), ldexp(double x, int e);
#include "../../src/wasm/math.c"
#define snprintf  our_snprintf
#define vsnprintf our_vsnprintf
int snprintf(char *to, size_t size, const char *format, ...);
int vsnprintf(char *to, size_t size, const char *format, va_list arguments);
#include "../../src/wasm/format.c"
#undef exp
#undef log
#undef sin
#undef cos
#undef pow
#undef erf
#undef log10
#undef log2
#undef exp2
#undef tanh
#undef ldexp
#undef snprintf

typedef double function(double x);

/* Worst relative error on n random arguments; where the value is near zero, relative to `floor_value`. */
static double worst(function *ours, function *system, double low, double high, double floor_value) {
  random_state r = {5};
  double worst_error = 0;
  for (int32_t i = 0; i < 20000; i++) {
    double x = low + (high - low) * ((random_u32(&r) + random_u32(&r) * 0x1p-32) * 0x1p-32), want = system(x);
    worst_error = fmax(worst_error, fabs(ours(x) - want) / fmax(fabs(want), floor_value));
  }
  return worst_error;
}

static void functions(void) {
  const double ulp = 0x1p-52;
  CHECK(worst(our_exp, exp, -700, 700, 0) < 4 * ulp);
  CHECK(worst(our_exp, exp, -1, 1, 0) < 4 * ulp);
  CHECK(worst(our_log, log, 1e-10, 10, 0) < 4 * ulp);
  CHECK(worst(our_log, log, 0.9, 1.1, 0) < 4 * ulp);
  CHECK(worst(our_log, log, 1, 1e300, 0) < 4 * ulp);
  CHECK(worst(our_log10, log10, 1e-10, 1e6, 0) < 8 * ulp);
  CHECK(worst(our_log2, log2, 1e-10, 1e6, 0) < 8 * ulp);
  CHECK(worst(our_exp2, exp2, -1000, 1000, 0) < 8 * ulp);
  CHECK(worst(our_sin, sin, -2000, 2000, 1) < 4 * ulp);
  CHECK(worst(our_cos, cos, -2000, 2000, 1) < 4 * ulp);
  CHECK(worst(our_sin, sin, -1, 1, 0) < 4 * ulp);
  CHECK(worst(our_erf, erf, -7, 7, 0) < 64 * ulp);
  CHECK(worst(our_tanh, tanh, -20, 20, 0) < 200 * ulp);
  random_state r = {6};
  double worst_pow = 0;
  for (int32_t i = 0; i < 20000; i++) {
    double x = random_uniform(&r, 1e-3f, 1e3f), y = random_uniform(&r, -20, 20);
    worst_pow = fmax(worst_pow, fabs(our_pow(x, y) / pow(x, y) - 1));
  }
  CHECK(worst_pow < 1e-13);
}

static bool same(double a, double b) { return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b)); }

static void special_values(void) {
  const double values[] = {0.0,   -0.0,   1,      -1,     2,   3,    -3,       0.5,       -0.5,
                           1e300, -1e300, 1e-310, 5e-324, 800, -800, INFINITY, -INFINITY, NAN};
  const int32_t n = sizeof values / sizeof *values;
  for (int32_t i = 0; i < n; i++) {
    double x = values[i];
    CHECK(same(our_erf(x), erf(x)) || fabs(our_erf(x) - erf(x)) < 1e-14);
    CHECK(same(our_tanh(x), tanh(x)) || fabs(our_tanh(x) - tanh(x)) < 1e-14);
    CHECK(same(our_log(x), log(x)) || fabs(our_log(x) / log(x) - 1) < 1e-15);
    CHECK(same(our_exp(x), exp(x)) || fabs(our_exp(x) / exp(x) - 1) < 1e-15);
    for (int32_t j = 0; j < n; j++) {
      double want = pow(x, values[j]), got = our_pow(x, values[j]);
      if (!CHECK(same(got, want) || fabs(got / want - 1) < 1e-12)) fprintf(stderr, "  pow(%g, %g)\n", x, values[j]);
    }
    for (int32_t e = -2200; e <= 2200; e += 50) CHECK(same(our_ldexp(x, e), ldexp(x, e)));
  }
  CHECK(same(our_exp(-745), exp(-745)));
}

__attribute__((format(printf, 1, 2))) static void formatted(const char *format, ...) {
  char ours[200], system[200];
  for (size_t size = 0; size <= sizeof ours; size = size < 20 ? size + 1 : size + 60) {
    va_list a, b;
    memset(ours, '#', sizeof ours);
    memset(system, '#', sizeof system);
    va_start(a, format);
    va_start(b, format);
    int32_t n_ours = our_vsnprintf(ours, size, format, a), n_system = (vsnprintf)(system, size, format, b);
    va_end(a);
    va_end(b);
    if (!CHECK(n_ours == n_system && memcmp(ours, system, sizeof ours) == 0))
      fprintf(stderr, "  %s: %s\n", format, size ? ours : "");
  }
}

static void sentences(void) {
  formatted("plain 100%%");
  formatted("%d %i %5d|%-5d|%05d|%+d|% d", 0, -1, 42, 42, -42, 7, 7);
  formatted("%d %u %x %X %.3d", INT32_MIN, UINT32_MAX, 0xdeadbeefu, 0xabcu, 5);
  formatted("%lld %llu %llx", (long long)INT64_MIN, (unsigned long long)UINT64_MAX, 0x123456789abcdefull);
  formatted("%s|%10s|%-10s|%.2s|%*s", "one", "two", "three", "four", 7, "five");
  formatted("%c%c|%3c", 'a', 'b', 'c');
  formatted("%f %.0f %.0f %.0f %.1f %.3f", 3.14159, 0.5, 1.5, 2.5, 0.05, 1234567.8915);
  formatted("%8.2f|%-8.2f|%08.2f|%+.2f", 1.005, -2.5, -3.14159, 9.999);
  formatted("%g %g %g %g %g %g", 0.0, 1.0, 0.1, 100000.0, 1e6, 1.5e-5);
  formatted("%g %g %.3g %.10g %g", 123456789.0, -0.0001, 2.0 / 3, 1.0 / 3, 1e300);
  formatted("%e %.2e %.0e", 12345.678, 9.999, 0.00012);
  formatted("%f %g %f %5g|%05f", (double)INFINITY, -(double)INFINITY, (double)NAN, (double)INFINITY, (double)INFINITY);
  formatted("%.2f %.6f", 0.995, 0.9999999);
}

int main(void) {
  functions();
  special_values();
  sentences();
  return check_end();
}
