/* SHA-256 (FIPS 180-4) of bytes that come in pieces. */
#ifndef SOTTO_SHA256_H
#define SOTTO_SHA256_H

#include "base.h"

typedef struct sha256 {
  uint32_t state[8];
  uint64_t n_bytes;
  uint8_t block[64];
} sha256;

void sha256_begin(sha256 *h);
void sha256_add(sha256 *h, const void *data, size_t size);
void sha256_end(sha256 *h, uint8_t out[32]);

#endif
