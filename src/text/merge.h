/* Byte-pair merging: neighbouring symbols of a text are joined, the best pair first and of equal ones the leftmost,
 * until no pair is a token.
 *
 *     symbols  H e l l o     pairs in a heap, best first: (l l) (H e) (l o) ...
 *              H e ll o      the list loses a symbol, the two pairs beside it are looked up anew
 *              He ll o ...
 *
 * n symbols cost O(n log n) time, however alike they are, and 40 n bytes. */
#ifndef SOTTO_MERGE_H
#define SOTTO_MERGE_H

#include "../base/base.h"

#define MERGE_NONE UINT32_MAX

typedef struct merge_symbol {
  uint32_t begin;         /* byte in the text */
  int32_t next, previous; /* neighbours; n_symbols at the end, -1 at the start */
  uint32_t priority;      /* of this symbol joined with the next. A heap entry with another one is stale. */
} merge_symbol;

typedef struct merger {
  /* Priority of text[bytes] as a token: the lowest is joined first; MERGE_NONE when it is none. */
  uint32_t (*priority)(const void *vocab, const char *text, size_t bytes);
  const void *vocab;
  const char *text;
  merge_symbol *symbols; /* [n_symbols]; after merge_run those that are left are chained by `next` from 0 */
  uint64_t *heap;        /* [3 capacity]: each symbol enters once, and each merge enters two */
  int32_t n_symbols, n_heap, capacity;
} merger;

/* The caller sets priority, vocab and text, adds the symbols by their first bytes in order, and runs; n_symbols = 0
 * begins anew. Errors: MEMORY. */
sotto_status merge_add(merger *m, uint32_t begin, error *err);
void merge_run(merger *m, uint32_t end); /* `end`: the byte behind the last symbol */
void merge_free(merger *m);

/* The byte behind a symbol that is left. */
static inline uint32_t merge_end(const merger *m, int32_t at, uint32_t end) {
  int32_t next = m->symbols[at].next;
  return next < m->n_symbols ? m->symbols[next].begin : end;
}

#endif
