/* Rows of the file into groups and back: see packing.h. One copy of each loop for each packing, so that what depends on it is decided before. */
#include "packing.h"

#include "../quant/blocks.h"

bool packing_of(uint32_t type, packing *p) {
  static const struct {
    uint32_t type;
    packing packing;
  } known[] = {{DTYPE_Q4_0, PACK_4}, {DTYPE_Q4_1, PACK_4_M}, {DTYPE_Q5_0, PACK_5},   {DTYPE_Q5_1, PACK_5_M},
               {DTYPE_Q8_0, PACK_8}, {DTYPE_Q4_K, PACK_4_K}, {DTYPE_Q5_K, PACK_5_K}, {DTYPE_Q6_K, PACK_6_K}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (known[i].type != type) continue;
    *p = known[i].packing;
    return true;
  }
  return false;
}

#define EACH static inline __attribute__((always_inline))
#define FOR_PACKING(p, call, ...)  \
  switch (p) {                     \
    case PACK_4:                   \
      call(PACK_4, __VA_ARGS__);   \
      break;                       \
    case PACK_4_M:                 \
      call(PACK_4_M, __VA_ARGS__); \
      break;                       \
    case PACK_5:                   \
      call(PACK_5, __VA_ARGS__);   \
      break;                       \
    case PACK_5_M:                 \
      call(PACK_5_M, __VA_ARGS__); \
      break;                       \
    case PACK_4_K:                 \
      call(PACK_4_K, __VA_ARGS__); \
      break;                       \
    case PACK_5_K:                 \
      call(PACK_5_K, __VA_ARGS__); \
      break;                       \
    case PACK_6_K:                 \
      call(PACK_6_K, __VA_ARGS__); \
      break;                       \
    default:                       \
      call(PACK_8, __VA_ARGS__);   \
      break;                       \
  }

/* Every eighth part of a fifth-bit word, e of 4, is a byte of the group: bit v of byte e is bit 4 v + e of the word. */
static inline uint8_t gather_bits(uint32_t word, unsigned e) {
  uint32_t x = word >> e & 0x11111111u;
  x = (x | x >> 3) & 0x03030303u;
  x = (x | x >> 6) & 0x000f000fu;
  return (uint8_t)(x | x >> 12);
}

static inline void put_u32(uint8_t *p, uint32_t x) { memcpy(p, &x, 4); }

/* 4 bytes of nibbles, elements 4 v ... and 16 + 4 v ...: u of the first in the low nibbles. */
static inline uint32_t nibbles(uint32_t first, uint32_t second) {
  return (first & 0x0f0f0f0fu) | (second & 0x0f0f0f0fu) << 4;
}

/* -- packing -- */

/* A file's block of 32: d, m where there is one, fifth bits as u32, then nibbles (element i with i + 16, as in the group) or int8. */
EACH void pack_legacy(const packing p, const uint8_t *row, int32_t blocks, uint8_t *group, size_t rows, size_t lane) {
  const size_t n_vectors = packed_bits(p) == 8 ? 8 : 4;
  for (int32_t b = 0; b < blocks; b++, group += packed_run_bytes(p, rows)) {
    memcpy(group + 2 * lane, row, 2);
    if (packed_m(p)) memcpy(group + 2 * rows + 2 * lane, row + 2, 2);
    row += packed_m(p) ? 4 : 2;
    uint8_t *low = group + packed_scale_bytes(p, rows) + 4 * lane, *high = low + packed_low_bytes(p, rows);
    if (packed_bits(p) == 5) {
      const uint32_t fifth = load_u32(row);
      for (unsigned e = 0; e < 4; e++) high[e] = gather_bits(fifth, e);
      row += 4;
    }
    for (size_t v = 0; v < n_vectors; v++, low += 4 * rows, row += 4) put_u32(low, load_u32(row));
  }
}

/* A k-quant's row: u of each block from the file's own order (quant_k.c draws it). */
EACH void pack_k(const packing p, const uint8_t *row, int32_t blocks, uint8_t *group, size_t rows, size_t lane) {
  const bool six = packed_bits(p) == 6, five = packed_bits(p) == 5;
  for (int32_t run = 0; run < blocks / 8; run++, row += six ? 210 : five ? 176 : 144) {
    memcpy(group + 2 * lane, row + (six ? 208 : 0), 2);
    if (!six) memcpy(group + 2 * rows + 2 * lane, row + 2, 2);
    uint8_t *scales = group + (six ? 2 : 4) * rows + lane;
    for (size_t g = 0; g < 8; g++) {
      if (six) {
        scales[2 * g * rows] = row[192 + 2 * g];
        scales[(2 * g + 1) * rows] = row[193 + 2 * g];
      } else {
        int scale, min;
        q45_k_scale(row + 4, g, &scale, &min);
        scales[g * rows] = (uint8_t)scale;
        scales[(8 + g) * rows] = (uint8_t)min;
      }
    }
    group += packed_scale_bytes(p, rows);
    for (size_t g = 0; g < 8; g++, group += packed_block_bytes(p, rows)) {
      const uint8_t *four = six ? row + 64 * (g / 4) + 32 * (g % 2) : row + (five ? 48 : 16) + 32 * (g / 2);
      const int shift = six ? 4 * (int)(g % 4 / 2) : 4 * (int)(g % 2);
      uint8_t *low = group + 4 * lane, *high = low + packed_low_bytes(p, rows);
      for (size_t v = 0; v < 4; v++)
        put_u32(low + 4 * v * rows, nibbles(load_u32(four + 4 * v) >> shift, load_u32(four + 16 + 4 * v) >> shift));
      if (five) { /* bit g of byte 16 + j is the fifth of element j */
        uint32_t bits = 0;
        for (size_t v = 0; v < 8; v++) bits |= (load_u32(row + 16 + 4 * v) >> g & 0x01010101u) << v;
        put_u32(high, bits);
      }
      for (size_t h = 0; six && h < 2; h++) { /* bits 2 (g % 4) of byte 128 + 32 (g / 4) + j are the upper two */
        uint32_t bits = 0;
        const uint8_t *two = row + 128 + 32 * (g / 4) + 16 * h;
        for (size_t v = 0; v < 4; v++) bits |= (load_u32(two + 4 * v) >> 2 * (g % 4) & 0x03030303u) << 2 * v;
        put_u32(high + 4 * h * rows, bits);
      }
    }
  }
}

EACH void pack_blocks(const packing p, const uint8_t *row, int32_t blocks, uint8_t *group, size_t rows, size_t lane) {
  if (packed_k(p))
    pack_k(p, row, blocks, group, rows, lane);
  else
    pack_legacy(p, row, blocks, group, rows, lane);
}

void pack_row(packing p, const uint8_t *row, int32_t in, uint8_t *group, size_t rows,
              size_t lane){FOR_PACKING(p, pack_blocks, row, in / 32, group, rows, lane)}

/* -- unpacking -- */

/* u - zero of vector v of a block. */
EACH
    void unpack_vector(const packing p, const uint8_t *low, const uint8_t *high, size_t rows, size_t v, int8_t out[4]) {
  const uint32_t bytes = load_u32(low + 4 * rows * (packed_bits(p) == 8 ? v : v % 4));
  uint32_t u = packed_bits(p) == 8 ? bytes : bytes >> (v < 4 ? 0 : 4) & 0x0f0f0f0fu;
  if (packed_bits(p) == 5) u |= (load_u32(high) >> v & 0x01010101u) << 4;
  if (packed_bits(p) == 6) u |= (load_u32(high + 4 * rows * (v / 4)) >> 2 * (v % 4) & 0x03030303u) << 4;
  for (int e = 0; e < 4; e++) out[e] = (int8_t)((int)(int8_t)(uint8_t)(u >> 8 * e) - packed_zero(p));
}

EACH void unpack_blocks(const packing p, const uint8_t *group, int32_t blocks, size_t rows, size_t lane, float *out) {
  const int run = packed_run(p);
  for (int32_t first = 0; first < blocks; first += run) {
    const float d = load_f16(group + 2 * lane), m = packed_m(p) ? load_f16(group + 2 * rows + 2 * lane) : 0.0f;
    const uint8_t *scales = group + (packed_m(p) ? 4 : 2) * rows + lane;
    const uint8_t *low = group + packed_scale_bytes(p, rows) + 4 * lane;
    for (size_t b = 0; b < (size_t)run; b++, low += packed_block_bytes(p, rows)) {
      float scale[2] = {d, d}, offset = m;
      if (packed_k(p)) {
        for (size_t h = 0; h < 2; h++) scale[h] = d * (int8_t)scales[(packed_halves(p) ? 2 * b + h : b) * rows];
        if (packed_m(p)) offset = -(m * scales[(8 + b) * rows]);
      }
      for (size_t v = 0; v < 8; v++, out += 4) {
        int8_t u[4];
        unpack_vector(p, low, low + packed_low_bytes(p, rows), rows, v, u);
        for (int e = 0; e < 4; e++) out[e] = scale[v / 4] * (float)u[e] + offset;
      }
    }
    group += packed_run_bytes(p, rows);
  }
}

void unpack_row(packing p, const uint8_t *group, int32_t in, size_t rows, size_t lane, float *out) {
  FOR_PACKING(p, unpack_blocks, group, in / 32, rows, lane, out)
}
