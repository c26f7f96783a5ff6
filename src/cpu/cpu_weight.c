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

/* One row of the file into its place in a group. A file's block: d, m where there is one, fifth bits as u32, then nibbles (element i with
 * i + 16) or int8. `group` is the group's first block; lane: the row within it. */
static void pack_row(packing p, const uint8_t *row, int32_t blocks, uint8_t *group, size_t vw, size_t lane) {
  const bool has_m = packed_m(p);
  const int bits = packed_bits(p);
  for (int32_t b = 0; b < blocks; b++, group += packed_block_bytes(p, vw)) {
    memcpy(group + 2 * lane, row, 2);
    if (has_m) memcpy(group + 2 * vw + 2 * lane, row + 2, 2);
    row += has_m ? 4 : 2;
    uint8_t *low = group + (has_m ? 4 : 2) * vw, *high = low + 16 * vw;
    const uint32_t fifth = bits == 5 ? load_u32(row) : 0;
    if (bits == 5) row += 4;
    for (size_t k = 0; k < 32; k++) {
      const size_t s = k / 4, at = packed_byte(lane, k % 4);
      if (bits == 8) {
        low[4 * vw * s + at] = row[k] ^ 0x80; /* int8 + 128 */
      } else {
        const unsigned nibble = k < 16 ? row[k] & 15u : row[k - 16] >> 4;
        uint8_t *byte = low + 4 * vw * (s % 4) + at;
        *byte = (uint8_t)(s < 4 ? (*byte & 0xf0u) | nibble : (*byte & 0x0fu) | nibble << 4);
        if (bits == 5) high[at] = (uint8_t)((high[at] & ~(1u << s)) | (fifth >> k & 1u) << s);
      }
    }
    row += bits == 8 ? 32 : 16;
  }
}

static void unpack_row(packing p, const uint8_t *group, int32_t blocks, size_t vw, size_t lane, float *out) {
  const bool has_m = packed_m(p);
  const int bits = packed_bits(p), zero = packed_zero(p);
  for (int32_t b = 0; b < blocks; b++, group += packed_block_bytes(p, vw), out += 32) {
    const float d = f16_to_f32(load_u16(group + 2 * lane)),
                m = has_m ? f16_to_f32(load_u16(group + 2 * vw + 2 * lane)) : 0.0f;
    const uint8_t *low = group + (has_m ? 4 : 2) * vw, *high = low + 16 * vw;
    for (size_t s = 0; s < 8; s++) {
      for (size_t e = 0; e < 4; e++) {
        const size_t at = packed_byte(lane, e);
        int u = bits == 8 ? low[4 * vw * s + at] : low[4 * vw * (s % 4) + at] >> (s < 4 ? 0 : 4) & 15;
        if (bits == 5) u |= (high[at] >> s & 1) << 4;
        out[4 * s + e] = d * (float)(u - zero) + m;
      }
    }
  }
}

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
