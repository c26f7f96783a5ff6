/* How often each symbol occurs in a block of deflate, and how many bits the block takes. */
#ifndef SOTTO_DEFLATE_CODES_H
#define SOTTO_DEFLATE_CODES_H

#include "../base/base.h"

#define DEFLATE_N_LITERAL  286 /* literals, end of block, lengths */
#define DEFLATE_N_DISTANCE 30
#define DEFLATE_MIN_MATCH  3
#define DEFLATE_MAX_MATCH  258

typedef struct deflate_block {
  uint32_t literals[DEFLATE_N_LITERAL]; /* occurrences */
  uint32_t distances[DEFLATE_N_DISTANCE];
  uint32_t n_symbols; /* literals and matches */
} deflate_block;

void deflate_block_reset(deflate_block *b);
void deflate_block_literal(deflate_block *b, unsigned char c);
void deflate_block_match(deflate_block *b, uint32_t length, uint32_t distance);

/* Bits of the stream after this block, which stands for text_bytes of the input: `bits` before it, plus the smallest of
 * a stored block, fixed codes and codes of its own, chosen as zlib does. */
uint64_t deflate_block_end(const deflate_block *b, uint64_t bits, size_t text_bytes);

#endif
