/* The thread pool: every item is done once, by a thread of the pool, whatever the number of threads and items. */
#include "check.h"
#include "../../src/base/pool.h"

#include <stdatomic.h>

#define MAX_ITEMS 300

typedef struct job {
  _Atomic int32_t n_done[MAX_ITEMS];
  _Atomic int32_t wrong;
  int32_t n_items, n_threads;
  int64_t sum[POOL_MAX_THREADS]; /* not atomic: a thread has its own */
  int32_t slow;
} job;

static void count(void *context, int32_t item, int32_t thread) {
  job *j = context;
  if (item < 0 || item >= j->n_items || thread < 0 || thread >= j->n_threads) {
    j->wrong++;
    return;
  }
  volatile int32_t busy = 0;
  while (busy < j->slow) busy = busy + 1;
  j->n_done[item]++;
  j->sum[thread] += item;
}

typedef void run_fn(pool *p, pool_fn *fn, void *context, int32_t n_items);

static void many_jobs(run_fn *run, int32_t n_threads, int32_t n_jobs) {
  random_state r = {7};
  pool *p = pool_open(n_threads);
  if (!CHECK(p != NULL)) return;
  CHECK(pool_threads(p) == n_threads);
  int32_t n_bad = 0;
  for (int32_t i = 0; i < n_jobs; i++) {
    job j = {.n_items = (int32_t)random_below(&r, i % 10 == 0 ? MAX_ITEMS : 6), .n_threads = n_threads};
    j.slow = i % 100 == 0 ? 20000 : (int32_t)random_below(&r, 50); /* now and then long enough for workers to sleep */
    run(p, count, &j, j.n_items);
    int64_t sum = 0;
    for (int32_t t = 0; t < n_threads; t++) sum += j.sum[t];
    for (int32_t item = 0; item < MAX_ITEMS; item++) n_bad += j.n_done[item] != (item < j.n_items);
    n_bad += j.wrong != 0 || sum != (int64_t)j.n_items * (j.n_items - 1) / 2;
  }
  CHECK(n_bad == 0);
  pool_close(p);
}

typedef struct trace {
  int32_t last[POOL_MAX_THREADS]; /* item + 1 */
  _Atomic int32_t jumps;
} trace;

static void follow(void *context, int32_t item, int32_t thread) {
  trace *t = context;
  if (t->last[thread] != item) t->jumps++;
  t->last[thread] = item + 1;
}

/* A thread jumps to its share, and to halves of what others have left: a few times, not for each item. */
static void neighbours(void) {
  pool *p = pool_open(2);
  trace t = {.jumps = 0};
  if (!CHECK(p != NULL)) return;
  pool_run_neighbours(p, follow, &t, 1 << 20);
  CHECK(t.jumps <= 200);
  pool_close(p);
}

int main(void) {
  CHECK(pool_open(0) == NULL);
  pool_close(NULL);
  for (int i = 0; i < 2; i++) {
    run_fn *run = i == 0 ? pool_run : pool_run_neighbours;
    many_jobs(run, 1, 200);
    many_jobs(run, 2, 4000);
    many_jobs(run, 3, 2000);
    many_jobs(run, 8, 500);
  }
  neighbours();
  for (int32_t i = 0; i < 50; i++) { /* closed while workers start, sleep or look */
    pool *p = pool_open(4);
    if (CHECK(p != NULL) && i % 2) many_jobs(pool_run, 2, i);
    pool_close(p);
  }
  pool *p = pool_open(1000);
  if (CHECK(p != NULL)) CHECK(pool_threads(p) == POOL_MAX_THREADS);
  pool_close(p);
  return check_end();
}
