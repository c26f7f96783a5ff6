// Normalized rows as f16, for the products of linear_many: norm.wgsl and linear_many_half.wgsl in one. A workgroup a row, which stays in registers.
//
//   kind, add        as in norm.wgsl
//   threads, deep    invocations, a power of two, and quads of a row that each holds: all of a row of f16
enable f16;
struct Params {
  n: u32, cols: u32,
  x: u32, x_stride: u32,
  stride: u32,         // of the rows of f16
  gain: u32, bias: u32,
  eps: f32,
  add: u32, add_stride: u32,
  add_gain: u32,
  sum: u32, sum_stride: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;
@group(0) @binding(2) var<storage, read> vec: array<f32>;
#include half_row

const THREADS = ${threads}u;
const WHERE = vec4<u32>(0, 1, 2, 3);
#include total

fn greatest_part(part: f32, thread: u32) -> f32 {
  parts[thread] = part;
  workgroupBarrier();
  for (var left = THREADS / 2; left > 0; left /= 2) {
    if (thread < left) { parts[thread] = max(parts[thread], parts[thread + left]); }
    workgroupBarrier();
  }
  return parts[0];
}

fn summed(v: vec4<f32>) -> f32 { return (v.x + v.y) + (v.z + v.w); }

// Zeros past the row.
fn within(v: vec4<f32>, k: u32) -> vec4<f32> { return select(vec4<f32>(), v, k + WHERE < vec4<u32>(p.cols)); }

fn row_quad(at: u32, k: u32) -> vec4<f32> {
  return within(vec4<f32>(act[at + k], act[at + k + 1], act[at + k + 2], act[at + k + 3]), k);
}

fn vec_quad(at: u32, k: u32) -> vec4<f32> { return vec4<f32>(vec[at + k], vec[at + k + 1], vec[at + k + 2], vec[at + k + 3]); }

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let row = wid.x + wid.y * grid.x;
  if (row >= p.n) { return; }
  let inverse_cols = 1.0 / f32(p.cols);
  let x = p.x + row * p.x_stride;
#for i $deep
  let k$i = 4 * (thread + $i * THREADS);
  var v$i = row_quad(x, k$i);
#endfor

#if add
  let add = p.add + row * p.add_stride;
  let sum = p.sum + row * p.sum_stride;
#for i $deep
  var add$i = row_quad(add, k$i);
#endfor
#if add == 2
  var add_squares = 0.0;
#for i $deep
  add_squares += dot(add$i, add$i);
#endfor
  let add_scale = inverseSqrt(total(add_squares, thread) * inverse_cols + p.eps);
#for i $deep
  add$i *= add_scale * within(vec_quad(p.add_gain, k$i), k$i);
#endfor
#endif
#for i $deep
  v$i += add$i;
  for (var j = 0u; j < 4; j++) {
    if (k$i + j < p.cols) { act[sum + k$i + j] = v$i[j]; }
  }
#endfor
#endif

#if kind == layer
  var part = 0.0;
#for i $deep
  part += summed(v$i);
#endfor
  let mean = total(part, thread) * inverse_cols;
#for i $deep
  v$i = within(v$i - mean, k$i);
#endfor
#endif
  var squares = 0.0;
#for i $deep
  squares += dot(v$i, v$i);
#endfor
  let scale = inverseSqrt(total(squares, thread) * inverse_cols + p.eps);
  var greatest = 0.0;
#for i $deep
#if kind == layer
  v$i = within(v$i * scale * vec_quad(p.gain, k$i) + vec_quad(p.bias, k$i), k$i);
#else
  v$i = within(v$i * scale * vec_quad(p.gain, k$i), k$i);
#endif
  greatest = max(greatest, greatest_of(v$i));
#endfor

  let e = exponent_of(greatest_part(greatest, thread));
  let quads = p.stride - 2;
#for i $deep
  if (thread + $i * THREADS < quads) { half[row * p.stride + thread + $i * THREADS] = vec4<f16>(v$i * scale_of(e)); }
#endfor
  if (thread == 0) { put_exponent(row, p.stride, e); }
}
