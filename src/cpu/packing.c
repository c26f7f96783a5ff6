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

static inline void put_u32(uint8_t *p, uint32_t x) { memcpy(p, &x, 4); }

/* -- packing -- */

/* One row's part of a block: u of 8 times 4 elements, as bytes of words. */
EACH void put_block(const packing p, const uint32_t u[8], uint8_t *block, size_t rows) {
  uint32_t w[8];
  const uint32_t ones = 0x01010101u;
  memcpy(w, u, sizeof w);
  if (packed_bits(p) == 4) {
    for (int v = 0; v < 4; v++) w[v] |= u[v + 4] << 4;
  } else if (packed_bits(p) == 5) {
    for (int v = 0; v < 3; v++) w[v] |= (u[v + 5] & 7 * ones) << 5;
    w[3] |= (u[5] & 24 * ones) << 2 | (u[7] & 8 * ones) << 4;
    w[4] |= (u[6] & 24 * ones) << 2 | (u[7] & 16 * ones) << 3;
  } else if (packed_bits(p) == 6) {
    for (int v = 0; v < 6; v++) w[v] |= (u[6 + v / 3] >> 2 * (v % 3) & 3 * ones) << 6;
  }
  for (int v = 0; v < packed_bits(p); v++, block += 4 * rows) put_u32(block, w[v]);
}

/* A file's block of 32: d, m where there is one, fifth bits as u32, then nibbles (element i with i + 16) or int8. */
EACH void pack_legacy(const packing p, const uint8_t *row, int32_t blocks, uint8_t *group, size_t rows, size_t lane) {
  for (int32_t b = 0; b < blocks; b++, group += packed_run_bytes(p, rows)) {
    uint32_t u[8], fifth = 0;
    memcpy(group + 2 * lane, row, 2);
    if (packed_m(p)) memcpy(group + 2 * rows + 2 * lane, row + 2, 2);
    row += packed_m(p) ? 4 : 2;
    if (packed_bits(p) == 5) fifth = load_u32(row), row += 4;
    for (size_t v = 0; v < 8; v++) {
      if (packed_bits(p) == 8)
        u[v] = load_u32(row + 4 * v);
      else
        u[v] = (load_u32(row + 4 * (v % 4)) >> (v < 4 ? 0 : 4) & 0x0f0f0f0fu) |
               (uint32_t)spread_bits(fifth >> 4 * v & 15) << 4;
    }
    row += packed_bits(p) == 8 ? 32 : 16;
    put_block(p, u, group + packed_scale_bytes(p, rows) + 4 * lane, rows);
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
      const uint8_t *two =
          row + 128 + 32 * (g / 4); /* 6 bits: bits 2 (g % 4) of byte j are the upper two of element j */
      const int shift = six ? 4 * (int)(g % 4 / 2) : 4 * (int)(g % 2);
      uint32_t u[8];
      for (size_t v = 0; v < 8; v++) {
        u[v] = load_u32(four + 4 * v) >> shift & 0x0f0f0f0fu;
        if (five)
          u[v] |= (load_u32(row + 16 + 4 * v) >> g & 0x01010101u) << 4; /* bit g of byte j: the fifth of element j */
        if (six) u[v] |= (load_u32(two + 4 * v) >> 2 * (g % 4) & 0x03030303u) << 4;
      }
      put_block(p, u, group + 4 * lane, rows);
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

/* The inverse of put_block. */
EACH void get_block(const packing p, const uint8_t *block, size_t rows, uint32_t u[8]) {
  const uint32_t ones = 0x01010101u;
  uint32_t w[8] = {0};
  for (int v = 0; v < packed_bits(p); v++, block += 4 * rows) w[v] = load_u32(block);
  for (int v = 0; v < packed_bits(p); v++)
    u[v] = w[v] & (packed_bits(p) == 4 ? 15 : packed_bits(p) == 5 ? 31 : packed_bits(p) == 6 ? 63 : 255) * ones;
  if (packed_bits(p) == 4) {
    for (int v = 0; v < 4; v++) u[v + 4] = w[v] >> 4 & 15 * ones;
  } else if (packed_bits(p) == 5) {
    u[5] = (w[0] >> 5 & 7 * ones) | (w[3] >> 2 & 24 * ones);
    u[6] = (w[1] >> 5 & 7 * ones) | (w[4] >> 2 & 24 * ones);
    u[7] = (w[2] >> 5 & 7 * ones) | (w[3] >> 4 & 8 * ones) | (w[4] >> 3 & 16 * ones);
  } else if (packed_bits(p) == 6) {
    for (int v = 6; v < 8; v++) {
      const uint32_t *from = w + 3 * (v - 6);
      u[v] = (from[0] >> 6 & 3 * ones) | (from[1] >> 4 & 12 * ones) | (from[2] >> 2 & 48 * ones);
    }
  }
}

EACH void unpack_blocks(const packing p, const uint8_t *group, int32_t blocks, size_t rows, size_t lane, float *out) {
  const int run = packed_run(p);
  for (int32_t first = 0; first < blocks; first += run) {
    const float d = load_f16(group + 2 * lane), m = packed_m(p) ? load_f16(group + 2 * rows + 2 * lane) : 0.0f;
    const uint8_t *scales = group + (packed_m(p) ? 4 : 2) * rows + lane;
    const uint8_t *at = group + packed_scale_bytes(p, rows) + 4 * lane;
    for (size_t b = 0; b < (size_t)run; b++, at += packed_block_bytes(p, rows)) {
      float scale[2] = {d, d}, offset = m;
      if (packed_k(p)) {
        for (size_t h = 0; h < 2; h++) scale[h] = d * (int8_t)scales[(packed_halves(p) ? 2 * b + h : b) * rows];
        if (packed_m(p)) offset = -(m * scales[(8 + b) * rows]);
      }
      uint32_t u[8];
      get_block(p, at, rows, u);
      for (size_t i = 0; i < 32; i++) {
        const int byte = (int8_t)(uint8_t)(u[i / 4] >> 8 * (i % 4));
        out[i] = scale[i / 16] * (float)(byte - packed_zero(p)) + offset;
      }
      out += 32;
    }
    group += packed_run_bytes(p, rows);
  }
}

void unpack_row(packing p, const uint8_t *group, int32_t in, size_t rows, size_t lane, float *out) {
  FOR_PACKING(p, unpack_blocks, group, in / 32, rows, lane, out)
}
