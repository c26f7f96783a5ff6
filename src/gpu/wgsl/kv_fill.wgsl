// All keys and values: rows of act become halves. 4 elements a thread.
struct Params { n: u32, cols: u32, k: u32, k_stride: u32, v: u32, v_stride: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;
@group(0) @binding(10) var<storage, read_write> keys: array<vec2<u32>>;
@group(0) @binding(11) var<storage, read_write> values: array<vec2<u32>>;

#include halves

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) tid: u32) {
  let i = (wid.x + wid.y * grid.x) * 256 + tid;
  let quads = p.cols / 4;
  if (i >= p.n * quads) { return; }
  let row = i / quads;
  let col = i % quads * 4;
  keys[i] = halves(act4(p.k + row * p.k_stride + col));
  values[i] = halves(act4(p.v + row * p.v_stride + col));
}
