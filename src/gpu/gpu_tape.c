/* The tape: dispatches one after another, in words, and the integers that they read.
 *
 *     kernel, x, y, z of the grid, n_params, n_bindings, parameters ..., {binding, buffer, offset / 256, bytes} ...
 *
 * Kernel 0 is a copy: 0, source, its offset, destination, its offset, bytes.
 * A decoder's step is recorded anew for each token, so that kernels are found in a table, and equal integers are kept once. */
#include "gpu_host.h"
#include "gpu_tape.h"

#include <stdarg.h>
#include <stdio.h>

enum {
  MAX_PARAMS = 64,
  MAX_BINDINGS = 12,
  BINDING_WORDS = 4,
  N_TABLES = 32,
  MAX_TEXT = 256,
  MAX_KEY = 32,
  MAX_GRID = 65535
};

/* Found by what its text is made from, as making it takes long. */
typedef struct kernel {
  uint32_t key[MAX_KEY], n; /* words; none: this place is free */
  uint32_t hash, id;
} kernel;

/* Integers on the tape. */
typedef struct table {
  size_t at, n;
} table;

struct gpu_tape {
  uint32_t *words;
  size_t n_words, words_capacity;
  int32_t *ints;
  size_t n_ints, ints_capacity;
  table tables[N_TABLES]; /* the last ones */
  size_t n_tables;

  kernel *kernels; /* by hash; a power of two of them, at most half full */
  size_t n_kernels, kernels_capacity;

  /* The dispatch in work. */
  uint32_t kernel, n_params, n_bindings;
  uint32_t params[MAX_PARAMS], bindings[MAX_BINDINGS * BINDING_WORDS];
};

gpu_tape *gpu_tape_open(void) { return mem_alloc(1, sizeof(gpu_tape)); }

void gpu_tape_close(gpu_tape *t) {
  if (t == NULL) return;
  mem_free(t->kernels);
  mem_free(t->words);
  mem_free(t->ints);
  mem_free(t);
}

bool gpu_tape_empty(const gpu_tape *t) { return t->n_words == 0; }

/* ---- kernels ---- */

static kernel *find(kernel *all, size_t capacity, const kernel *wanted) {
  for (size_t i = wanted->hash;; i++) {
    kernel *k = &all[i & (capacity - 1)];
    if (k->n == 0 ||
        (k->hash == wanted->hash && k->n == wanted->n && memcmp(k->key, wanted->key, k->n * sizeof *k->key) == 0))
      return k;
  }
}

static bool grow_kernels(gpu_tape *t) {
  const size_t larger = max_size(64, 2 * t->kernels_capacity);
  kernel *all = mem_alloc(larger, sizeof *all);
  if (all == NULL) return false;
  for (size_t i = 0; i < t->kernels_capacity; i++)
    if (t->kernels[i].n > 0) *find(all, larger, &t->kernels[i]) = t->kernels[i];
  mem_free(t->kernels);
  t->kernels = all;
  t->kernels_capacity = larger;
  return true;
}

/* Characters by four, to their end. False: the key is full. */
static bool add_text(kernel *k, const char *text) {
  for (bool end = false; !end; k->n++) {
    if (k->n == MAX_KEY) return false;
    uint32_t word = 0;
    for (int i = 0; i < 4 && !end; i++, text++) {
      word |= (uint32_t)(uint8_t)*text << 8 * i;
      end = *text == 0;
    }
    k->key[k->n] = word;
  }
  return true;
}

/* What the text is made from: the format's address, and the arguments, all of them %d, %u or %s. False: that is too much. */
static bool key_of(kernel *k, const char *format, va_list arguments) {
  memcpy(k->key, &format, sizeof format);
  k->n = sizeof format / sizeof *k->key;
  for (const char *p = strchr(format, '%'); p != NULL; p = strchr(p + 2, '%')) {
    if (k->n == MAX_KEY) return false;
    if (p[1] != 's')
      k->key[k->n++] = va_arg(arguments, uint32_t);
    else if (!add_text(k, va_arg(arguments, const char *)))
      return false;
  }
  k->hash = 0;
  for (uint32_t i = 0; i < k->n; i++) k->hash = (k->hash ^ k->key[i]) * 0x9e3779b1u;
  k->hash ^= k->hash >> 15;
  return true;
}

static uint32_t open_kernel(const char *format, va_list arguments) {
  char text[MAX_TEXT];
  const int n = vsnprintf(text, sizeof text, format, arguments);
  return n > 0 && n < MAX_TEXT ? gpu_host_now->kernel_open(text, (size_t)n) : 0;
}

void gpu_kernel(gpu *g, const char *format, ...) {
  gpu_tape *t = g->tape;
  kernel wanted;
  va_list arguments;
  t->n_params = t->n_bindings = 0;
  va_start(arguments, format);
  const bool fits = key_of(&wanted, format, arguments);
  va_end(arguments);
  kernel *k = NULL;
  if (fits && (2 * t->n_kernels < t->kernels_capacity || grow_kernels(t)))
    k = find(t->kernels, t->kernels_capacity, &wanted);
  if (k != NULL && k->n > 0) {
    t->kernel = k->id;
    return;
  }
  va_start(arguments, format);
  wanted.id = t->kernel = open_kernel(format, arguments);
  va_end(arguments);
  if (wanted.id == 0) {
    g->base.lost = true;
  } else if (k != NULL) {
    *k = wanted;
    t->n_kernels++;
  }
}

/* ---- a dispatch ---- */

void gpu_param(gpu *g, uint32_t word) {
  gpu_tape *t = g->tape;
  if (t->n_params < MAX_PARAMS) t->params[t->n_params++] = word;
}

void gpu_param_f32(gpu *g, float value) {
  uint32_t word;
  memcpy(&word, &value, sizeof word);
  gpu_param(g, word);
}

void gpu_bind(gpu *g, uint32_t binding, uint32_t id, size_t offset, size_t bytes) {
  gpu_tape *t = g->tape;
  if (binding == BIND_SCRATCH) g->prepared.rows = 0;
  const uint32_t words[BINDING_WORDS] = {binding, id, (uint32_t)(offset / GPU_ALIGNMENT), (uint32_t)bytes};
  for (uint32_t i = 0; i < t->n_bindings; i++) /* several operands may lie in one buffer */
    if (memcmp(t->bindings + BINDING_WORDS * i, words, sizeof words) == 0) return;
  if (t->n_bindings < MAX_BINDINGS) memcpy(t->bindings + BINDING_WORDS * t->n_bindings++, words, sizeof words);
}

void gpu_bind_weight(gpu *g, int32_t index, const weight *w, int32_t part) {
  const weight_part *p = &w->parts[part];
  const uint32_t binding = BIND_WEIGHT + 2 * (uint32_t)index;
  gpu_bind(g, binding, p->id, 0, p->quant_bytes);
  if (p->scale_bytes > 0) gpu_bind(g, binding + 1, p->id, p->scales_at, p->scale_bytes);
}

static void put_words(gpu_tape *t, const uint32_t *words, size_t n) {
  memcpy(t->words + t->n_words, words, n * sizeof *words);
  t->n_words += n;
}

/* Room for n words more. Without memory the tape is not whole, and the device as good as gone. */
static bool room_for_words(gpu *g, size_t n) {
  gpu_tape *t = g->tape;
  uint32_t *grown = mem_grow(t->words, sizeof *grown, t->n_words, &t->words_capacity, t->n_words + n);
  if (grown == NULL)
    g->base.lost = true;
  else
    t->words = grown;
  return grown != NULL;
}

void gpu_dispatch_3d(gpu *g, uint32_t x, uint32_t y, uint32_t z) {
  gpu_tape *t = g->tape;
  const size_t n_bindings = BINDING_WORDS * (size_t)t->n_bindings;
  const uint32_t head[] = {t->kernel, x, y, z, t->n_params, t->n_bindings};
  const size_t n_head = sizeof head / sizeof *head;
  if (t->kernel == 0 || x == 0 || y == 0 || z == 0 || !room_for_words(g, n_head + t->n_params + n_bindings)) return;
  put_words(t, head, n_head);
  put_words(t, t->params, t->n_params);
  put_words(t, t->bindings, n_bindings);
}

void gpu_dispatch(gpu *g, uint32_t n) {
  const uint32_t rows = n / MAX_GRID + (n % MAX_GRID != 0);
  gpu_dispatch_3d(g, rows > 0 ? n / rows + (n % rows != 0) : 0, rows, 1);
}

void gpu_copy(gpu *g, uint32_t from, size_t from_offset, uint32_t to, size_t to_offset, size_t bytes) {
  const uint32_t words[] = {0, from, (uint32_t)from_offset, to, (uint32_t)to_offset, (uint32_t)bytes};
  if (bytes > 0 && room_for_words(g, sizeof words / sizeof *words))
    put_words(g->tape, words, sizeof words / sizeof *words);
}

/* ---- integers ---- */

/* In blocks without a branch, which compilers turn into vectors. */
static bool equal(const int32_t *a, const int32_t *b, size_t n) {
  for (size_t i = 0; i < n;) {
    int32_t difference = 0;
    for (const size_t end = min_size(i + 64, n); i < end; i++) difference |= a[i] ^ b[i];
    if (difference != 0) return false;
  }
  return true;
}

uint32_t gpu_ints(gpu *g, const int32_t *values, size_t n) {
  gpu_tape *t = g->tape;
  for (size_t i = 0; i < min_size(t->n_tables, N_TABLES); i++) {
    const table *had = &t->tables[i];
    if (had->n == n && equal(t->ints + had->at, values, n)) return (uint32_t)had->at;
  }
  int32_t *grown = mem_grow(t->ints, sizeof *grown, t->n_ints, &t->ints_capacity, t->n_ints + n);
  if (grown == NULL) {
    g->base.lost = true;
    return 0;
  }
  t->ints = grown;
  const size_t at = t->n_ints;
  if (n > 0) memcpy(t->ints + at, values, n * sizeof *values);
  t->n_ints += n;
  t->tables[t->n_tables++ % N_TABLES] = (table){at, n};
  return (uint32_t)at;
}

void gpu_flush(gpu *g) {
  gpu_tape *t = g->tape;
  if (t->n_words == 0) return;
  if (!g->base.lost) gpu_host_now->play(t->words, t->n_words, t->ints, t->n_ints);
  t->n_words = t->n_ints = t->n_tables = 0;
}
