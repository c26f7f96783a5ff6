// Rows of x as f16 for the products of linear_many: half_row.wgsl.
//
//   threads, deep    invocations, a power of two, and quads of a row that each reads once and keeps; what is past them is read twice
enable f16;
struct Params { n: u32, in_: u32, x: u32, x_stride: u32, stride: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;
#include half_row

const THREADS = ${threads}u;
var<workgroup> most: array<f32, THREADS>;

fn x_quad(x: u32, quad: u32) -> vec4<f32> {
  let k = 4 * quad;
  let v = vec4<f32>(act[x + k], act[x + k + 1], act[x + k + 2], act[x + k + 3]);
  return select(vec4<f32>(), v, vec4<u32>(k, k + 1, k + 2, k + 3) < vec4<u32>(p.in_));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) id: u32) {
  let row = wid.x + wid.y * grid.x;
  if (row >= p.n) { return; }
  let x = p.x + row * p.x_stride;
  let quads = p.stride - 2;
  var greatest = 0.0;
#for i $deep
  let v$i = x_quad(x, id + $i * THREADS);
  greatest = max(greatest, greatest_of(v$i));
#endfor
  for (var quad = id + $deep * THREADS; quad < quads; quad += THREADS) { greatest = max(greatest, greatest_of(x_quad(x, quad))); }
  most[id] = greatest;
  workgroupBarrier();
  for (var left = THREADS / 2; left > 0; left /= 2) {
    if (id < left) { most[id] = max(most[id], most[id + left]); }
    workgroupBarrier();
  }
  let e = exponent_of(most[0]);
  let scale = scale_of(e);
  let to = row * p.stride;
#for i $deep
  if (id + $i * THREADS < quads) { half[to + id + $i * THREADS] = vec4<f16>(v$i * scale); }
#endfor
  for (var quad = id + $deep * THREADS; quad < quads; quad += THREADS) { half[to + quad] = vec4<f16>(x_quad(x, quad) * scale); }
  if (id == 0) { put_exponent(row, p.stride, e); }
}
