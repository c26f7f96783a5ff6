/* Places of keys and values on the GPU as bytes: in the CPU's form, and without loss after the first time. A host in memory stands for the GPU. */
#include "../../src/gpu/gpu.h"
#include "../../src/gpu/gpu_host.h"
#include "check.h"

enum { MAX_BUFFERS = 16, MAX_TICKETS = 1024, N_SLOTS = 9, N_HEAD = 2, DIM = 40 };

static uint8_t *buffers[MAX_BUFFERS];
static uint32_t n_buffers, n_tickets;
static struct {
  const uint8_t *from;
  size_t bytes;
  bool asked;
} tickets[MAX_TICKETS];

static void host_traits(uint32_t *out) { out[0] = out[1] = 1u << 30; }

static uint32_t host_buffer_open(double bytes) {
  if (n_buffers + 1 == MAX_BUFFERS) return 0;
  buffers[++n_buffers] = calloc(1, (size_t)bytes);
  return n_buffers;
}

static void host_buffer_close(uint32_t id) {
  free(buffers[id]);
  buffers[id] = NULL;
}

static void host_write(uint32_t id, double offset, const void *from, size_t bytes) {
  CHECK(fmod(offset, 4) == 0 && bytes % 4 == 0);
  memcpy(buffers[id] + (size_t)offset, from, bytes);
}

static uint32_t host_read_open(uint32_t id, double offset, size_t bytes) {
  if (n_tickets + 1 == MAX_TICKETS) return 0;
  tickets[++n_tickets].from = buffers[id] + (size_t)offset;
  tickets[n_tickets].bytes = bytes;
  return n_tickets;
}

/* The second time. */
static int32_t host_read_take(uint32_t ticket, void *to) {
  const bool ready = tickets[ticket].asked;
  tickets[ticket].asked = true;
  if (ready) memcpy(to, tickets[ticket].from, tickets[ticket].bytes);
  return ready;
}

static void host_read_drop(uint32_t ticket) { (void)ticket; }
static uint32_t host_kernel_open(const char *text, size_t length) { return text[length - 1] != 0; }
static void host_play(const uint32_t *words, size_t n_words, const int32_t *ints, size_t n_ints) {
  (void)words, (void)n_words, (void)ints, (void)n_ints;
}

static const gpu_host host = {host_traits, host_buffer_open, host_buffer_close, host_write,    host_kernel_open,
                              host_play,   host_read_open,   host_read_take,    host_read_drop};

/* Element i of one head's row, key or value, as bytes. */
static float element(const uint8_t *row, bool eight, int32_t i) {
  const int32_t scales = eight ? (DIM + 31) / 32 : 1;
  float scale;
  int16_t wide;
  memcpy(&scale, row + 4 * (eight ? i / 32 : 0), sizeof scale);
  if (eight) return scale * (float)(int8_t)row[4 * scales + i];
  memcpy(&wide, row + 4 * scales + 2 * i, sizeof wide);
  return scale * (float)wide;
}

static bool get(backend *be, const kv *c, const int32_t *slots, int32_t n, uint8_t *bytes) {
  int32_t pending = 0;
  while (!be->ops->kv_get(be, c, slots, n, bytes))
    if (!CHECK(++pending < 4 && !be->lost)) return false;
  return CHECK(pending == 1); /* all reads are asked for at once */
}

static void check_type(backend *be, kv_type type) {
  /* Two runs of neighbours, and one alone. */
  static const int32_t slots[] = {4, 5, 6, 0, 1, 8};
  const int32_t n = 6;
  const bool eight = type == KV_Q8_0;
  kv *c = be->ops->kv_open(be, KV_SLOTS, type, N_SLOTS, N_HEAD, DIM);
  if (!CHECK(c != NULL)) return;
  const size_t row = eight ? 2 * 4 + DIM : 4 + 2 * DIM, place = 2 * N_HEAD * row;
  if (!CHECK(be->ops->kv_place_bytes(c) == place)) return;

  uint8_t *first = calloc((size_t)n, place), *second = calloc((size_t)n, place), *third = calloc((size_t)n, place);
  uint64_t state = 1;
  for (size_t r = 0; r < (size_t)n * 2 * N_HEAD; r++) {
    uint8_t *at = first + r * row;
    const float scale = r == 3   ? 0
                        : r == 4 ? 8
                                 : ldexpf(1.3f, (int)(r % 5) - 12); /* nothing at all; past the largest half */
    for (size_t s = 0; s < (eight ? 2 : 1); s++) memcpy(at + 4 * s, &scale, sizeof scale);
    for (size_t i = eight ? 8 : 4; i < row; i++) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      at[i] = (uint8_t)(state >> 56);
    }
  }
  be->ops->kv_put(be, c, slots, n, first);
  if (!get(be, c, slots, n, second)) return;
  be->ops->kv_put(be, c, slots, n, second);
  get(be, c, slots, n, third);
  double worst = 0;
  for (size_t r = 0; r < (size_t)n * 2 * N_HEAD; r++) {
    double largest = 0;
    for (int32_t i = 0; i < DIM; i++) largest = fmax(largest, fabs((double)element(first + r * row, eight, i)));
    largest = fmin(largest, 65504);
    for (int32_t i = 0; i < DIM; i++) {
      const double x = element(first + r * row, eight, i), limited = fmax(-65504, fmin(65504, x));
      const double y = element(second + r * row, eight, i), z = element(third + r * row, eight, i);
      worst = fmax(worst, fabs(y - limited) / (largest + 1e-9));
      if (!eight) CHECK(y == z);
    }
  }
  CHECK(worst < (eight ? 6e-3 : 6e-4));

  /* Bytes of any kind: wrong results, and nothing worse. */
  memset(first, 0xff, (size_t)n * place);
  be->ops->kv_put(be, c, slots, n, first);
  get(be, c, slots, n, second);
  free(first);
  free(second);
  free(third);
  be->ops->kv_close(be, c);
}

int main(void) {
  gpu_host_now = &host;
  backend *be;
  if (!CHECK(gpu_backend_open(&be, NULL) == SOTTO_OK)) return check_end();
  check_type(be, KV_16);
  check_type(be, KV_Q8_0);
  CHECK(be->ops->kv_open(be, KV_SLOTS, KV_16, 4, 1, 12) == NULL &&
        be->ops->kv_open(be, KV_SLOTS, KV_16, 4, 1, 264) == NULL);
  CHECK(be->ops->kv_open(be, KV_WHOLE, KV_Q8_0, 4, 1, 64) == NULL);
  be->ops->close(be);
  return check_end();
}
