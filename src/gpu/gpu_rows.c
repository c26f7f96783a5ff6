/* Operations on the GPU that are one pass over rows. */
#include "gpu.h"

static void bind_act(gpu *g, tensor t) { gpu_bind(g, BIND_ACT, t.buf->id, 0, 0); }
static void bind_vec(gpu *g, tensor t) { gpu_bind(g, BIND_VEC, t.buf->id, 0, 0); }

/* Where it begins, and from row to row. */
static void rows_param(gpu *g, tensor t) {
  gpu_param(g, (uint32_t)t.offset);
  gpu_param(g, (uint32_t)t.stride);
}

/* Workgroups of `size` for all elements of rows. */
static uint32_t groups(int32_t rows, int32_t cols, uint32_t size) {
  return (uint32_t)(((uint64_t)rows * (uint64_t)cols + size - 1) / size);
}

void gpu_norm(backend *be, const normed *in) {
  gpu *g = (gpu *)be;
  const int add = normed_add(in);
  gpu_kernel(g, "norm kind=%s add=%d", in->bias != NULL ? "layer" : "rms", add);
  gpu_param(g, (uint32_t)in->x.rows);
  gpu_param(g, (uint32_t)in->x.cols);
  rows_param(g, in->x);
  rows_param(g, in->rows);
  gpu_param(g, (uint32_t)in->gain.offset);
  gpu_param(g, in->bias != NULL ? (uint32_t)in->bias->offset : 0);
  gpu_param_f32(g, in->eps);
  if (add > 0) {
    rows_param(g, *in->add);
    gpu_param(g, add == 2 ? (uint32_t)in->add_gain->offset : 0);
    rows_param(g, in->sum);
  }
  bind_act(g, in->x);
  bind_vec(g, in->gain);
  gpu_dispatch(g, (uint32_t)in->x.rows);
}

void gpu_geglu(gpu *g, tensor y, tensor gate, tensor up) {
  gpu_kernel(g, "geglu");
  gpu_param(g, (uint32_t)y.rows);
  gpu_param(g, (uint32_t)y.cols);
  rows_param(g, y);
  rows_param(g, gate);
  rows_param(g, up);
  bind_act(g, y);
  gpu_dispatch_3d(g, groups(1, y.cols, 256), (uint32_t)y.rows, 1);
}

void gpu_rope_table(backend *be, tensor y, tensor frequencies, const int32_t *pos) {
  gpu *g = (gpu *)be;
  const bool own = frequencies.buf == y.buf;
  gpu_kernel(g, "rope_table own=%d", own);
  gpu_param(g, (uint32_t)y.rows);
  gpu_param(g, (uint32_t)frequencies.cols);
  rows_param(g, y);
  gpu_param(g, (uint32_t)frequencies.offset);
  gpu_param(g, gpu_ints(g, pos, (size_t)y.rows));
  bind_act(g, y);
  if (!own) bind_vec(g, frequencies);
  gpu_dispatch(g, groups(y.rows, frequencies.cols, 64));
}

void gpu_softcap(backend *be, tensor x, float cap) {
  gpu *g = (gpu *)be;
  gpu_kernel(g, "softcap");
  gpu_param(g, (uint32_t)x.rows);
  gpu_param(g, (uint32_t)x.cols);
  rows_param(g, x);
  gpu_param_f32(g, cap);
  bind_act(g, x);
  gpu_dispatch(g, groups(x.rows, x.cols, 256));
}
