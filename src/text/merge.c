#include "merge.h"

#define MAX_SYMBOLS (INT32_MAX / 4)

sotto_status merge_add(merger *m, uint32_t begin, error *err) {
  if (m->n_symbols == m->capacity) {
    int32_t capacity = max_i32(64, min_i32(m->capacity, MAX_SYMBOLS / 2) * 2);
    merge_symbol *symbols = m->n_symbols < capacity ? mem_alloc((size_t)capacity, sizeof *symbols) : NULL;
    uint64_t *heap = symbols ? mem_alloc((size_t)capacity * 3, sizeof *heap) : NULL;
    if (!heap) {
      mem_free(symbols);
      return fail(err, SOTTO_ERR_MEMORY, "out of memory for tokenizing: give the text in parts");
    }
    if (m->n_symbols > 0) memcpy(symbols, m->symbols, (size_t)m->n_symbols * sizeof *symbols);
    merge_free(m);
    m->symbols = symbols;
    m->heap = heap;
    m->capacity = capacity;
  }
  int32_t at = m->n_symbols++;
  m->symbols[at] = (merge_symbol){begin, at + 1, at - 1, MERGE_NONE};
  return SOTTO_OK;
}

void merge_free(merger *m) {
  mem_free(m->symbols);
  mem_free(m->heap);
  m->symbols = NULL;
  m->heap = NULL;
  m->capacity = 0;
}

/* ---- the heap: priority in the upper half, position in the lower: the smallest is the best and leftmost ---- */

static void heap_push(merger *m, uint64_t entry) {
  int32_t i = m->n_heap++;
  for (; i > 0 && entry < m->heap[(i - 1) / 2]; i = (i - 1) / 2) m->heap[i] = m->heap[(i - 1) / 2];
  m->heap[i] = entry;
}

static uint64_t heap_pop(merger *m) {
  uint64_t top = m->heap[0], moved = m->heap[--m->n_heap];
  int32_t i = 0;
  for (int32_t child = 1; child < m->n_heap; child = 2 * i + 1) {
    if (child + 1 < m->n_heap && m->heap[child + 1] < m->heap[child]) child++;
    if (m->heap[child] >= moved) break;
    m->heap[i] = m->heap[child];
    i = child;
  }
  m->heap[i] = moved;
  return top;
}

/* Looks up the symbol at `at` joined with the next one. */
static void look_up(merger *m, int32_t at, uint32_t end) {
  merge_symbol *s = &m->symbols[at];
  s->priority = MERGE_NONE;
  if (s->next >= m->n_symbols) return;
  s->priority = m->priority(m->vocab, m->text + s->begin, merge_end(m, s->next, end) - s->begin);
  if (s->priority != MERGE_NONE) heap_push(m, (uint64_t)s->priority << 32 | (uint32_t)at);
}

void merge_run(merger *m, uint32_t end) {
  m->n_heap = 0;
  for (int32_t i = 0; i + 1 < m->n_symbols; i++) look_up(m, i, end);
  while (m->n_heap > 0) {
    uint64_t best = heap_pop(m);
    int32_t at = (int32_t)(uint32_t)best;
    merge_symbol *s = &m->symbols[at];
    if (s->priority != best >> 32) continue; /* changed by a merge since */
    merge_symbol *gone = &m->symbols[s->next];
    s->next = gone->next;
    if (s->next < m->n_symbols) m->symbols[s->next].previous = at;
    gone->priority = MERGE_NONE;
    look_up(m, at, end);
    if (s->previous >= 0) look_up(m, s->previous, end);
  }
}
