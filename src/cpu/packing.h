/* How a weight of blocks is packed: the file's bits, rearranged so that some rows lie side by side in a group and the products with a few
 * rows of activations need no sums across lanes.
 *
 *     value = d * (u - zero) + m            q4_0, q4_1, q5_0, q5_1, q8_0: d and m half floats of 32 elements
 *     value = d * s * (u - zero) - m * t    k-quants: d and m half floats of 256, s and t bytes of 32 (q6_K: s of 16)
 *
 * A group is a sequence of runs of 1 block of 32 elements, or of 8:
 *
 *     d [rows] f16, m [rows] f16, s [blocks or halves][rows] i8, t [blocks][rows] u8, then for each block
 *     u [4, 5, 6 or 8 vectors][rows][4] bytes
 *
 * Of a block's 32 elements, u_v are 4 v ... 4 v + 3. With 8 bits u is signed, and vector v is u_v. With fewer it is unsigned, and the vectors are, from
 * their low bits up, as few instructions as possible away from u_v:
 *
 *     4 bits    u_v, u_(v + 4)
 *     5 bits    u_v and, in the upper 3 bits: bits 0 to 2 of u_5, u_6, u_7;  bits 3, 4 of u_5 and 3 of u_7;  bits 3, 4 of u_6 and 4 of u_7
 *     6 bits    u_v and, in the upper 2 bits: bits 0, 1 of u_6;  2, 3;  4, 5;  the same of u_7 */
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

/* Bytes of a group of `rows` rows: of a run before its blocks, of a block, of a run. */
static inline size_t packed_scale_bytes(packing p, size_t rows) {
  return rows * (size_t)((packed_m(p) ? 4 : 2) + (packed_k(p) ? (packed_halves(p) || packed_m(p) ? 16 : 8) : 0));
}
static inline size_t packed_block_bytes(packing p, size_t rows) { return rows * 4 * (size_t)packed_bits(p); }
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
