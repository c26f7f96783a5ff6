/* Weights: taking rows from the file, and giving rows back. */
#include "cpu_weight.h"

static bool packing_of(uint32_t type, packing *p) {
  switch (type) {
    case DTYPE_Q4_0:
      *p = PACK_4;
      return true;
    case DTYPE_Q4_1:
      *p = PACK_4_M;
      return true;
    case DTYPE_Q5_0:
      *p = PACK_5;
      return true;
    case DTYPE_Q5_1:
      *p = PACK_5_M;
      return true;
    case DTYPE_Q8_0:
      *p = PACK_8;
      return true;
    default:
      return false;
  }
}

/* Every eighth part of a fifth-bit word, e of 4, is a byte of the group: bit s of byte e is bit 4 s + e of the word. */
static inline uint8_t gather_bits(uint32_t word, unsigned e) {
  uint32_t x = word >> e & 0x11111111u;
  x = (x | x >> 3) & 0x03030303u;
  x = (x | x >> 6) & 0x000f000fu;
  return (uint8_t)(x | x >> 12);
}

static inline uint32_t scatter_bits(uint8_t byte, unsigned e) {
  uint32_t x = byte;
  x = (x | x << 12) & 0x000f000fu;
  x = (x | x << 6) & 0x03030303u;
  return ((x | x << 3) & 0x11111111u) << e;
}

/* One row of the file into its place in a group. A file's block: d, m where there is one, fifth bits as u32, then nibbles (element i with
 * i + 16, as in the group) or int8 (in the group + 128). `group` is the group's first block; lane: the row within it. */
static inline __attribute__((always_inline)) void pack_blocks(const packing p, const uint8_t *row, int32_t blocks,
                                                              uint8_t *group, size_t vw, size_t lane) {
  const size_t n_vectors = packed_bits(p) == 8 ? 8 : 4, at = packed_byte(lane, 0);
  for (int32_t b = 0; b < blocks; b++, group += packed_block_bytes(p, vw)) {
    memcpy(group + 2 * lane, row, 2);
    if (packed_m(p)) memcpy(group + 2 * vw + 2 * lane, row + 2, 2);
    row += packed_m(p) ? 4 : 2;
    uint8_t *low = group + (packed_m(p) ? 4 : 2) * vw, *high = low + 16 * vw;
    if (packed_bits(p) == 5) {
      const uint32_t fifth = load_u32(row);
      for (unsigned e = 0; e < 4; e++) high[packed_byte(lane, e)] = gather_bits(fifth, e);
      row += 4;
    }
    for (size_t s = 0; s < n_vectors; s++, low += 4 * vw, row += 4) {
      const uint32_t four = packed_bits(p) == 8 ? load_u32(row) ^ 0x80808080u : load_u32(row);
      const uint16_t pair0 = (uint16_t)four, pair1 = (uint16_t)(four >> 16);
      memcpy(low + at, &pair0, 2);
      memcpy(low + at + 8, &pair1, 2);
    }
  }
}

static inline __attribute__((always_inline)) void unpack_blocks(const packing p, const uint8_t *group, int32_t blocks,
                                                                size_t vw, size_t lane, float *out) {
  const size_t n_vectors = packed_bits(p) == 8 ? 8 : 4, at = packed_byte(lane, 0);
  for (int32_t b = 0; b < blocks; b++, group += packed_block_bytes(p, vw), out += 32) {
    const float d = f16_to_f32(load_u16(group + 2 * lane)),
                m = packed_m(p) ? f16_to_f32(load_u16(group + 2 * vw + 2 * lane)) : 0.0f;
    const uint8_t *low = group + (packed_m(p) ? 4 : 2) * vw, *high = low + 16 * vw;
    uint8_t bytes[32];
    for (size_t s = 0; s < n_vectors; s++, low += 4 * vw) {
      memcpy(bytes + 4 * s, low + at, 2);
      memcpy(bytes + 4 * s + 2, low + at + 8, 2);
    }
    if (packed_bits(p) != 8) {
      for (int k = 0; k < 16; k++) {
        bytes[16 + k] = bytes[k] >> 4;
        bytes[k] &= 15;
      }
    }
    if (packed_bits(p) == 5) {
      uint32_t fifth = 0;
      for (unsigned e = 0; e < 4; e++) fifth |= scatter_bits(high[packed_byte(lane, e)], e);
      for (int k = 0; k < 32; k++) bytes[k] |= (uint8_t)((fifth >> k & 1u) << 4);
    }
    for (int k = 0; k < 32; k++) out[k] = d * (float)(bytes[k] - packed_zero(p)) + m;
  }
}

/* One copy of the loops for each packing, so that what depends on it is decided before them. */
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
    default:                       \
      call(PACK_8, __VA_ARGS__);   \
      break;                       \
  }

static void pack_row(packing p, const uint8_t *row, int32_t blocks, uint8_t *group, size_t vw, size_t lane) {
  FOR_PACKING(p, pack_blocks, row, blocks, group, vw, lane)
}

static void unpack_row(packing p, const uint8_t *group, int32_t blocks, size_t vw, size_t lane,
                       float *out){FOR_PACKING(p, unpack_blocks, group, blocks, vw, lane, out)}

weight *cpu_weight_open(backend *be, uint32_t type, int32_t out, int32_t in) {
  cpu *c = (cpu *)be;
  if (out < 1 || in < 1 || in > MAX_WEIGHT_COLUMNS || out > INT32_MAX - 64) return NULL;
  size_t row_bytes = dtype_row_bytes(type, (size_t)in);
  if (row_bytes == 0) return NULL;
  /* Scratch of a thread: the tiles' results, and for blocks four panels with their scales and one row as f32. */
  const int32_t nr = c->k->nr;
  const size_t pairs = (size_t)divide_up(in, 2), columns = (size_t)nr * MAX_BLOCK_PANELS;
  const size_t few_bytes = (size_t)MAX_FEW_ROWS * (size_t)in * 3;
  if (!cpu_grow_scratch(c,
                        (pairs * 4 + 8) * 4 * (size_t)nr + (size_t)in * 4 + columns * (MAX_TILE_ROWS + 1) * 4 + 1024))
    return NULL;
  if (dtype_block_elements(type) > 1 && few_bytes > c->few_bytes) {
    mem_free(c->few);
    c->few = mem_alloc(few_bytes, 1);
    c->few_bytes = c->few ? few_bytes : 0;
    if (!c->few) return NULL;
  }
  weight *w = mem_alloc(1, sizeof *w);
  if (!w) return NULL;
  *w = (weight){.type = type, .out = out, .in = in, .row_bytes = row_bytes};
  w->form = packing_of(type, &w->packing) ? FORM_PACKED : dtype_block_elements(type) == 1 ? FORM_PANELS : FORM_ROWS;
  if (w->form == FORM_PANELS) {
    const size_t n_panels = (size_t)divide_up(out, nr);
    w->panels = mem_alloc(n_panels, pairs * (size_t)nr * 4);
    w->scales = mem_alloc(n_panels, (size_t)nr * sizeof(float));
    w->bytes = n_panels * (size_t)nr * (pairs * 4 + sizeof(float));
  } else {
    if (w->form == FORM_PACKED) {
      const size_t groups = (size_t)divide_up(out, c->k->vw),
                   group = (size_t)(in / 32) * packed_block_bytes(w->packing, (size_t)c->k->vw);
      w->data = mem_alloc(groups, group);
      w->bytes = groups * group;
    } else {
      w->data = mem_alloc((size_t)out, row_bytes);
      w->bytes = (size_t)out * row_bytes;
    }
  }
  if (!w->data && !(w->panels && w->scales)) {
    cpu_weight_close(be, w);
    return NULL;
  }
  return w;
}

void cpu_weight_rows(backend *be, weight *w, int32_t first, int32_t n, const void *rows) {
  const cpu *c = (cpu *)be;
  const uint8_t *row = rows;
  if (w->form == FORM_ROWS) {
    memcpy(w->data + (size_t)first * w->row_bytes, rows, (size_t)n * w->row_bytes);
    return;
  }
  if (w->form == FORM_PACKED) {
    for (int32_t i = first; i < first + n; i++, row += w->row_bytes)
      pack_row(w->packing, row, w->in / 32, weight_group(c, w, i), (size_t)c->k->vw, (size_t)(i % c->k->vw));
    return;
  }
  const size_t nr = (size_t)c->k->nr, pairs = (size_t)weight_pairs(w);
  float *values = cpu_scratch(c, 0);
  for (int32_t i = first; i < first + n; i++, row += w->row_bytes) {
    dequantize_row(w->type, row, values, (size_t)w->in);
    int16_t *panel = w->panels + (size_t)i / nr * pairs * nr * 2;
    w->scales[i] = quantize_right(c->k, values, w->in, panel + (size_t)i % nr * 2, nr);
  }
}

void cpu_weight_seal(backend *be, weight *w) { (void)be, (void)w; }

void cpu_weight_close(backend *be, weight *w) {
  (void)be;
  if (!w) return;
  mem_free(w->panels);
  mem_free(w->scales);
  mem_free(w->data);
  mem_free(w);
}

size_t cpu_weight_bytes(const weight *w) { return w->bytes; }

void cpu_weight_row(const cpu *c, const weight *w, int32_t row, float *out) {
  if (w->form == FORM_ROWS) {
    dequantize_row(w->type, w->data + (size_t)row * w->row_bytes, out, (size_t)w->in);
    return;
  }
  if (w->form == FORM_PACKED) {
    unpack_row(w->packing, weight_group(c, w, row), w->in / 32, (size_t)c->k->vw, (size_t)(row % c->k->vw), out);
    return;
  }
  const size_t nr = (size_t)c->k->nr, pairs = (size_t)weight_pairs(w);
  const int16_t *p = w->panels + (size_t)row / nr * pairs * nr * 2 + (size_t)row % nr * 2;
  for (int32_t i = 0; i < w->in; i++) out[i] = (float)p[(size_t)(i / 2) * nr * 2 + (size_t)(i & 1)] * w->scales[row];
}
