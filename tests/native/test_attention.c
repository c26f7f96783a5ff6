/* Keys and values in places, and attention over them, of every instruction set: places as bytes. */
#include "../../src/base/pool.h"
#include "../../src/cpu/cpu.h"
#include "check.h"

static random_state rng = {11};

static tensor new_tensor(backend *be, int32_t rows, int32_t cols, float low, float high) {
  tensor t = {be->ops->buffer_open(be, (size_t)rows * (size_t)cols), 0, rows, cols, cols};
  if (!CHECK(t.buf != NULL)) exit(check_end());
  random_fill(&rng, t.buf->data, (size_t)rows * (size_t)cols, low, high);
  return t;
}

static void drop(backend *be, tensor t) { be->ops->buffer_close(be, t.buf); }

/* Places that travel as bytes into other places of another kv give the same attention, bit by bit. */
static void test_bytes(backend *be, kv_type type, int32_t n_head, int32_t d) {
  enum { N = 37, OTHER = 50 };
  tensor k = new_tensor(be, N, n_head * d, -2, 2), v = new_tensor(be, N, n_head * d, -1, 1);
  tensor q = new_tensor(be, 3, 2 * n_head * d, -1, 1), y = new_tensor(be, 3, 2 * n_head * d, 0, 0),
         z = new_tensor(be, 3, 2 * n_head * d, 0, 0);
  kv *a = be->ops->kv_open(be, KV_SLOTS, type, N, n_head, d),
     *b = be->ops->kv_open(be, KV_SLOTS, type, OTHER, n_head, d);
  if (!CHECK(a != NULL && b != NULL)) exit(check_end());
  int32_t here[N], there[N];
  const int32_t length[] = {N, 1, N - 5};
  for (int32_t i = 0; i < N; i++) here[i] = i, there[i] = (i * 7 + 3) % OTHER;
  be->ops->kv_store(be, a, k, v, here);
  const size_t size = N * be->ops->kv_place_bytes(a);
  CHECK(be->ops->kv_place_bytes(b) * N == size);
  unsigned char *bytes = malloc(size), *again = malloc(size);
  memset(bytes, 0xaa, size), memset(again, 0x55, size);
  CHECK(be->ops->kv_get(be, a, here, N, bytes));
  be->ops->kv_put(be, b, there, N, bytes);
  CHECK(be->ops->kv_get(be, b, there, N, again));
  CHECK(memcmp(bytes, again, size) == 0);
  be->ops->attention(be, y, q, a, 0.2f, &(kv_view){.slots = here, .length = length});
  be->ops->attention(be, z, q, b, 0.2f, &(kv_view){.slots = there, .length = length});
  CHECK(memcmp(y.buf->data, z.buf->data, (size_t)(3 * 2 * n_head * d) * sizeof(float)) == 0);
  /* Any bytes are taken. */
  for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)random_u32(&rng);
  be->ops->kv_put(be, b, there, N, bytes);
  be->ops->attention(be, z, q, b, 0.2f, &(kv_view){.slots = there, .length = length});
  CHECK(be->ops->kv_get(be, b, there, N, again));
  CHECK(memcmp(bytes, again, size) == 0);
  free(bytes), free(again);
  be->ops->kv_close(be, a), be->ops->kv_close(be, b);
  drop(be, k), drop(be, v), drop(be, q), drop(be, y), drop(be, z);
}

int main(void) {
  pool *threads = pool_open(2);
  for (int32_t i = 0; kernels_available(i); i++) {
    backend *be = cpu_backend_open(threads);
    if (!CHECK(be != NULL)) break;
    ((cpu *)be)->k = kernels_available(i);
    test_bytes(be, KV_16, 1, 256);
    test_bytes(be, KV_16, 3, 20);
    cpu_backend_close(be);
  }
  pool_close(threads);
  return check_end();
}
