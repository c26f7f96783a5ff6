/* <math.h> for the C tests in WebAssembly: the engine's, and what only tests use. */
#ifndef SOTTO_TEST_WASM_MATH_H
#define SOTTO_TEST_WASM_MATH_H

#include_next <math.h>

double fmod(double x, double y);
float nextafterf(float from, float to);

#endif
