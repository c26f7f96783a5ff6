/* Sleeping on a number: Linux and WebAssembly have it, elsewhere a condition variable does it. */
#define _GNU_SOURCE /* syscall */
#include "futex.h"

#ifndef SINGLE_THREADED

#if defined(__wasm__)

int futex_open(futex *f) { return (void)f, 0; }
void futex_close(futex *f) { (void)f; }

void futex_wait(futex *f, uint32_t expected) {
  __builtin_wasm_memory_atomic_wait32((int *)&f->value, (int)expected, -1);
}

void futex_wake(futex *f, int32_t n) { __builtin_wasm_memory_atomic_notify((int *)&f->value, (unsigned)n); }

#elif defined(__linux__)

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

int futex_open(futex *f) { return (void)f, 0; }
void futex_close(futex *f) { (void)f; }

void futex_wait(futex *f, uint32_t expected) {
  syscall(SYS_futex, &f->value, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

void futex_wake(futex *f, int32_t n) { syscall(SYS_futex, &f->value, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0); }

#else

int futex_open(futex *f) {
  if (pthread_mutex_init(&f->mutex, NULL) != 0) return -1;
  if (pthread_cond_init(&f->changed, NULL) == 0) return 0;
  pthread_mutex_destroy(&f->mutex);
  return -1;
}

void futex_close(futex *f) {
  pthread_cond_destroy(&f->changed);
  pthread_mutex_destroy(&f->mutex);
}

void futex_wait(futex *f, uint32_t expected) {
  pthread_mutex_lock(&f->mutex);
  while (atomic_load(&f->value) == expected) pthread_cond_wait(&f->changed, &f->mutex);
  pthread_mutex_unlock(&f->mutex);
}

void futex_wake(futex *f, int32_t n) {
  pthread_mutex_lock(&f->mutex); /* a thread between its look at the value and its sleep holds it */
  if (n == 1)
    pthread_cond_signal(&f->changed);
  else
    pthread_cond_broadcast(&f->changed);
  pthread_mutex_unlock(&f->mutex);
}

#endif
#endif
