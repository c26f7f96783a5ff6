/* Weights on the GPU: the file's rows packed as wgsl/weights.wgsl reads them.
 *
 *     rows of the file ──pack──> a piece: quants, scales ──when full──> their places in the part's buffer
 *
 * Rows come in order, as many at a time as the file is read in; a piece is written once it is full. Packing moves bits, and so keeps every value.
 * Types that no kernel reads become others:
 *
 *     q3_K    q6_K    the same values
 *     iq4_nl  q8_0    the same values
 *     iq4_xs  q8_0    the scale of 32 elements rounded to f16
 *     q2_K    q8_0    rounded to a 127th of the greatest of 32 */
#include "../quant/blocks.h"
#include "gpu.h"

enum {
  REGION = 256,    /* bytes: regions of a part begin at multiples of this */
  PIECE = 4 << 20, /* bytes of quants that are written at a time, about */
  PIECE_ROWS = 32  /* rows of a piece and of a part are multiples of this: so scales that share a word stay together */
};

/* How a type of blocks lies: bytes of quants and words of scales for `blocks` blocks of 32 elements. */
typedef struct layout {
  uint8_t blocks, words;
  uint16_t quants;
} layout;

static layout layout_of(uint32_t type) {
  switch (type) {
    case DTYPE_Q4_0:
      return (layout){2, 1, 32};
    case DTYPE_Q4_1:
      return (layout){1, 1, 16};
    case DTYPE_Q5_0:
      return (layout){2, 3, 32};
    case DTYPE_Q5_1:
      return (layout){1, 2, 16};
    case DTYPE_Q8_0:
      return (layout){2, 1, 64};
    case DTYPE_Q4_K:
      return (layout){8, 5, 128};
    case DTYPE_Q5_K:
      return (layout){8, 13, 128};
    default: /* DTYPE_Q6_K */
      return (layout){8, 21, 128};
  }
}

static uint32_t type_on_gpu(uint32_t type) {
  switch (type) {
    case DTYPE_Q3_K:
      return DTYPE_Q6_K;
    case DTYPE_IQ4_NL:
    case DTYPE_IQ4_XS:
    case DTYPE_Q2_K:
      return DTYPE_Q8_0;
    default:
      return type;
  }
}

static bool is_dense(uint32_t type) { return dtype_block_elements(type) == 1; }

/* Bytes of quants in n rows; those of one row are a multiple of 16. */
static uint64_t quant_bytes(const weight *w, int32_t n) {
  if (is_dense(w->type)) return (uint64_t)n * ((dtype_row_bytes(w->type, (size_t)w->in) + 15) & ~(size_t)15);
  const layout l = layout_of(w->type);
  return (uint64_t)n * (uint64_t)(w->in / 32) * l.quants / l.blocks;
}

/* Bytes of scales in n rows. */
static uint64_t scale_bytes(const weight *w, int32_t n) {
  if (is_dense(w->type)) return 0;
  const layout l = layout_of(w->type);
  return ((uint64_t)n * (uint64_t)(w->in / 32) + l.blocks - 1) / l.blocks * l.words * 4;
}

static uint64_t whole_regions(uint64_t bytes) { return (bytes + REGION - 1) & ~(uint64_t)(REGION - 1); }

/* ---- packing: block `b` of a piece, from one block of the file ---- */

typedef struct piece {
  uint8_t *quants;
  uint32_t *scales;
} piece;

#define LOW_NIBBLES  0x0f0f0f0f0f0f0f0fu
#define HIGH_NIBBLES 0xf0f0f0f0f0f0f0f0u

static uint16_t *half_words(uint32_t *words) { return (uint16_t *)(void *)words; }

/* Bits 0 ... 3 of n to bit 0 of bytes 0 ... 3. */
static uint32_t spread_four(uint32_t n) { return n * 0x00204081u & 0x01010101u; }

/* Bit e of the file, the fifth one of element e, to bit e / 4 of byte e % 4. */
static uint32_t fifth_bits(const uint8_t *high) {
  uint32_t out = 0;
  for (int i = 0; i < 4; i++) out |= (spread_four(high[i] & 15u) | spread_four(high[i] >> 4) << 1) << 2 * i;
  return out;
}

/* Bits that lie at `shift` of the bytes of elements, `width` of them each: of quad k at width * k. Eight bits of quads in all. */
static uint32_t gather_bits(const uint8_t *from, int shift, int width) {
  const uint32_t mask = width == 1 ? 0x01010101u : 0x03030303u;
  uint32_t out = 0;
  for (int k = 0; k < 8 / width; k++) out |= (load_u32(from + 4 * k) >> shift & mask) << width * k;
  return out;
}

/* 32 bytes, each with a nibble of two groups of 32 elements, to nibbles of a group: of elements j and j + 16 in byte j. */
static void split_groups(const uint8_t *from, uint8_t *low, uint8_t *high) {
  for (int j = 0; j < 16; j += 8) {
    const uint64_t a = load_u64(from + j), b = load_u64(from + 16 + j);
    const uint64_t l = (a & LOW_NIBBLES) | (b & LOW_NIBBLES) << 4, h = (a >> 4 & LOW_NIBBLES) | (b & HIGH_NIBBLES);
    memcpy(low + j, &l, 8);
    memcpy(high + j, &h, 8);
  }
}

static void pack_q8(const piece *p, size_t b, const int8_t *q, uint16_t scale) {
  for (size_t j = 0; j < 32; j++) p->quants[32 * b + j] = (uint8_t)(q[j] + 128);
  half_words(p->scales)[b] = scale;
}

/* Of q4_K and q5_K: what comes before their nibbles. */
static void pack_q45_k_scales(uint32_t *words, const uint8_t *block) {
  words[0] = load_u32(block);
  for (size_t i = 0; i < 8; i++) {
    int scale, min;
    q45_k_scale(block + 4, i, &scale, &min);
    half_words(words + 1)[i] = (uint16_t)(scale | min << 8);
  }
}

static void pack_q6_k(const piece *p, size_t b, const uint8_t *block) {
  uint32_t *words = p->scales + b / 8 * 21;
  words[0] = load_u16(block + 208);
  memcpy(words + 1, block + 192, 16);
  for (size_t g = 0; g < 8; g++) {
    uint8_t *quants = p->quants + 16 * (b + g);
    if (g % 4 < 2) split_groups(block + 64 * (g / 4) + 32 * (g % 2), quants, quants + 32);
    for (size_t half = 0; half < 2; half++)
      words[5 + 2 * g + half] = gather_bits(block + 128 + 32 * (g / 4) + 16 * half, 2 * (int)(g % 4), 2);
  }
}

/* The same integers and scales in a block of q6_K. */
static void q3_k_to_q6_k(const uint8_t *block, uint8_t *out) {
  memset(out, 0, 210);
  for (size_t i = 0; i < 16; i++) out[192 + i] = (uint8_t)(int8_t)q3_k_scale(block + 96, i);
  memcpy(out + 208, block + 108, 2);
  for (size_t g = 0; g < 8; g++) {
    qblock32 group;
    q3_k_unpack(block, g, &group);
    for (size_t j = 0; j < 32; j++) {
      const int q = group.q[j] + 32;
      out[64 * (g / 4) + 32 * (g % 2) + j] |= (uint8_t)((q & 15) << 4 * (g % 4 / 2));
      out[128 + 32 * (g / 4) + j] |= (uint8_t)(q >> 4 << 2 * (g % 4));
    }
  }
}

static void pack_block(uint32_t type, const piece *p, size_t b, const uint8_t *block) {
  uint32_t *words = p->scales;
  switch (type) {
    case DTYPE_Q4_0:
      half_words(words)[b] = load_u16(block);
      memcpy(p->quants + 16 * b, block + 2, 16);
      break;
    case DTYPE_Q4_1:
      words[b] = load_u32(block);
      memcpy(p->quants + 16 * b, block + 4, 16);
      break;
    case DTYPE_Q5_0:
      words += b / 2 * 3;
      words[b % 2] = fifth_bits(block + 2);
      half_words(words + 2)[b % 2] = load_u16(block);
      memcpy(p->quants + 16 * b, block + 6, 16);
      break;
    case DTYPE_Q5_1:
      words[2 * b] = fifth_bits(block + 4);
      words[2 * b + 1] = load_u32(block);
      memcpy(p->quants + 16 * b, block + 8, 16);
      break;
    case DTYPE_Q8_0:
      pack_q8(p, b, (const int8_t *)block + 2, load_u16(block));
      break;
    case DTYPE_Q4_K:
    case DTYPE_Q5_K: {
      const bool five = type == DTYPE_Q5_K;
      const uint8_t *nibbles = block + (five ? 48 : 16);
      words += b / 8 * (five ? 13 : 5);
      pack_q45_k_scales(words, block);
      for (size_t g = 0; g < 8; g += 2)
        split_groups(nibbles + 16 * g, p->quants + 16 * (b + g), p->quants + 16 * (b + g + 1));
      for (size_t g = 0; g < 8 && five; g++) words[5 + g] = gather_bits(block + 16, (int)g, 1);
      break;
    }
    case DTYPE_Q6_K:
      pack_q6_k(p, b, block);
      break;
    case DTYPE_Q3_K: {
      uint8_t as_q6_k[210];
      q3_k_to_q6_k(block, as_q6_k);
      pack_q6_k(p, b, as_q6_k);
      break;
    }
    case DTYPE_IQ4_NL:
    case DTYPE_IQ4_XS:
      for (size_t g = 0; g < dtype_block_elements(type) / 32; g++) {
        qblock32 group;
        qblock_unpack(type, block, g, &group);
        pack_q8(p, b + g, group.q, f32_to_f16(group.scale[0]));
      }
      break;
    default: { /* DTYPE_Q2_K */
      float values[256];
      uint8_t as_q8_0[34];
      dequantize_row(type, block, values, 256);
      for (size_t g = 0; g < 8; g++) {
        q8_0_quantize(values + 32 * g, as_q8_0);
        pack_q8(p, b + g, (const int8_t *)as_q8_0 + 2, load_u16(as_q8_0));
      }
    }
  }
}

/* ---- weights ---- */

/* With the piece that rows are gathered in. */
typedef struct filled_weight {
  weight w;
  piece piece;      /* of piece_capacity rows; NULL once the weight is sealed */
  int32_t first, n; /* rows in it */
  int32_t part;     /* that they belong to */
  int32_t piece_capacity;
} filled_weight;

/* The most rows whose regions fit into a buffer and a binding. */
static int32_t most_rows(const gpu *g, const weight *w) {
  const uint64_t binding = g->traits.max_binding_bytes & ~(uint32_t)(REGION - 1), most = g->traits.max_buffer_bytes;
  int32_t low = 0, high = w->out; /* low fits, what is above high does not */
  while (low < high) {
    const int32_t n = low + (high - low) / 2 + 1;
    const uint64_t quants = whole_regions(quant_bytes(w, n)), scales = whole_regions(scale_bytes(w, n));
    if (quants <= binding && scales <= binding && quants + scales <= most)
      low = n;
    else
      high = n - 1;
  }
  return low;
}

static bool open_parts(gpu *g, weight *w) {
  int32_t rows = most_rows(g, w);
  if (rows < w->out) rows -= rows % PIECE_ROWS;
  if (rows == 0 || (w->out - 1) / rows >= MAX_PARTS) return false;
  for (int32_t first = 0; first < w->out; first += rows) {
    weight_part *p = &w->parts[w->n_parts++];
    p->first = first;
    p->n = min_i32(rows, w->out - first);
    p->quant_bytes = p->scales_at = (size_t)whole_regions(quant_bytes(w, p->n));
    p->scale_bytes = (size_t)whole_regions(scale_bytes(w, p->n));
    p->id = gpu_buffer_new(g, p->quant_bytes + p->scale_bytes);
    if (p->id == 0) return false;
    w->bytes += p->quant_bytes + p->scale_bytes;
  }
  return true;
}

weight *gpu_weight_open(backend *be, uint32_t type, int32_t out, int32_t in) {
  if (out < 1 || in < 1 || dtype_row_bytes(type, (size_t)in) == 0) return NULL;
  filled_weight *f = mem_alloc(1, sizeof *f);
  if (f == NULL) return NULL;
  weight *w = &f->w;
  *w = (weight){.type = type_on_gpu(type), .file_type = type, .out = out, .in = in};
  const uint64_t row = quant_bytes(w, PIECE_ROWS);
  f->piece_capacity = PIECE_ROWS * (int32_t)(row < PIECE ? PIECE / row : 1);
  f->piece_capacity = min_i32(f->piece_capacity, out);
  f->piece.quants = mem_alloc((size_t)quant_bytes(w, f->piece_capacity), 1);
  f->piece.scales = mem_alloc((size_t)scale_bytes(w, f->piece_capacity) + 4, 1);
  if (f->piece.quants != NULL && f->piece.scales != NULL && open_parts((gpu *)be, w) &&
      gpu_linear_many_grow((gpu *)be, w))
    return w;
  gpu_weight_close(be, w);
  return NULL;
}

static void write_piece(gpu *g, filled_weight *f) {
  const weight *w = &f->w;
  const weight_part *p = &w->parts[f->part];
  const int32_t before = f->first - p->first; /* a multiple of PIECE_ROWS: whole words of scales */
  gpu_write(g, p->id, (size_t)quant_bytes(w, before), f->piece.quants, (size_t)quant_bytes(w, f->n));
  gpu_write(g, p->id, p->scales_at + (size_t)scale_bytes(w, before), f->piece.scales, (size_t)scale_bytes(w, f->n));
  f->first += f->n;
  f->n = 0;
  if (f->first == p->first + p->n) f->part++;
}

void gpu_weight_rows(backend *be, weight *w, int32_t first, int32_t n, const void *rows) {
  filled_weight *f = (filled_weight *)(void *)w;
  const size_t row_bytes = dtype_row_bytes(w->file_type, (size_t)w->in);
  const size_t block = dtype_block_elements(w->file_type), block_bytes = dtype_block_bytes(w->file_type);
  const uint8_t *row = rows;
  (void)first; /* they come in order */
  for (int32_t i = 0; i < n; i++, row += row_bytes) {
    if (is_dense(w->type)) {
      memcpy(f->piece.quants + (size_t)quant_bytes(w, f->n), row, row_bytes);
    } else {
      size_t b = (size_t)f->n * (size_t)(w->in / 32);
      for (const uint8_t *p = row; p < row + row_bytes; p += block_bytes, b += block / 32)
        pack_block(w->file_type, &f->piece, b, p);
    }
    const weight_part *part = &w->parts[f->part];
    if (++f->n == f->piece_capacity || f->first + f->n == part->first + part->n) write_piece((gpu *)be, f);
  }
}

static void drop_piece(filled_weight *f) {
  mem_free(f->piece.quants);
  mem_free(f->piece.scales);
  f->piece = (piece){NULL, NULL};
}

void gpu_weight_seal(backend *be, weight *w) {
  (void)be;
  drop_piece((filled_weight *)(void *)w);
}

void gpu_weight_close(backend *be, weight *w) {
  if (w == NULL) return;
  for (int32_t i = 0; i < w->n_parts; i++) gpu_buffer_free((gpu *)be, w->parts[i].id);
  drop_piece((filled_weight *)(void *)w);
  mem_free(w);
}

size_t gpu_weight_bytes(const weight *w) { return w->bytes; }

const char *gpu_weight_type_name(const weight *w) { return dtype_name(w->type); }
