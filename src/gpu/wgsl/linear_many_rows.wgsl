// What the kernels of linear_many share: parameters, and how results leave.
//   bias=0|1  act=none|gelu  res=0|1|2: the residual is none, lies in act, lies in vec
struct Params {
  n: u32, out: u32, in_: u32,  // rows of x, rows of the weight's part, columns of both
  x: u32, x_stride: u32,
  y: u32, y_stride: u32,
  bias: u32,
  res: u32, res_stride: u32,
  tiles: u32,                  // of rows: ceil(n / bm)
  half_stride: u32,            // of the rows that linear_many_half made, in quads
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;
#if bias || res == 2
@group(0) @binding(2) var<storage, read> vec: array<f32>;
#endif
#if act == gelu
#include gelu_erf
#endif

// A sum becomes a result. Past the matrix it is one that is not stored: it is made all the same, so that no read waits for a branch.
fn result(row: u32, col: u32, sum: f32) -> f32 {
  var y = sum;
#if bias
  y += vec[p.bias + min(col, p.out - 1)];
#endif
#if act == gelu
  y = gelu_erf(y);
#endif
#if res
  let at = p.res + min(row, p.n - 1) * p.res_stride + min(col, p.out - 1);
#if res == 1
  y += act[at];
#else
  y += vec[at];
#endif
#endif
  return y;
}

fn store(row: u32, col: u32, y: f32) {
  if (row < p.n && col < p.out) { act[p.y + row * p.y_stride + col] = y; }
}
