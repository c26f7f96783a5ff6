/* Random weights, made fast: rows put together from blocks of a pool, drawn at random. */
#ifndef CLI_NOISE_H
#define CLI_NOISE_H

#include "../src/quant/quant.h"

typedef struct noise noise;

noise *noise_open(uint64_t seed); /* NULL: no memory */
void noise_close(noise *z);

/* The next rows, [n, in] of `type`, each element uniform in mean +- limit. `tensor`: whose rows they are; another one gets a pool of its own. */
void noise_rows(noise *z, const void *tensor, uint32_t type, size_t in, float mean, float limit, size_t n,
                uint8_t *out);

/* Of a matrix whose products keep the size of what they multiply: a variance of 1 / in. */
float noise_limit(size_t in);

#endif
