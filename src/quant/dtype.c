/* Types of weights: sizes, and whole rows out of single blocks.
 *
 *     row ──qblock_unpack──> 32 x (scale * q + offset) ──> f32     (dequantize_row)
 *     f32 ──one block at a time──> row                              (quantize_row) */
#include "blocks.h"

typedef void (*quantize_block)(const float *x, uint8_t *block);

typedef struct dtype_traits {
  const char *name;
  uint16_t block_elements, block_bytes;
  quantize_block quantize; /* NULL for f32, f16, bf16 */
} dtype_traits;

static const dtype_traits traits[DTYPE_COUNT] = {
    [DTYPE_F32] = {"f32", 1, 4, NULL},
    [DTYPE_F16] = {"f16", 1, 2, NULL},
    [DTYPE_Q4_0] = {"q4_0", 32, 18, q4_0_quantize},
    [DTYPE_Q4_1] = {"q4_1", 32, 20, q4_1_quantize},
    [DTYPE_Q5_0] = {"q5_0", 32, 22, q5_0_quantize},
    [DTYPE_Q5_1] = {"q5_1", 32, 24, q5_1_quantize},
    [DTYPE_Q8_0] = {"q8_0", 32, 34, q8_0_quantize},
    [DTYPE_Q2_K] = {"q2_K", 256, 84, q2_k_quantize},
    [DTYPE_Q3_K] = {"q3_K", 256, 110, q3_k_quantize},
    [DTYPE_Q4_K] = {"q4_K", 256, 144, q4_k_quantize},
    [DTYPE_Q5_K] = {"q5_K", 256, 176, q5_k_quantize},
    [DTYPE_Q6_K] = {"q6_K", 256, 210, q6_k_quantize},
    [DTYPE_IQ4_NL] = {"iq4_nl", 32, 18, iq4_nl_quantize},
    [DTYPE_IQ4_XS] = {"iq4_xs", 256, 136, iq4_xs_quantize},
    [DTYPE_BF16] = {"bf16", 1, 2, NULL},
};

static const dtype_traits unknown = {"unknown", 0, 0, NULL};

static const dtype_traits *traits_of(uint32_t type) {
  return type < DTYPE_COUNT && traits[type].name ? &traits[type] : &unknown;
}

const char *dtype_name(uint32_t type) { return traits_of(type)->name; }
size_t dtype_block_elements(uint32_t type) { return traits_of(type)->block_elements; }
size_t dtype_block_bytes(uint32_t type) { return traits_of(type)->block_bytes; }

size_t dtype_row_bytes(uint32_t type, size_t n) {
  const dtype_traits *t = traits_of(type);
  if (t->block_elements == 0 || n % t->block_elements != 0) return 0;
  size_t n_blocks = n / t->block_elements;
  return n_blocks <= SIZE_MAX / t->block_bytes ? n_blocks * t->block_bytes : 0;
}

void qblock_unpack(uint32_t type, const void *row, size_t index, qblock32 *out) {
  const uint8_t *p = row;
  switch (type) {
    case DTYPE_Q4_0:
      q4_0_unpack(p + index * 18, out);
      break;
    case DTYPE_Q4_1:
      q4_1_unpack(p + index * 20, out);
      break;
    case DTYPE_Q5_0:
      q5_0_unpack(p + index * 22, out);
      break;
    case DTYPE_Q5_1:
      q5_1_unpack(p + index * 24, out);
      break;
    case DTYPE_Q8_0:
      q8_0_unpack(p + index * 34, out);
      break;
    case DTYPE_Q2_K:
      q2_k_unpack(p + index / 8 * 84, index % 8, out);
      break;
    case DTYPE_Q3_K:
      q3_k_unpack(p + index / 8 * 110, index % 8, out);
      break;
    case DTYPE_Q4_K:
      q4_k_unpack(p + index / 8 * 144, index % 8, out);
      break;
    case DTYPE_Q5_K:
      q5_k_unpack(p + index / 8 * 176, index % 8, out);
      break;
    case DTYPE_Q6_K:
      q6_k_unpack(p + index / 8 * 210, index % 8, out);
      break;
    case DTYPE_IQ4_NL:
      iq4_nl_unpack(p + index * 18, out);
      break;
    case DTYPE_IQ4_XS:
      iq4_xs_unpack(p + index / 8 * 136, index % 8, out);
      break;
    default:
      memset(out, 0, sizeof *out);
  }
}

void dequantize_row(uint32_t type, const void *row, float *dst, size_t n) {
  if (type == DTYPE_F32) {
    memcpy(dst, row, n * sizeof *dst);
    return;
  }
  if (type == DTYPE_F16) {
    const uint8_t *p = row;
    for (size_t i = 0; i < n; i++) dst[i] = load_f16(p + 2 * i);
    return;
  }
  if (type == DTYPE_BF16) {
    const uint8_t *p = row;
    for (size_t i = 0; i < n; i++) dst[i] = bf16_to_f32(load_u16(p + 2 * i));
    return;
  }
  qblock32 b;
  for (size_t i = 0; i + 32 <= n; i += 32) {
    qblock_unpack(type, row, i / 32, &b);
    for (size_t j = 0; j < 32; j++) {
      float scaled = b.scale[j / 16] * (float)b.q[j]; /* rounded by itself: the same values on every machine */
      dst[i + j] = scaled + b.offset[j / 16];
    }
  }
}

bool quantize_row(uint32_t type, const float *src, void *row, size_t n) {
  const dtype_traits *t = traits_of(type);
  uint8_t *p = row;
  if (t->block_elements == 0 || n % t->block_elements != 0) return false;
  if (type == DTYPE_F32) {
    memcpy(p, src, n * sizeof *src);
  } else if (type == DTYPE_F16) {
    for (size_t i = 0; i < n; i++) store_f16(p + 2 * i, src[i]);
  } else if (type == DTYPE_BF16) {
    for (size_t i = 0; i < n; i++) {
      uint16_t h = f32_to_bf16(src[i]);
      memcpy(p + 2 * i, &h, 2);
    }
  } else {
    for (size_t i = 0; i < n; i += t->block_elements, p += t->block_bytes) t->quantize(src + i, p);
  }
  return true;
}
