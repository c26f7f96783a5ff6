/* How a weight of blocks is packed: the file's bits, rearranged so that some rows lie side by side in a group and the products with a few
 * rows of activations need no sums across lanes.
 *
 *     value = d * (u - zero) + m            q4_0, q4_1, q5_0, q5_1, q8_0: d and m half floats of 32 elements
 *     value = d * s * (u - zero) - m * t    k-quants: d and m half floats of 256, s and t bytes of 32 (q6_K: s of 16)
 *
 * A group is a sequence of runs of 1 block of 32 elements, or of 8:
 *
 *     d [rows] f16, m [rows] f16, s [blocks or halves][rows] i8, t [blocks][rows] u8, then for each block
 *     low bits [4 or 8][4 * rows] bytes, bits above the fourth [1 or 2][4 * rows] bytes
 *
 * Vector v of 8 holds elements 4 v ... 4 v + 3 of row 0, then of row 1 ... With 4 to 6 bits u is unsigned, vectors v and v + 4 share bytes, and what is above
 * the fourth bit is bit v of a byte (5 bits), or bits 2 (v % 4) and the next of vector v / 4 (6 bits). With 8 bits u is signed. */
#ifndef SOTTO_CPU_PACKING_H
#define SOTTO_CPU_PACKING_H

#include "../base/base.h"

typedef enum packing {
  PACK_4,   /* q4_0 */
  PACK_4_M, /* q4_1 */
  PACK_5,   /* q5_0 */
  PACK_5_M, /* q5_1 */
  PACK_8,   /* q8_0 */
  PACK_4_K, /* q4_K */
  PACK_5_K, /* q5_K */
  PACK_6_K, /* q6_K */
  N_PACKINGS
} packing;

static inline int packed_bits(packing p) {
  return p == PACK_4 || p == PACK_4_M || p == PACK_4_K ? 4 : p == PACK_8 ? 8 : p == PACK_6_K ? 6 : 5;
}
static inline bool packed_m(packing p) { return p == PACK_4_M || p == PACK_5_M || p == PACK_4_K || p == PACK_5_K; }
static inline bool packed_k(packing p) { return p >= PACK_4_K; }
static inline bool packed_halves(packing p) { return p == PACK_6_K; } /* scales of 16 elements */
static inline int packed_zero(packing p) { return packed_m(p) || p == PACK_8 ? 0 : 1 << (packed_bits(p) - 1); }
static inline int packed_run(packing p) { return packed_k(p) ? 8 : 1; } /* blocks */

/* Bytes of a group of `rows` rows: of a run before its blocks, of a block before the bits above the fourth, of a block, of a run. */
static inline size_t packed_scale_bytes(packing p, size_t rows) {
  return rows * (size_t)((packed_m(p) ? 4 : 2) + (packed_k(p) ? (packed_halves(p) || packed_m(p) ? 16 : 8) : 0));
}
static inline size_t packed_low_bytes(packing p, size_t rows) { return rows * (packed_bits(p) == 8 ? 32 : 16); }
static inline size_t packed_block_bytes(packing p, size_t rows) {
  return packed_low_bytes(p, rows) + rows * (packed_bits(p) == 5 ? 4 : packed_bits(p) == 6 ? 8 : 0);
}
static inline size_t packed_run_bytes(packing p, size_t rows) {
  return packed_scale_bytes(p, rows) + (size_t)packed_run(p) * packed_block_bytes(p, rows);
}
static inline size_t packed_group_bytes(packing p, int32_t in, size_t rows) {
  return (size_t)(in / (32 * packed_run(p))) * packed_run_bytes(p, rows);
}

/* Which packing a type of blocks has; false: none. */
bool packing_of(uint32_t type, packing *p);
/* One row of the file into, and out of, lane `lane` of a group of `rows` rows. */
void pack_row(packing p, const uint8_t *row, int32_t in, uint8_t *group, size_t rows, size_t lane);
void unpack_row(packing p, const uint8_t *group, int32_t in, size_t rows, size_t lane, float *out);

#endif
