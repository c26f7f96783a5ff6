/* Weights packed for the GPU: read back as wgsl/weights.wgsl reads them, against dequantize_row of the file's rows. The host's buffers are
 * memory here. */
#include "../../src/gpu/gpu_host.h"
#include "../../src/gpu/gpu_tape.h"
#include "check.h"

/* ---- a host with buffers only ---- */

enum { MAX_BUFFERS = 80 };

static uint8_t *buffers[MAX_BUFFERS];
static size_t sizes[MAX_BUFFERS];
static int n_writes;
static size_t largest_write;

static uint32_t host_buffer_open(double bytes) {
  for (uint32_t id = 1; id < MAX_BUFFERS; id++)
    if (buffers[id] == NULL) {
      buffers[id] = calloc(1, (size_t)bytes);
      sizes[id] = (size_t)bytes;
      return id;
    }
  return 0;
}

static void host_buffer_close(uint32_t id) {
  free(buffers[id]);
  buffers[id] = NULL;
}

static void host_write(uint32_t id, double offset, const void *from, size_t bytes) {
  CHECK(bytes % 4 == 0 && (size_t)offset % 4 == 0 && (size_t)offset + bytes <= sizes[id]);
  memcpy(buffers[id] + (size_t)offset, from, bytes);
  n_writes++;
  largest_write = max_size(largest_write, bytes);
}

static const gpu_host host = {
    .buffer_open = host_buffer_open,
    .buffer_close = host_buffer_close,
    .write = host_write,
};

/* ---- element (row, col) of a part, as weights.wgsl says ---- */

static uint32_t word_of(const uint8_t *p, size_t i) { return load_u32(p + 4 * i); }

static float half_of(const uint8_t *p, size_t i) { return f16_to_f32(load_u16(p + 2 * i)); }

static float dense_element(uint32_t type, const uint8_t *quants, size_t row, size_t col, size_t in) {
  const size_t size = dtype_block_bytes(type);
  const uint8_t *p = quants + row * ((in * size + 15) / 16 * 16) + col * size;
  return type == DTYPE_F32 ? load_f32(p) : type == DTYPE_F16 ? f16_to_f32(load_u16(p)) : bf16_to_f32(load_u16(p));
}

static float element(const weight *w, const weight_part *part, size_t row, size_t col) {
  const uint8_t *quants = buffers[part->id], *scales = quants + part->scales_at;
  const size_t in = (size_t)w->in;
  if (dtype_block_elements(w->type) == 1) return dense_element(w->type, quants, row, col, in);
  const size_t b = row * (in / 32) + col / 32, s = b / 8, g = b % 8;
  const size_t quad = col % 32 / 4, j = col % 4;
  const int nibble = quants[16 * b + 4 * (quad % 4) + j] >> (quad < 4 ? 0 : 4) & 15;
  const size_t bit = 8 * j + quad; /* of a word with a bit for each element */
  switch (w->type) {
    case DTYPE_Q8_0:
      return (float)(quants[32 * b + col % 32] - 128) * half_of(scales, b);
    case DTYPE_Q4_0:
      return (float)(nibble - 8) * half_of(scales, b);
    case DTYPE_Q4_1:
      return (float)nibble * half_of(scales, 2 * b) + half_of(scales, 2 * b + 1);
    case DTYPE_Q5_0: {
      const size_t pair = 3 * (b / 2);
      const int high = word_of(scales, pair + b % 2) >> bit & 1;
      return (float)(nibble + 16 * high - 16) * half_of(scales, 2 * (pair + 2) + b % 2);
    }
    case DTYPE_Q5_1: {
      const int high = word_of(scales, 2 * b) >> bit & 1;
      return (float)(nibble + 16 * high) * half_of(scales, 4 * b + 2) + half_of(scales, 4 * b + 3);
    }
    case DTYPE_Q4_K:
    case DTYPE_Q5_K: {
      const uint8_t *super = scales + s * 4 * (w->type == DTYPE_Q4_K ? 5 : 13);
      const int high = w->type == DTYPE_Q4_K ? 0 : word_of(super, 5 + g) >> bit & 1;
      const float scale = half_of(super, 0) * (float)super[4 + 2 * g],
                  min = half_of(super, 1) * (float)super[5 + 2 * g];
      return (float)(nibble + 16 * high) * scale - min;
    }
    default: {
      const uint8_t *super = scales + s * 4 * 21;
      const int high = word_of(super, 5 + 2 * g + quad / 4) >> (8 * j + 2 * (quad % 4)) & 3;
      const float scale = half_of(super, 0) * (float)(int8_t)super[4 + 2 * g + quad / 4];
      return (float)(nibble + 16 * high - 32) * scale;
    }
  }
}

/* ---- tests ---- */

/* How far an element may be from the file's, in units of the largest of its block. */
static double tolerance(uint32_t type) {
  return type == DTYPE_Q2_K ? 0.5 / 127 + 1.0 / 2000 : type == DTYPE_IQ4_XS ? 1.0 / 2000 : 1e-6;
}

/* Rows of quantized noise, fed `step` at a time; several parts or one. */
static void check_weight(gpu *g, uint32_t type, int32_t out, int32_t in, int32_t step, bool parts) {
  const size_t row_bytes = dtype_row_bytes(type, (size_t)in), n = (size_t)in;
  random_state random = {type * 977u + (uint32_t)out};
  uint8_t *rows = mem_alloc((size_t)out, row_bytes);
  float *values = mem_alloc(n, sizeof *values);
  for (int32_t r = 0; r < out; r++) {
    for (size_t c = 0; c < n; c++) values[c] = ((float)random_u32(&random) / 4294967296.0f - 0.4f) * (float)(1 + r % 3);
    CHECK(quantize_row(type, values, rows + (size_t)r * row_bytes, n));
  }
  weight *w = gpu_weight_open(&g->base, type, out, in);
  if (CHECK(w != NULL)) {
    for (int32_t r = 0; r < out; r += step)
      gpu_weight_rows(&g->base, w, r, min_i32(step, out - r), rows + (size_t)r * row_bytes);
    gpu_weight_seal(&g->base, w);
    CHECK((w->n_parts > 1) == parts && w->file_type == type);
    int32_t next = 0;
    double worst = 0;
    for (int32_t i = 0; i < w->n_parts; i++) {
      const weight_part *p = &w->parts[i];
      CHECK(p->first == next && p->quant_bytes % 256 == 0 && p->scale_bytes % 256 == 0);
      CHECK(p->scales_at + p->scale_bytes <= sizes[p->id] && p->quant_bytes <= g->traits.max_binding_bytes);
      next += p->n;
      for (int32_t r = 0; r < p->n; r++) {
        dequantize_row(type, rows + (size_t)(p->first + r) * row_bytes, values, n);
        for (size_t first = 0; first < n; first += 32) {
          double largest = 1e-30, off = 0;
          for (size_t c = first; c < n && c < first + 32; c++) {
            largest = fmax(largest, fabs((double)values[c]));
            off = fmax(off, fabs((double)element(w, p, (size_t)r, c) - (double)values[c]));
          }
          worst = fmax(worst, off / largest);
        }
      }
    }
    CHECK(next == out);
    if (!CHECK(worst <= tolerance(type))) fprintf(stderr, "%s [%d, %d]: %g\n", dtype_name(type), out, in, worst);
    gpu_weight_close(&g->base, w);
  }
  mem_free(rows);
  mem_free(values);
}

int main(void) {
  gpu_host_now = &host;
  gpu g = {.traits = {.max_binding_bytes = 128 << 20, .max_buffer_bytes = 256 << 20}};
  g.tape = gpu_tape_open();
  g.reads = gpu_reads_open();

  static const uint32_t types[] = {DTYPE_F32,  DTYPE_F16,  DTYPE_BF16, DTYPE_Q4_0,   DTYPE_Q4_1,
                                   DTYPE_Q5_0, DTYPE_Q5_1, DTYPE_Q8_0, DTYPE_Q2_K,   DTYPE_Q3_K,
                                   DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_Q6_K, DTYPE_IQ4_NL, DTYPE_IQ4_XS};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    const int32_t block = (int32_t)dtype_block_elements(types[i]);
    check_weight(&g, types[i], 1, block, 1, false);
    check_weight(&g, types[i], 67, block == 1 ? 37 : 3 * block, 5, false);
    check_weight(&g, types[i], 129, block, 129, false);
    g.traits.max_binding_bytes = 128000;
    g.traits.max_buffer_bytes = 140000;
    check_weight(&g, types[i], 700, 768, 7, true);
    g.traits.max_binding_bytes = 128 << 20;
    g.traits.max_buffer_bytes = 256 << 20;
  }

  /* More than a piece. */
  n_writes = 0;
  largest_write = 0;
  check_weight(&g, DTYPE_Q8_0, 6000, 1024, 1000, false);
  CHECK(n_writes == 4 && largest_write <= 4 << 20);

  /* What cannot be. */
  CHECK(gpu_weight_open(&g.base, DTYPE_Q4_0, 8, 33) == NULL);
  CHECK(gpu_weight_open(&g.base, 4, 8, 256) == NULL); /* no such type */
  CHECK(gpu_weight_open(&g.base, DTYPE_F16, 0, 4) == NULL);
  CHECK(gpu_weight_open(&g.base, DTYPE_F32, INT32_MAX, 1 << 20) == NULL);
  g.traits.max_binding_bytes = 4096;
  CHECK(gpu_weight_open(&g.base, DTYPE_F32, 64, 64) == NULL); /* 32 rows do not fit */
  for (int i = 0; i < MAX_BUFFERS; i++) CHECK(buffers[i] == NULL);
  gpu_tape_close(g.tape);
  gpu_reads_close(g.reads);
  return check_end();
}
