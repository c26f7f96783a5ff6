/* Buffers of the host, and reads from them.
 *
 *     read ──> not asked yet: ask the host, a ticket ──> pending: NULL or false ──> arrived: kept here until the bytes change
 *
 * Reads are told apart by what they read. So who got nothing asks the same again, who needs several things asks for all before it waits, and
 * who was told to come again and finds the bytes changed starts anew. */
#include "gpu_host.h"
#include "gpu_tape.h"

enum { KEPT_BLOCK = 8 << 20 }; /* bytes: larger blocks are not kept for the next read */

typedef struct read {
  uint32_t id;                /* of the buffer; 0: this place is free, its block may be used again */
  size_t offset;              /* bytes */
  int32_t rows, cols, stride; /* 4-byte elements */
  uint32_t ticket;            /* 0: the data have arrived */
  void *data;
  size_t capacity; /* bytes of data */
} read;

struct gpu_reads {
  read *all;
  size_t n, capacity;
};

gpu_reads *gpu_reads_open(void) { return mem_alloc(1, sizeof(gpu_reads)); }

void gpu_reads_close(gpu_reads *r) {
  if (r == NULL) return;
  for (size_t i = 0; i < r->n; i++) {
    if (r->all[i].ticket != 0) gpu_host_now->read_drop(r->all[i].ticket);
    mem_free(r->all[i].data);
  }
  mem_free(r->all);
  mem_free(r);
}

/* ---- buffers ---- */

uint32_t gpu_buffer_new(gpu *g, size_t bytes) {
  bytes = max_size((bytes + 15) & ~(size_t)15, 16); /* whole vectors of 16 bytes */
  return bytes <= g->traits.max_buffer_bytes ? gpu_host_now->buffer_open((double)bytes) : 0;
}

void gpu_buffer_free(gpu *g, uint32_t id) {
  if (id == 0) return;
  gpu_flush(g);
  gpu_changes(g, id, 0, SIZE_MAX);
  gpu_host_now->buffer_close(id);
}

void gpu_write(gpu *g, uint32_t id, size_t offset, const void *from, size_t bytes) {
  if (bytes == 0) return;
  gpu_flush(g);
  gpu_changes(g, id, offset, bytes);
  gpu_host_now->write(id, (double)offset, from, bytes);
}

/* ---- reads ---- */

/* Elements from the first one of a matrix to the end of its last one. */
static size_t extent(int32_t rows, int32_t cols, int32_t stride) {
  return rows > 0 ? (size_t)(rows - 1) * (size_t)stride + (size_t)cols : 0;
}

static void drop(read *r) {
  if (r->ticket != 0) gpu_host_now->read_drop(r->ticket);
  if (r->capacity > KEPT_BLOCK) {
    mem_free(r->data);
    r->data = NULL;
    r->capacity = 0;
  }
  r->id = r->ticket = 0;
}

void gpu_changes(gpu *g, uint32_t id, size_t offset, size_t bytes) {
  gpu_reads *reads = g->reads;
  const size_t end = bytes > SIZE_MAX - offset ? SIZE_MAX : offset + bytes;
  for (size_t i = 0; i < reads->n; i++) {
    read *r = &reads->all[i];
    const size_t n = 4 * extent(r->rows, r->cols, r->stride);
    if (r->id == id && id != 0 && r->offset < end && offset < r->offset + n) drop(r);
  }
  const tensor t = g->prepared;
  if (t.rows > 0 && t.buf->id == id && 4 * t.offset < end && offset < 4 * (t.offset + extent(t.rows, t.cols, t.stride)))
    g->prepared.rows = 0;
}

/* The read of this, asked for by now; NULL: no memory. */
static read *find(gpu *g, uint32_t id, size_t offset, int32_t rows, int32_t cols, int32_t stride) {
  gpu_reads *reads = g->reads;
  const size_t bytes = 4 * extent(rows, cols, stride), room = max_size(bytes, 4 * (size_t)rows * (size_t)cols);
  read *unused = NULL;
  for (size_t i = 0; i < reads->n; i++) {
    read *r = &reads->all[i];
    if (r->id == id && r->offset == offset && r->rows == rows && r->cols == cols && r->stride == stride) return r;
    if (r->id == 0 && (unused == NULL || (unused->capacity < room && r->capacity >= room))) unused = r;
  }
  if (unused == NULL) {
    read *grown = mem_grow(reads->all, sizeof *grown, reads->n, &reads->capacity, reads->n + 1);
    if (grown == NULL) return NULL;
    reads->all = grown;
    unused = &grown[reads->n++];
    *unused = (read){.id = 0};
  }
  if (unused->capacity < room) {
    mem_free(unused->data);
    unused->data = mem_alloc(room, 1);
    unused->capacity = unused->data != NULL ? room : 0;
    if (unused->data == NULL) return NULL;
  }
  gpu_flush(g);
  g->waited = true;
  const uint32_t ticket = gpu_host_now->read_open(id, (double)offset, bytes);
  if (ticket == 0) return NULL;
  unused->id = id;
  unused->offset = offset;
  unused->rows = rows;
  unused->cols = cols;
  unused->stride = stride;
  unused->ticket = ticket;
  return unused;
}

/* Moves the rows of what was read side by side. */
static void make_dense(read *r) {
  uint8_t *data = r->data;
  const size_t from = 4 * (size_t)r->stride, to = 4 * (size_t)r->cols;
  for (size_t k = 0; from != to && k < (size_t)r->rows; k++) {
    /* Rows that overlap are moved up, the last one first. */
    const size_t i = from > to ? k : (size_t)r->rows - 1 - k;
    memmove(data + i * to, data + i * from, to);
  }
}

static void *take(gpu *g, uint32_t id, size_t offset, int32_t rows, int32_t cols, int32_t stride) {
  if (g->base.lost) return NULL;
  read *r = find(g, id, offset, rows, cols, stride);
  if (r == NULL) {
    g->base.lost = true;
    return NULL;
  }
  if (r->ticket == 0) return r->data;
  const int32_t got = gpu_host_now->read_take(r->ticket, r->data);
  if (got < 0) g->base.lost = true;
  if (got <= 0) return NULL;
  r->ticket = 0;
  make_dense(r);
  return r->data;
}

float *gpu_read_tensor(gpu *g, tensor src) {
  return take(g, src.buf->id, src.offset * sizeof(float), src.rows, src.cols, src.stride);
}

bool gpu_read(gpu *g, uint32_t id, size_t offset, void *to, size_t bytes) {
  const int32_t n = (int32_t)(bytes / 4);
  if (n == 0) return true;
  const void *data = take(g, id, offset, 1, n, n);
  if (data != NULL) memcpy(to, data, bytes);
  return data != NULL;
}
