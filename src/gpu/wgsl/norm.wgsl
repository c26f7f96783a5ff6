// Rows on their way into products: sum = x + add, rows = norm(sum), see `normed` of ops.h. A workgroup a row.
//
//   kind=rms      v / sqrt(mean(v²) + eps) * gain
//   kind=layer    (v - mean) / sqrt(variance + eps) * gain + bias
//   add=0         v = x, and sum is not touched
//   add=1         v = x + add
//   add=2         v = x + rms(add) * add_gain
//
// An invocation reads again only what it wrote itself, so rows need no barriers, and sums are a tree: 256 parts, then halves.
struct Params {
  n: u32, cols: u32,
  x: u32, x_stride: u32,
  rows: u32, rows_stride: u32,
  gain: u32, bias: u32,
  eps: f32,
  add: u32, add_stride: u32,
  add_gain: u32,
  sum: u32, sum_stride: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;
@group(0) @binding(2) var<storage, read> vec: array<f32>;

const THREADS = 256u;
#include total

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) thread: u32) {
  let row = wid.x + wid.y * groups.x;
  if (row >= p.n) { return; }
  let inverse_cols = 1.0 / f32(p.cols);
  let y = p.rows + row * p.rows_stride;
#if add == 0
  let from_ = p.x + row * p.x_stride;
#else
  let x = p.x + row * p.x_stride;
  let add = p.add + row * p.add_stride;
  let from_ = p.sum + row * p.sum_stride;
#if add == 2
  var add_squares = 0.0;
  for (var i = thread; i < p.cols; i += THREADS) {
    let v = act[add + i];
    add_squares += v * v;
  }
  let add_scale = inverseSqrt(total(add_squares, thread) * inverse_cols + p.eps);
#endif
#endif

  var part = 0.0;
  for (var i = thread; i < p.cols; i += THREADS) {
#if add == 0
    let v = act[from_ + i];
#elif add == 1
    let v = act[x + i] + act[add + i];
    act[from_ + i] = v;
#else
    let v = act[x + i] + act[add + i] * add_scale * vec[p.add_gain + i];
    act[from_ + i] = v;
#endif
#if kind == layer
    part += v;
#else
    part += v * v;
#endif
  }
#if kind == layer
  let mean = total(part, thread) * inverse_cols;
  part = 0.0;
  for (var i = thread; i < p.cols; i += THREADS) {
    let d = act[from_ + i] - mean;
    part += d * d;
  }
#endif
  let scale = inverseSqrt(total(part, thread) * inverse_cols + p.eps);
  for (var i = thread; i < p.cols; i += THREADS) {
#if kind == layer
    act[y + i] = (act[from_ + i] - mean) * scale * vec[p.gain + i] + vec[p.bias + i];
#else
    act[y + i] = act[from_ + i] * scale * vec[p.gain + i];
#endif
  }
}
