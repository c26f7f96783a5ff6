/* See sampler_select.h. Nothing here calls the C library's mathematics, and no product may be fused with a sum, so
 * that results have the same bits everywhere. */
#include "sampler_select.h"

#include <math.h>

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF /* gcc has it off in ISO C */
#endif

#define BLOCK 256

/* ---- the greatest ---- */

/* Heap order: the worst is on top. */
static bool worse(const candidate *a, const candidate *b) { return a->x < b->x || (a->x == b->x && a->id > b->id); }

static void sift_down(candidate *heap, int32_t n, candidate moved) {
  int32_t i = 0;
  for (int32_t child = 1; child < n; child = 2 * i + 1) {
    if (child + 1 < n && worse(&heap[child + 1], &heap[child])) child++;
    if (!worse(&heap[child], &moved)) break;
    heap[i] = heap[child];
    i = child;
  }
  heap[i] = moved;
}

static void sift_up(candidate *heap, int32_t i, candidate moved) {
  for (; i > 0 && worse(&moved, &heap[(i - 1) / 2]); i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
  heap[i] = moved;
}

int32_t select_top(const float *logits, int32_t n, int32_t k, candidate *out) {
  int32_t count = 0;
  float threshold = -INFINITY; /* of the k so far; equal ones that come later have higher ids and lose */
  for (int32_t from = 0; from < n && k > 0; from += 16) {
    int32_t to = min_i32(from + 16, n), above = 0;
    if (to - from == 16) {
      for (int32_t i = 0; i < 16; i++) above |= logits[from + i] > threshold;
      if (!above) continue;
    }
    for (int32_t i = from; i < to; i++) {
      if (!(logits[i] > threshold)) continue;
      candidate c = {.x = logits[i], .id = i};
      if (count < k)
        sift_up(out, count++, c);
      else
        sift_down(out, count, c);
      if (count == k) threshold = out[0].x;
    }
  }
  return count;
}

/* ---- weights ---- */

/* e^x for -87 < x <= 0 with a relative error below 2.5e-7: 2^n times a polynomial of the rest; 0 for anything else. */
static inline float weight_of(float x) {
  const float round = 12582912.0f; /* 1.5 * 2^23: adding it leaves whole numbers */
  float inside = x > -87.0f ? x : -87.0f;
  float n = inside * 1.44269504f + round - round;
  float r = inside - n * 0.693359375f - n * -2.12194440e-4f; /* ln 2 in two parts */
  float p = 1.38888889e-3f;
  p = p * r + 8.33333333e-3f;
  p = p * r + 4.16666667e-2f;
  p = p * r + 1.66666667e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  uint32_t bits = (uint32_t)((int32_t)n + 127) << 23;
  float power;
  memcpy(&power, &bits, sizeof power);
  return x > -87.0f ? p * power : 0;
}

void select_weights(const float *logits, int32_t n, float greatest, float scale, float *weights) {
  for (int32_t i = 0; i < n; i++) weights[i] = weight_of((logits[i] - greatest) * scale);
}

double select_all(const float *logits, int32_t n, float greatest, float scale, float floor, candidate *out,
                  int32_t *count) {
  float weights[BLOCK];
  double sums[8] = {0}; /* several, so that the processor can add side by side */
  int32_t kept = 0;
  for (int32_t from = 0; from < n; from += BLOCK) {
    int32_t length = min_i32(BLOCK, n - from);
    select_weights(logits + from, length, greatest, scale, weights);
    for (int32_t i = 0; i < length; i++) sums[i % 8] += weights[i];
    for (int32_t i = 0; out && i < length; i++) {
      if (weights[i] > 0 && weights[i] >= floor)
        out[kept++] = (candidate){.x = (logits[from + i] - greatest) * scale, .weight = weights[i], .id = from + i};
    }
  }
  if (count) *count = kept;
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/* ---- the fewest that weigh enough ---- */

static bool before(const candidate *a, const candidate *b) {
  return a->key < b->key || (a->key == b->key && a->id < b->id);
}

static void swap(candidate *c, int32_t i, int32_t k) {
  candidate moved = c[i];
  c[i] = c[k];
  c[k] = moved;
}

/* c[low, high), not empty, around one of them: what is before it to its left. Returns where it lands. */
static int32_t partition(candidate *c, int32_t low, int32_t high, uint32_t *random) {
  *random = *random * 1664525u + 1013904223u; /* an order of logits that makes this slow is out of reach */
  swap(c, low + (int32_t)((uint64_t)*random * (uint32_t)(high - low) >> 32), high - 1);
  candidate pivot = c[high - 1];
  int32_t at = low;
  for (int32_t i = low; i < high - 1; i++)
    if (before(&c[i], &pivot)) swap(c, i, at++);
  swap(c, at, high - 1);
  return at;
}

int32_t select_mass(candidate *c, int32_t n, double goal) {
  int32_t low = 0, high = n; /* c[0, low) are taken and weigh less than the goal, c[high, n) are not */
  uint32_t random = 1;
  while (low < high && goal > 0) {
    int32_t at = partition(c, low, high, &random);
    double left = 0;
    for (int32_t i = low; i < at; i++) left += c[i].weight;
    if (left >= goal) {
      high = at;
    } else {
      goal -= left + c[at].weight;
      low = at + 1;
    }
  }
  return max_i32(low, min_i32(n, 1));
}
