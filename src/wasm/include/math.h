/* The part of <math.h> that the engine uses, in WebAssembly: see ../math.c. The inline ones are single instructions. */
#ifndef SOTTO_WASM_MATH_H
#define SOTTO_WASM_MATH_H

#define INFINITY    __builtin_inff()
#define HUGE_VAL    __builtin_inf()
#define NAN         __builtin_nanf("")
#define isnan(x)    __builtin_isnan(x)
#define isinf(x)    __builtin_isinf(x)
#define isfinite(x) __builtin_isfinite(x)
#define signbit(x)  __builtin_signbit(x)

static inline double sqrt(double x) { return __builtin_sqrt(x); }
static inline float sqrtf(float x) { return __builtin_sqrtf(x); }
static inline double fabs(double x) { return __builtin_fabs(x); }
static inline float fabsf(float x) { return __builtin_fabsf(x); }
static inline double floor(double x) { return __builtin_floor(x); }
static inline float floorf(float x) { return __builtin_floorf(x); }
static inline double ceil(double x) { return __builtin_ceil(x); }
static inline float ceilf(float x) { return __builtin_ceilf(x); }
static inline double trunc(double x) { return __builtin_trunc(x); }
static inline float truncf(float x) { return __builtin_truncf(x); }
static inline double rint(double x) { return __builtin_rint(x); }
static inline float rintf(float x) { return __builtin_rintf(x); }
static inline double nearbyint(double x) { return __builtin_nearbyint(x); }
static inline float nearbyintf(float x) { return __builtin_nearbyintf(x); }
static inline double copysign(double x, double y) { return __builtin_copysign(x, y); }
static inline float copysignf(float x, float y) { return __builtin_copysignf(x, y); }
static inline long lrint(double x) { return (long)__builtin_rint(x); }
static inline long lrintf(float x) { return (long)__builtin_rintf(x); }

/* Halves go away from zero. */
static inline double round(double x) {
  double whole = trunc(x);
  return fabs(x - whole) >= 0.5 ? whole + copysign(1, x) : whole;
}
static inline float roundf(float x) { return (float)round(x); }
static inline long lround(double x) { return (long)round(x); }
static inline long lroundf(float x) { return (long)round(x); }

/* A NaN is passed over for a number. */
static inline double fmin(double a, double b) { return isnan(a) || b < a ? b : a; }
static inline double fmax(double a, double b) { return isnan(a) || b > a ? b : a; }
static inline float fminf(float a, float b) { return isnan(a) || b < a ? b : a; }
static inline float fmaxf(float a, float b) { return isnan(a) || b > a ? b : a; }

double ldexp(double x, int exponent);
double exp(double x);
double log(double x);
double sin(double x);
double cos(double x);
double pow(double x, double y);
double erf(double x);

double log10(double x);
double log2(double x);
double exp2(double x);
double tanh(double x);

/* Rounded once from the double. */
static inline float ldexpf(float x, int exponent) { return (float)ldexp(x, exponent); }
static inline float expf(float x) { return (float)exp(x); }
static inline float exp2f(float x) { return (float)exp2(x); }
static inline float logf(float x) { return (float)log(x); }
static inline float log2f(float x) { return (float)log2(x); }
static inline float log10f(float x) { return (float)log10(x); }
static inline float sinf(float x) { return (float)sin(x); }
static inline float cosf(float x) { return (float)cos(x); }
static inline float powf(float x, float y) { return (float)pow(x, y); }
static inline float erff(float x) { return (float)erf(x); }
static inline float tanhf(float x) { return (float)tanh(x); }

#endif
