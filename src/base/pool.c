/* The thread pool: see pool.h.
 *
 *     pool_run:  job fields ─> tickets = {job number, items left} ─> round + 1, wake ─> take items ─> wait: pending == 0
 *     worker:    sleep on round ─> take items while the tickets last ─> pending -= items done ─> sleep
 *
 * An item is taken by lowering `tickets` by one with compare-and-swap. As the word holds the job's number too, a worker
 * that read it (or the job's fields) during an older job fails the swap and looks again; while items are left, or one
 * that was taken is not done, the job is not over, so the fields that a successful taker read are the right ones. */
#define _POSIX_C_SOURCE 200809L
#include "pool.h"

#include "futex.h"

#ifdef SINGLE_THREADED

struct pool {
  int32_t n_threads;
};

pool *pool_open(int32_t n_threads) {
  pool *p = mem_alloc(1, sizeof *p);
  (void)n_threads;
  if (p != NULL) p->n_threads = 1;
  return p;
}

void pool_close(pool *p) { mem_free(p); }

void pool_run(pool *p, pool_fn *fn, void *context, int32_t n_items) {
  (void)p;
  for (int32_t item = 0; item < n_items; item++) fn(context, item, 0);
}

void pool_run_neighbours(pool *p, pool_fn *fn, void *context, int32_t n_items) { pool_run(p, fn, context, n_items); }

void pool_worker(pool *p, int32_t index) { (void)p, (void)index; }

#else

#ifndef __wasm__
#include <pthread.h>
#endif

/* Looking for a while before going to sleep: about as long as a sleep and its wake-up cost (SPEED.md), so that at worst it doubles them, and no
 * core is held for longer. The parts of a decoder step follow each other faster than that. */
#ifdef __wasm__ /* no cheap clock */

#define SPINS 16000 /* some 12 us in V8 */

static bool changes_soon(futex *f, uint32_t value) {
  for (int32_t i = 0; i < SPINS; i++) {
    if (atomic_load_explicit(&f->value, memory_order_acquire) != value) return true;
  }
  return false;
}

#else

#define SPIN_MS 0.010

static void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

static bool changes_soon(futex *f, uint32_t value) {
  double end_ms = now_ms() + SPIN_MS;
  do {
    for (int32_t i = 0; i < 8; i++) {
      if (atomic_load_explicit(&f->value, memory_order_acquire) != value) return true;
      relax();
    }
  } while (now_ms() < end_ms);
  return false;
}

#endif

typedef struct worker {
  pool *owner;
  int32_t index;
#ifndef __wasm__
  pthread_t thread;
#endif
} worker;

/* What workers and the caller write lies on cache lines of its own. */
struct pool {
  int32_t n_threads;
  _Atomic(pool_fn *) fn; /* the job; changed only while no items are left and none is pending */
  _Atomic(void *) context;
  _Atomic int32_t n_items;

  _Alignas(64) _Atomic uint64_t tickets; /* job number << 32 | items not taken yet */
  _Alignas(64) futex pending;            /* items not done yet */
  _Atomic int32_t caller_sleeps;
  _Alignas(64) futex round; /* counts jobs, and the closing */
  _Atomic int32_t n_sleeping;
  _Atomic int32_t closing;
  _Alignas(64) futex n_inside; /* workers in pool_worker */

  worker workers[POOL_MAX_THREADS];
};

/* Does items until none are left. */
static void work(pool *p, int32_t thread) {
  uint32_t n_done = 0;
  uint64_t tickets = atomic_load_explicit(&p->tickets, memory_order_acquire);
  while ((uint32_t)tickets != 0) {
    pool_fn *fn = atomic_load_explicit(&p->fn, memory_order_relaxed);
    void *context = atomic_load_explicit(&p->context, memory_order_relaxed);
    int32_t item = atomic_load_explicit(&p->n_items, memory_order_relaxed) - (int32_t)(uint32_t)tickets;
    if (!atomic_compare_exchange_weak_explicit(&p->tickets, &tickets, tickets - 1, memory_order_acq_rel,
                                               memory_order_acquire))
      continue;
    fn(context, item, thread);
    n_done++;
    tickets = atomic_load_explicit(&p->tickets, memory_order_acquire);
  }
  if (n_done != 0 && atomic_fetch_sub(&p->pending.value, n_done) == n_done && atomic_load(&p->caller_sleeps)) {
    futex_wake(&p->pending, 1);
  }
}

void pool_run(pool *p, pool_fn *fn, void *context, int32_t n_items) {
  if (p->n_threads == 1 || n_items <= 1) {
    for (int32_t item = 0; item < n_items; item++) fn(context, item, 0);
    return;
  }
  atomic_store_explicit(&p->fn, fn, memory_order_relaxed);
  atomic_store_explicit(&p->context, context, memory_order_relaxed);
  atomic_store_explicit(&p->n_items, n_items, memory_order_relaxed);
  atomic_store_explicit(&p->pending.value, (uint32_t)n_items, memory_order_relaxed);
  uint64_t job = (atomic_load_explicit(&p->tickets, memory_order_relaxed) >> 32) + 1;
  atomic_store_explicit(&p->tickets, job << 32 | (uint32_t)n_items, memory_order_release);
  atomic_fetch_add(&p->round.value, 1);
  int32_t n_sleeping = atomic_load(&p->n_sleeping);
  if (n_sleeping > 0) futex_wake(&p->round, min_i32(n_sleeping, n_items - 1));

  work(p, 0);

  uint32_t pending;
  while ((pending = atomic_load(&p->pending.value)) != 0 && changes_soon(&p->pending, pending)) {}
  if (pending == 0) return;
  atomic_store(&p->caller_sleeps, 1);
  while ((pending = atomic_load(&p->pending.value)) != 0) futex_wait(&p->pending, pending);
  atomic_store(&p->caller_sleeps, 0);
}

/* Items [first, end) that a thread is at, as end << 32 | first. A range that holds items never comes back, so that nobody mistakes it for an older one. */
typedef struct share {
  _Alignas(64) _Atomic uint64_t range;
} share;

typedef struct shares {
  pool_fn *fn;
  void *context;
  int32_t n;
  share of[POOL_MAX_THREADS];
} shares;

static uint64_t range_of(uint32_t first, uint32_t end) { return (uint64_t)end << 32 | first; }

/* Takes the first item of a range; false: it is empty. */
static bool take_first(share *s, int32_t *item) {
  uint64_t range = atomic_load(&s->range);
  do {
    if ((uint32_t)range >= (uint32_t)(range >> 32)) return false;
    *item = (int32_t)(uint32_t)range;
  } while (!atomic_compare_exchange_weak(&s->range, &range, range + 1));
  return true;
}

/* Moves the upper half of a range, or its only item, to an empty one; false: there is none. */
static bool move_half(share *from, share *to) {
  uint64_t range = atomic_load(&from->range);
  uint32_t first, end, middle;
  do {
    first = (uint32_t)range, end = (uint32_t)(range >> 32);
    if (first >= end) return false;
    middle = first + (end - first) / 2;
  } while (!atomic_compare_exchange_weak(&from->range, &range, range_of(first, middle)));
  atomic_store(&to->range, range_of(middle, end));
  return true;
}

/* Does the items of a share, then halves of others' until nobody has any. */
static void share_item(void *context, int32_t index, int32_t thread) {
  shares *s = context;
  share *own = &s->of[index];
  int32_t n_empty = 0, item;
  while (n_empty < s->n) {
    while (take_first(own, &item)) s->fn(s->context, item, thread);
    n_empty = move_half(&s->of[(index + n_empty) % s->n], own) ? 0 : n_empty + 1;
  }
}

void pool_run_neighbours(pool *p, pool_fn *fn, void *context, int32_t n_items) {
  shares s = {.fn = fn, .context = context, .n = min_i32(p->n_threads, n_items)};
  for (int64_t i = 0; i < s.n; i++)
    atomic_init(&s.of[i].range, range_of((uint32_t)(i * n_items / s.n), (uint32_t)((i + 1) * n_items / s.n)));
  pool_run(p, share_item, &s, s.n);
}

void pool_worker(pool *p, int32_t index) {
  atomic_fetch_add(&p->n_inside.value, 1);
  while (!atomic_load(&p->closing)) {
    uint32_t round = atomic_load(&p->round.value);
    work(p, index);
    if (changes_soon(&p->round, round)) continue;
    atomic_fetch_add(&p->n_sleeping, 1);
    futex_wait(&p->round, round);
    atomic_fetch_sub(&p->n_sleeping, 1);
  }
  /* The last touch of the pool but for a wake-up at the address, which harms nobody. */
  if (atomic_fetch_sub(&p->n_inside.value, 1) == 1) futex_wake(&p->n_inside, 1);
}

#ifndef __wasm__
static void *start_worker(void *argument) {
  worker *w = argument;
  pool_worker(w->owner, w->index);
  return NULL;
}
#endif

/* Ends and waits for workers [1, n_started). */
static void end_workers(pool *p, int32_t n_started) {
  atomic_store(&p->closing, 1);
  atomic_fetch_add(&p->round.value, 1);
  futex_wake(&p->round, POOL_MAX_THREADS);
#ifdef __wasm__
  (void)n_started;
  uint32_t n_inside;
  while ((n_inside = atomic_load(&p->n_inside.value)) != 0) futex_wait(&p->n_inside, n_inside);
#else
  for (int32_t i = 1; i < n_started; i++) pthread_join(p->workers[i].thread, NULL);
#endif
}

pool *pool_open(int32_t n_threads) {
  pool *p = n_threads < 1 ? NULL : mem_alloc(1, sizeof *p);
  if (p == NULL) return NULL;
  p->n_threads = min_i32(n_threads, POOL_MAX_THREADS);
  if (futex_open(&p->pending) != 0) goto no_pending;
  if (futex_open(&p->round) != 0) goto no_round;
  if (futex_open(&p->n_inside) != 0) goto no_inside;
#ifndef __wasm__
  for (int32_t i = 1; i < p->n_threads; i++) {
    p->workers[i] = (worker){.owner = p, .index = i};
    if (pthread_create(&p->workers[i].thread, NULL, start_worker, &p->workers[i]) != 0) {
      end_workers(p, i);
      goto no_thread;
    }
  }
#endif
  return p;

#ifndef __wasm__
no_thread:
  futex_close(&p->n_inside);
#endif
no_inside:
  futex_close(&p->round);
no_round:
  futex_close(&p->pending);
no_pending:
  mem_free(p);
  return NULL;
}

void pool_close(pool *p) {
  if (p == NULL) return;
  end_workers(p, p->n_threads);
  futex_close(&p->n_inside);
  futex_close(&p->round);
  futex_close(&p->pending);
  mem_free(p);
}

#endif

int32_t pool_threads(const pool *p) { return p->n_threads; }

#ifdef __wasm__
int32_t pool_cores(void) { return 1; }
#else
#include <unistd.h>
int32_t pool_cores(void) {
  const long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n < 1 ? 1 : n > POOL_MAX_THREADS ? POOL_MAX_THREADS : (int32_t)n;
}
#endif
