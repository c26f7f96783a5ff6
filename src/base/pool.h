/* A pool of threads for kernels. Workers sleep on a futex when there is nothing to do and never spin long.
 *
 * Natively the pool starts its own pthreads. In WebAssembly the host starts workers over the same memory and each calls
 * pool_worker(pool, index), which does not return before pool_close; a worker that has not arrived yet is not waited for:
 * work is handed out dynamically, so that it is done by whoever is there. */
#ifndef SOTTO_POOL_H
#define SOTTO_POOL_H

#include "base.h"

#define POOL_MAX_THREADS 64

typedef struct pool pool;

/* n_threads >= 1 counts the caller. Returns NULL when memory or threads run out. */
pool *pool_open(int32_t n_threads);
void pool_close(pool *p);
int32_t pool_threads(const pool *p);

/* Cores that this process may run on; 1 where that cannot be known. */
int32_t pool_cores(void);

/* Calls fn(context, item, thread) once for each item of [0, n_items), on any thread (thread in [0, pool_threads)), in
 * no order, and returns when all are done. Items are taken from an atomic counter, one at a time. Not reentrant. */
typedef void pool_fn(void *context, int32_t item, int32_t thread);
void pool_run(pool *p, pool_fn *fn, void *context, int32_t n_items);

/* The same, but each thread takes items that follow each other: half of what is left somewhere when it has none. For items that lie side by side in memory,
 * whose reading should not jump. */
void pool_run_neighbours(pool *p, pool_fn *fn, void *context, int32_t n_items);

/* The loop of worker `index` in [1, n_threads); WebAssembly hosts call it from their workers. */
void pool_worker(pool *p, int32_t index);

#endif
