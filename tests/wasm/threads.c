/* Threads for the pools that a test opens: workers of the host, kept from pool to pool. Linked with --wrap, so that these
 * functions stand in front of those of src/base/pool.c.
 *
 *     pool_open    ──> a seat for each worker of the pool ──> a host worker sits in it, for ever: test_worker(seat)
 *     test_worker  ──> sleep until called ──> pool_worker(pool, index) ──> sleep ...
 *     pool_close   ──> a job that ends only when all workers have done a part of it ──> close */
#include "../../src/base/futex.h"

#ifndef SINGLE_THREADED

#include "../../src/base/pool.h"

enum { MOST_WORKERS = 7, STACK_BYTES = 256 << 10 };
enum { EMPTY, CALLED, INSIDE };

typedef struct seat {
  futex state;
  pool *owner; /* NULL: the seat is free */
  int32_t index;
  bool taken; /* by a worker of the host */
} seat;

static seat seats[MOST_WORKERS];

pool *__real_pool_open(int32_t n_threads);
void __real_pool_close(pool *p);
pool *__wrap_pool_open(int32_t n_threads);
void __wrap_pool_close(pool *p);

__attribute__((import_module("test"), import_name("start_worker"))) void host_start_worker(seat *s, void *stack_top);

/* The life of a worker: never returns. */
__attribute__((export_name("test_worker"))) void test_worker(seat *s) {
  for (;;) {
    uint32_t state = CALLED;
    if (!atomic_compare_exchange_strong(&s->state.value, &state, INSIDE)) {
      futex_wait(&s->state, state);
      continue;
    }
    futex_wake(&s->state, 1);
    pool_worker(s->owner, s->index);
    atomic_store(&s->state.value, EMPTY);
    futex_wake(&s->state, 1);
  }
}

/* Returns when the workers are there; a pool with more threads than there are seats goes without the others, as pools may. */
pool *__wrap_pool_open(int32_t n_threads) {
  pool *p = __real_pool_open(n_threads);
  int32_t index = 1;
  for (int32_t i = 0; p != NULL && i < MOST_WORKERS && index < pool_threads(p); i++) {
    seat *s = &seats[i];
    if (s->owner != NULL) continue;
    s->owner = p;
    s->index = index++;
    atomic_store(&s->state.value, CALLED);
    if (s->taken) {
      futex_wake(&s->state, 1);
    } else {
      s->taken = true;
      host_start_worker(s, (char *)mem_alloc(STACK_BYTES, 1) + STACK_BYTES);
    }
    while (atomic_load(&s->state.value) == CALLED) futex_wait(&s->state, CALLED);
  }
  return p;
}

typedef struct meeting {
  futex n_here;
  uint32_t n_expected;
} meeting;

static void meet(void *context, int32_t item, int32_t thread) {
  meeting *m = context;
  (void)item, (void)thread;
  uint32_t n_here = atomic_fetch_add(&m->n_here.value, 1) + 1;
  if (n_here == m->n_expected) futex_wake(&m->n_here, POOL_MAX_THREADS);
  while ((n_here = atomic_load(&m->n_here.value)) != m->n_expected) futex_wait(&m->n_here, n_here);
}

/* A worker that has left its seat may still be on its way into the pool, and would find it gone: pool_close does not wait
 * for that. The job before it does, and shows that every worker works. */
void __wrap_pool_close(pool *p) {
  static meeting m; /* static, as a worker still looks at it when the job is over */
  uint32_t n_workers = 0;
  for (int32_t i = 0; p != NULL && i < MOST_WORKERS; i++) n_workers += seats[i].owner == p;
  if (n_workers > 0) {
    atomic_store(&m.n_here.value, 0);
    m.n_expected = n_workers + 1;
    pool_run(p, meet, &m, (int32_t)m.n_expected);
  }
  __real_pool_close(p);
  for (int32_t i = 0; p != NULL && i < MOST_WORKERS; i++) {
    if (seats[i].owner != p) continue;
    for (uint32_t state; (state = atomic_load(&seats[i].state.value)) != EMPTY;) futex_wait(&seats[i].state, state);
    seats[i].owner = NULL;
  }
}

#else
typedef int no_threads;
#endif
