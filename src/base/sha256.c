#include "sha256.h"

static const uint32_t sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t rotate_right(uint32_t x, int n) { return x >> n | x << (32 - n); }

/* The message schedule is made as it is used, in a ring of 16 words, so that all lives in registers. */
static void sha256_block(uint32_t state[8], const uint8_t *bytes) {
  uint32_t w[16], v[8];
  for (int i = 0; i < 16; i++) w[i] = __builtin_bswap32(load_u32(bytes + 4 * i));
  memcpy(v, state, sizeof v);
#if defined(__clang__)
#pragma clang loop unroll(full)
#endif
  for (int i = 0; i < 64; i++) {
    if (i >= 16) {
      uint32_t a = w[(i - 15) & 15], b = w[(i - 2) & 15];
      w[i & 15] += (rotate_right(a, 7) ^ rotate_right(a, 18) ^ a >> 3) + w[(i - 7) & 15] +
                   (rotate_right(b, 17) ^ rotate_right(b, 19) ^ b >> 10);
    }
    uint32_t a = v[0], e = v[4];
    uint32_t t1 = v[7] + (rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25)) +
                  (v[6] ^ (e & (v[5] ^ v[6]))) + sha256_k[i] + w[i & 15];
    uint32_t t2 = (rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22)) + ((a & v[1]) | (v[2] & (a | v[1])));
    v[7] = v[6], v[6] = v[5], v[5] = e, v[4] = v[3] + t1;
    v[3] = v[2], v[2] = v[1], v[1] = a, v[0] = t1 + t2;
  }
  for (int i = 0; i < 8; i++) state[i] += v[i];
}

void sha256_begin(sha256 *h) {
  static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  *h = (sha256){0};
  memcpy(h->state, start, sizeof start);
}

void sha256_add(sha256 *h, const void *data, size_t size) {
  const uint8_t *bytes = data;
  size_t held = (size_t)(h->n_bytes % 64);
  h->n_bytes += size;
  if (held > 0) {
    size_t n = min_size(64 - held, size);
    memcpy(h->block + held, bytes, n);
    bytes += n, size -= n;
    if (held + n < 64) return;
    sha256_block(h->state, h->block);
  }
  for (; size >= 64; bytes += 64, size -= 64) sha256_block(h->state, bytes);
  memcpy(h->block, bytes, size);
}

void sha256_end(sha256 *h, uint8_t out[32]) {
  size_t held = (size_t)(h->n_bytes % 64);
  uint64_t n_bits = h->n_bytes * 8;
  memset(h->block + held, 0, 64 - held);
  h->block[held] = 0x80;
  if (held >= 56) {
    sha256_block(h->state, h->block);
    memset(h->block, 0, 64);
  }
  n_bits = __builtin_bswap64(n_bits);
  memcpy(h->block + 56, &n_bits, 8);
  sha256_block(h->state, h->block);
  for (int i = 0; i < 8; i++) {
    uint32_t word = __builtin_bswap32(h->state[i]);
    memcpy(out + 4 * i, &word, 4);
  }
}
