#include "noise.h"

#include <math.h>

enum { POOL_GROUPS = 1024, MOST_ELEMENTS = 256 };

struct noise {
  uint64_t state;
  const void *tensor;                            /* whose type and range the pool has */
  size_t group, group_bytes;                     /* elements: whole blocks, and what divides the rows */
  uint8_t pool[POOL_GROUPS * MOST_ELEMENTS * 4]; /* [POOL_GROUPS, group_bytes] */
};

noise *noise_open(uint64_t seed) {
  noise *z = mem_alloc(1, sizeof *z);
  if (z != NULL) z->state = seed;
  return z;
}

void noise_close(noise *z) { mem_free(z); }

float noise_limit(size_t in) { return sqrtf(3.0f / (float)in); }

static uint32_t draw(noise *z) { /* splitmix64 */
  uint64_t x = z->state += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return (uint32_t)(x >> 32);
}

static float uniform(noise *z, float limit) { return limit * ((float)(draw(z) >> 8) * 0x1p-23f - 1.0f); }

static void fill_pool(noise *z, uint32_t type, size_t in, float mean, float limit) {
  const size_t block = dtype_block_elements(type);
  z->group = in % 64 == 0 ? max_size(block, 64) : block;
  z->group_bytes = dtype_row_bytes(type, z->group);
  for (size_t i = 0; i < POOL_GROUPS; i++) {
    float x[MOST_ELEMENTS];
    for (size_t j = 0; j < z->group; j++) x[j] = mean + uniform(z, limit);
    quantize_row(type, x, z->pool + i * z->group_bytes, z->group);
  }
}

void noise_rows(noise *z, const void *tensor, uint32_t type, size_t in, float mean, float limit, size_t n,
                uint8_t *out) {
  if (z->tensor != tensor) fill_pool(z, type, in, mean, limit);
  z->tensor = tensor;
  const size_t groups = n * (in / z->group);
  for (size_t i = 0; i < groups; i++, out += z->group_bytes)
    memcpy(out, z->pool + draw(z) % POOL_GROUPS * z->group_bytes, z->group_bytes);
}
