/* Sizes of the blocks of deflate (RFC 1951).
 *
 *     occurrences ─> Huffman tree ─> code lengths, at most 15 ─┐
 *                    run lengths of the code lengths ─> tree, at most 7 ─> bits of the header and of the symbols
 *
 * Several trees are optimal for the same occurrences, and the header's size depends on which one is taken; so ties, and the
 * shortening of codes that are too long, follow zlib's order. */
#include "deflate_codes.h"

#define N_CODE_LENGTHS 19
#define END_OF_BLOCK   256
#define MAX_NODES      (2 * DEFLATE_N_LITERAL + 1)

static const uint8_t length_extra[DEFLATE_N_LITERAL - 257] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                                              2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
static const uint8_t distance_extra[DEFLATE_N_DISTANCE] = {0, 0, 0, 0, 1, 1, 2, 2,  3,  3,  4,  4,  5,  5,  6,
                                                           6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13};

/* ---- symbols ---- */

void deflate_block_reset(deflate_block *b) {
  memset(b, 0, sizeof *b);
  b->literals[END_OF_BLOCK] = 1;
}

void deflate_block_literal(deflate_block *b, unsigned char c) {
  b->literals[c]++;
  b->n_symbols++;
}

void deflate_block_match(deflate_block *b, uint32_t length, uint32_t distance) {
  uint32_t rest = length - DEFLATE_MIN_MATCH, code = 0;
  while (rest >= 1u << length_extra[code]) rest -= 1u << length_extra[code++];
  if (length == DEFLATE_MAX_MATCH) code = 28; /* has a code to itself */
  b->literals[257 + code]++;
  rest = distance - 1;
  code = 0;
  while (rest >= 1u << distance_extra[code]) rest -= 1u << distance_extra[code++];
  b->distances[code]++;
  b->n_symbols++;
}

/* ---- one Huffman tree ---- */

typedef struct tree {
  int32_t n_symbols, max_bits;
  int32_t last;               /* the highest symbol with a code */
  uint32_t weight[MAX_NODES]; /* occurrences; symbols first, then inner nodes */
  uint8_t length[MAX_NODES];  /* bits of the code, 0: none */
  uint8_t depth[MAX_NODES];
  int32_t parent[MAX_NODES];
  int32_t heap[MAX_NODES + 1]; /* [1, n_heap]: the lightest first; from the other end: all nodes by weight */
  int32_t n_heap, sorted;
} tree;

static bool lighter(const tree *t, int32_t a, int32_t b) {
  return t->weight[a] < t->weight[b] || (t->weight[a] == t->weight[b] && t->depth[a] <= t->depth[b]);
}

static void sift_down(tree *t, int32_t at) {
  int32_t node = t->heap[at];
  for (int32_t child = 2 * at; child <= t->n_heap; child = 2 * at) {
    if (child < t->n_heap && lighter(t, t->heap[child + 1], t->heap[child])) child++;
    if (lighter(t, node, t->heap[child])) break;
    t->heap[at] = t->heap[child];
    at = child;
  }
  t->heap[at] = node;
}

/* Code lengths from the finished tree, none longer than max_bits. */
static void assign_lengths(tree *t) {
  int32_t n_of_length[16] = {0}, overflow = 0, at;
  t->length[t->heap[t->sorted]] = 0; /* the root */
  for (at = t->sorted + 1; at < MAX_NODES; at++) {
    int32_t node = t->heap[at], bits = t->length[t->parent[node]] + 1;
    if (bits > t->max_bits) {
      bits = t->max_bits;
      overflow++;
    }
    t->length[node] = (uint8_t)bits;
    if (node < t->n_symbols) n_of_length[bits]++;
  }
  if (overflow == 0) return;

  /* Each turn moves a leaf one level down and puts an overlong one beside it. */
  for (; overflow > 0; overflow -= 2) {
    int32_t bits = t->max_bits - 1;
    while (n_of_length[bits] == 0) bits--;
    n_of_length[bits]--;
    n_of_length[bits + 1] += 2;
    n_of_length[t->max_bits]--;
  }
  for (int32_t bits = t->max_bits; bits > 0; bits--) { /* the lightest get the longest codes */
    for (int32_t n = n_of_length[bits]; n > 0;) {
      int32_t node = t->heap[--at];
      if (node >= t->n_symbols) continue;
      t->length[node] = (uint8_t)bits;
      n--;
    }
  }
}

static void build(tree *t, const uint32_t *occurrences, int32_t n_symbols, int32_t max_bits) {
  memset(t, 0, sizeof *t);
  t->n_symbols = n_symbols;
  t->max_bits = max_bits;
  t->last = -1;
  t->sorted = MAX_NODES;
  for (int32_t i = 0; i < n_symbols; i++) {
    t->weight[i] = occurrences[i];
    if (occurrences[i]) t->heap[++t->n_heap] = t->last = i;
  }
  while (t->n_heap < 2) { /* at least two codes: readers ask for it */
    int32_t node = t->last < 2 ? ++t->last : 0;
    t->heap[++t->n_heap] = node;
    t->weight[node] = 1;
  }
  for (int32_t i = t->n_heap / 2; i >= 1; i--) sift_down(t, i);
  for (int32_t node = n_symbols; t->n_heap >= 2; node++) {
    int32_t first = t->heap[1];
    t->heap[1] = t->heap[t->n_heap--];
    sift_down(t, 1);
    int32_t second = t->heap[1];
    t->heap[--t->sorted] = first;
    t->heap[--t->sorted] = second;
    t->weight[node] = t->weight[first] + t->weight[second];
    t->depth[node] = (uint8_t)(1 + (t->depth[first] > t->depth[second] ? t->depth[first] : t->depth[second]));
    t->parent[first] = t->parent[second] = node;
    t->heap[1] = node;
    sift_down(t, 1);
  }
  t->heap[--t->sorted] = t->heap[1];
  assign_lengths(t);
}

/* ---- blocks ---- */

/* Counts the symbols that describe the code lengths: lengths, and runs 16 (of the same), 17 and 18 (of zeros). */
static void count_runs(const tree *t, uint32_t counts[N_CODE_LENGTHS]) {
  int32_t previous = -1;
  for (int32_t i = 0; i <= t->last;) {
    int32_t length = t->length[i], run = 1;
    int32_t most = length == 0 ? 138 : length == previous ? 6 : 7; /* 7: itself, then a run of 6 */
    while (run < most && i + run <= t->last && t->length[i + run] == length) run++;
    if (run < (length == 0 || length == previous ? 3 : 4)) {
      counts[length] += (uint32_t)run;
    } else if (length == 0) {
      counts[run <= 10 ? 17 : 18]++;
    } else {
      if (length != previous) counts[length]++;
      counts[16]++;
    }
    previous = length;
    i += run;
  }
}

/* Bits of a block with codes of its own. */
static uint64_t own_codes(const deflate_block *b) {
  static const uint8_t order[N_CODE_LENGTHS] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
  uint64_t bits = 5 + 5 + 4; /* counts of the three codes */
  uint32_t runs[N_CODE_LENGTHS] = {0};
  tree t;
  build(&t, b->literals, DEFLATE_N_LITERAL, 15);
  count_runs(&t, runs);
  for (int32_t i = 0; i < DEFLATE_N_LITERAL; i++) {
    bits += (uint64_t)b->literals[i] * (t.length[i] + (i > 256 ? length_extra[i - 257] : 0u));
  }
  build(&t, b->distances, DEFLATE_N_DISTANCE, 15);
  count_runs(&t, runs);
  for (int32_t i = 0; i < DEFLATE_N_DISTANCE; i++) {
    bits += (uint64_t)b->distances[i] * ((uint32_t)t.length[i] + distance_extra[i]);
  }
  build(&t, runs, N_CODE_LENGTHS, 7);
  for (int32_t i = 0; i < N_CODE_LENGTHS; i++) {
    bits += (uint64_t)runs[i] * (t.length[i] + (i == 16 ? 2u : i == 17 ? 3u : i == 18 ? 7u : 0u));
  }
  int32_t n = N_CODE_LENGTHS;
  while (n > 4 && t.length[order[n - 1]] == 0) n--;
  return bits + 3 * (uint64_t)n;
}

/* Bits of a block with the fixed codes. */
static uint64_t fixed_codes(const deflate_block *b) {
  uint64_t bits = 0;
  for (int32_t i = 0; i < DEFLATE_N_LITERAL; i++) {
    uint32_t length = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    bits += (uint64_t)b->literals[i] * (length + (i > 256 ? length_extra[i - 257] : 0u));
  }
  for (int32_t i = 0; i < DEFLATE_N_DISTANCE; i++) bits += (uint64_t)b->distances[i] * (5u + distance_extra[i]);
  return bits;
}

uint64_t deflate_block_end(const deflate_block *b, uint64_t bits, size_t text_bytes) {
  uint64_t own = own_codes(b), fixed = fixed_codes(b);
  uint64_t own_bytes = (own + 3 + 7) / 8, fixed_bytes = (fixed + 3 + 7) / 8;
  if (fixed_bytes <= own_bytes) {
    own_bytes = fixed_bytes;
    own = fixed;
  }
  /* Stored: three bits, up to the next byte, the length twice, the text. */
  if (text_bytes + 4 <= own_bytes) return (bits + 3 + 7) / 8 * 8 + 32 + 8 * (uint64_t)text_bytes;
  return bits + 3 + own;
}
