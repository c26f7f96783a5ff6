/* Matches of deflate as zlib finds them at level 6.
 *
 *     text ─> chains of places with the same hash ─> longest match, put off by a character where the next one is longer
 *          ─> literals and matches ─> blocks of 16383 of them ─> bits */
#include "zlib_size.h"

#include "deflate_codes.h"

#define WINDOW        32768
#define HASHES        32768
#define MAX_DISTANCE  (WINDOW - (DEFLATE_MAX_MATCH + DEFLATE_MIN_MATCH + 1))
#define BLOCK_SYMBOLS 16383

/* Level 6. */
#define GOOD_LENGTH 8    /* look only a quarter as far for something better than this */
#define MAX_LAZY    16   /* do not look for something better than this */
#define NICE_LENGTH 128  /* stop looking at this */
#define MAX_CHAIN   128  /* places looked at */
#define TOO_FAR     4096 /* a match of three this far back costs more than it saves */

struct zlib_sizer {
  uint32_t head[HASHES];     /* latest place with a hash; 0: none, so the first place of the text is never found */
  uint32_t previous[WINDOW]; /* the one before, by place modulo the window */
  deflate_block block;
};

zlib_sizer *zlib_sizer_open(void) { return mem_alloc(1, sizeof(zlib_sizer)); }
void zlib_sizer_close(zlib_sizer *z) { mem_free(z); }

typedef struct match {
  uint32_t at, length;
} match;

/* Enters place `at` and returns the latest one with the same hash, 0 for none. */
static uint32_t enter(zlib_sizer *z, const unsigned char *text, uint32_t at) {
  uint32_t hash = ((uint32_t)text[at] << 10 ^ (uint32_t)text[at + 1] << 5 ^ text[at + 2]) & (HASHES - 1);
  uint32_t candidate = z->head[hash];
  z->previous[at % WINDOW] = candidate;
  z->head[hash] = at;
  return candidate;
}

/* The longest match for text[at ...] that is longer than `best`.length, or `best`. */
static match longest_match(const zlib_sizer *z, const unsigned char *text, uint32_t n, uint32_t at, uint32_t candidate,
                           match best) {
  const unsigned char *scan = text + at;
  uint32_t ahead = n - at, most = ahead < DEFLATE_MAX_MATCH ? ahead : DEFLATE_MAX_MATCH;
  uint32_t nice = ahead < NICE_LENGTH ? ahead : NICE_LENGTH;
  uint32_t limit = at > MAX_DISTANCE ? at - MAX_DISTANCE : 0;
  uint32_t chain = best.length >= GOOD_LENGTH ? MAX_CHAIN / 4 : MAX_CHAIN;
  do {
    const unsigned char *there = text + candidate;
    if (best.length < most && there[best.length] == scan[best.length]) {
      uint32_t length = 0;
      while (length < most && there[length] == scan[length]) length++;
      if (length > best.length) {
        best = (match){candidate, length};
        if (length >= nice) break;
      }
    }
    candidate = z->previous[candidate % WINDOW];
  } while (candidate > limit && --chain > 0);
  return best;
}

size_t zlib_size(zlib_sizer *z, const char *text_, size_t n_) {
  const unsigned char *text = (const unsigned char *)text_;
  uint32_t n = (uint32_t)n_, block_start = 0;
  uint64_t bits = 2 * 8; /* header */
  memset(z->head, 0, sizeof z->head);
  deflate_block_reset(&z->block);

  match found = {0, DEFLATE_MIN_MATCH - 1};
  bool pending = false; /* the character before `at` is not yet written */
  uint32_t at = 0;
  while (at < n) {
    uint32_t candidate = n - at >= DEFLATE_MIN_MATCH ? enter(z, text, at) : 0;
    match last = found;
    found.length = DEFLATE_MIN_MATCH - 1;
    if (candidate && last.length < MAX_LAZY && at - candidate <= MAX_DISTANCE) {
      found = longest_match(z, text, n, at, candidate, last);
      if (found.length > n - at) found.length = n - at;
      if (found.length == DEFLATE_MIN_MATCH && at - found.at > TOO_FAR) found.length = DEFLATE_MIN_MATCH - 1;
    }
    if (last.length >= DEFLATE_MIN_MATCH && found.length <= last.length) {
      uint32_t end = at - 1 + last.length;
      deflate_block_match(&z->block, last.length, at - 1 - last.at);
      while (++at < end) {
        if (at + DEFLATE_MIN_MATCH <= n) enter(z, text, at);
      }
      pending = false;
      found.length = DEFLATE_MIN_MATCH - 1;
      if (z->block.n_symbols == BLOCK_SYMBOLS) {
        bits = deflate_block_end(&z->block, bits, at - block_start);
        deflate_block_reset(&z->block);
        block_start = at;
      }
    } else {
      if (pending) {
        deflate_block_literal(&z->block, text[at - 1]);
        if (z->block.n_symbols == BLOCK_SYMBOLS) {
          bits = deflate_block_end(&z->block, bits, at - block_start);
          deflate_block_reset(&z->block);
          block_start = at;
        }
      }
      pending = true;
      at++;
    }
  }
  if (pending) deflate_block_literal(&z->block, text[n - 1]);
  bits = deflate_block_end(&z->block, bits, n - block_start);
  return (size_t)((bits + 7) / 8) + 4; /* checksum */
}
