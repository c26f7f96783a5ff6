/* A number that threads can sleep on until it changes. */
#ifndef SOTTO_FUTEX_H
#define SOTTO_FUTEX_H

#include <stdint.h>

#if defined(__wasm__) && !defined(__wasm_atomics__)
#define SINGLE_THREADED 1 /* nobody to wait for */
#endif

#ifndef SINGLE_THREADED

#include <stdatomic.h>

#if !defined(__linux__) && !defined(__wasm__)
#define FUTEX_BY_CONDITION 1
#include <pthread.h>
#endif

typedef struct futex {
  _Atomic uint32_t value; /* changed by whoever likes; then futex_wake */
#ifdef FUTEX_BY_CONDITION
  pthread_mutex_t mutex;
  pthread_cond_t changed;
#endif
} futex;

int futex_open(futex *f); /* 0, or -1 when the system has no more */
void futex_close(futex *f);

/* Sleeps while value == expected; may also return early. */
void futex_wait(futex *f, uint32_t expected);

/* Wakes up to n sleepers, after the value was changed. */
void futex_wake(futex *f, int32_t n);

#endif
#endif
