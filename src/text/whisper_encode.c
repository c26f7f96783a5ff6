/* Text to tokens.
 *
 *     text ─> words (pre-tokenization) ─> bytes ─> pairs merged, lowest rank first ─> ids
 *
 * A word's parts are a linked list over its bytes; a heap holds the pairs that are tokens, so that a word of n bytes costs
 * n log n however long it is. */
#include "unicode.h"
#include "whisper_vocab.h"

#define SMALL_WORD 128 /* bytes; longer words are rare and take memory for their merging */

/* ---- words ---- */

static unicode_class class_at(const char *text, size_t n, size_t *length) {
  uint32_t c;
  bool valid;
  *length = utf8_read(text, n, &c, &valid);
  return valid ? unicode_class_of(c) : UNICODE_OTHER;
}

/* Bytes of the contraction that text[n] begins with, 0 for none. */
static size_t contraction(const char *text, size_t n) {
  static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    size_t length = strlen(endings[i]);
    if (length <= n && !memcmp(text, endings[i], length)) return length;
  }
  return 0;
}

/* Bytes of the first word of text[n], n >= 1: what GPT-2's expression matches there,
 * 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
static size_t word_length(const char *text, size_t n) {
  size_t length = contraction(text, n);
  if (length) return length;

  size_t begin = text[0] == ' ' && n > 1 ? 1 : 0, end = begin;
  unicode_class class = class_at(text + begin, n - begin, &length);
  if (class == UNICODE_SPACE) end = begin = 0;
  unicode_class first = class_at(text + begin, n - begin, &length);
  size_t last = 0; /* bytes of the last character taken */
  while (end < n && class_at(text + end, n - end, &length) == first) {
    end += length;
    last = length;
  }
  /* White space before a word leaves its last character to that word. */
  return first == UNICODE_SPACE && end < n && end > last ? end - last : end;
}

/* ---- merging ---- */

typedef struct part {
  int32_t next, previous; /* positions of the neighbours; n at the end, -1 at the start */
  int32_t rank; /* of this part joined with the next; -1: no token. A heap entry with another rank is stale. */
} part;

typedef struct pair {
  int32_t rank, at;
} pair;

typedef struct merger {
  const whisper_vocab *v;
  const char *text;
  int32_t n;
  part *parts; /* [n] */
  pair *heap;  /* [3 n]: each position enters once, and each merge enters two */
  int32_t n_heap;
} merger;

static bool before(pair a, pair b) { return a.rank < b.rank || (a.rank == b.rank && a.at < b.at); }

static void heap_push(merger *m, pair p) {
  int32_t i = m->n_heap++;
  for (; i > 0 && before(p, m->heap[(i - 1) / 2]); i = (i - 1) / 2) m->heap[i] = m->heap[(i - 1) / 2];
  m->heap[i] = p;
}

static pair heap_pop(merger *m) {
  pair top = m->heap[0], moved = m->heap[--m->n_heap];
  int32_t i = 0;
  for (int32_t child = 1; child < m->n_heap; child = 2 * i + 1) {
    if (child + 1 < m->n_heap && before(m->heap[child + 1], m->heap[child])) child++;
    if (!before(m->heap[child], moved)) break;
    m->heap[i] = m->heap[child];
    i = child;
  }
  m->heap[i] = moved;
  return top;
}

/* Looks up the part at `at` joined with the next one. */
static void rank_pair(merger *m, int32_t at) {
  part *p = &m->parts[at];
  p->rank = -1;
  if (p->next >= m->n) return;
  p->rank = whisper_vocab_find(m->v, m->text + at, (size_t)(m->parts[p->next].next - at));
  if (p->rank >= 0) heap_push(m, (pair){p->rank, at});
}

/* Ids of a word; returns how many there are and writes those that fit. Bytes that are no token are left out. */
static size_t merge(merger *m, int32_t *ids, size_t capacity) {
  for (int32_t i = 0; i < m->n; i++) m->parts[i] = (part){i + 1, i - 1, -1};
  m->n_heap = 0;
  for (int32_t i = 0; i < m->n; i++) rank_pair(m, i);

  while (m->n_heap > 0) {
    pair best = heap_pop(m);
    part *p = &m->parts[best.at];
    if (p->rank != best.rank) continue; /* changed by a merge since */
    int32_t gone = p->next;
    p->next = m->parts[gone].next;
    if (p->next < m->n) m->parts[p->next].previous = best.at;
    m->parts[gone].rank = -1;
    rank_pair(m, best.at);
    if (p->previous >= 0) rank_pair(m, p->previous);
  }

  size_t count = 0;
  for (int32_t i = 0; i < m->n; i = m->parts[i].next) {
    int32_t id = whisper_vocab_find(m->v, m->text + i, (size_t)(m->parts[i].next - i));
    if (id < 0) continue;
    if (count < capacity) ids[count] = id;
    count++;
  }
  return count;
}

static size_t encode_small(const whisper_vocab *v, const char *text, size_t n, int32_t *ids, size_t capacity) {
  part parts[SMALL_WORD];
  pair heap[3 * SMALL_WORD];
  merger m = {.v = v, .text = text, .n = (int32_t)n, .parts = parts, .heap = heap};
  return merge(&m, ids, capacity);
}

static size_t encode_word(const whisper_vocab *v, const char *text, size_t n, int32_t *ids, size_t capacity) {
  int32_t whole = whisper_vocab_find(v, text, n);
  if (whole >= 0) {
    if (capacity > 0) ids[0] = whole;
    return 1;
  }
  if (n <= SMALL_WORD) return encode_small(v, text, n, ids, capacity);

  part *parts = n < INT32_MAX / 4 ? mem_alloc(n, sizeof *parts) : NULL;
  pair *heap = parts ? mem_alloc(3 * n, sizeof *heap) : NULL;
  size_t count = 0;
  if (heap) {
    merger m = {.v = v, .text = text, .n = (int32_t)n, .parts = parts, .heap = heap};
    count = merge(&m, ids, capacity);
  } else { /* no memory: pieces of the word, the same bytes in perhaps other tokens */
    for (size_t i = 0; i < n; i += SMALL_WORD) {
      size_t used = min_size(count, capacity);
      count += encode_small(v, text + i, min_size(n - i, SMALL_WORD), ids + used, capacity - used);
    }
  }
  mem_free(heap);
  mem_free(parts);
  return count;
}

size_t whisper_vocab_encode(const whisper_vocab *v, const char *text, size_t bytes, int32_t *ids, size_t capacity) {
  size_t count = 0;
  for (size_t i = 0; i < bytes;) {
    size_t length = word_length(text + i, bytes - i), used = min_size(count, capacity);
    count += encode_word(v, text + i, length, ids ? ids + used : NULL, capacity - used);
    i += length;
  }
  return count;
}
