// Rows of x as f16 for the products of linear_many: half[n, stride], stride in quads of elements.
//
//   x[row, in] ──/ 2^e──> 4 * (stride - 2) elements, a multiple of 64, zeros past `in`; then e in a quad of its own, and one more
//
// e is the row's own, so that its greatest element comes to lie in [1, 2): f16 overflows nowhere, and what becomes too small for it
// is 2^-24 of the greatest.
enable f16;
struct Params { n: u32, in_: u32, x: u32, x_stride: u32, stride: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;
@group(0) @binding(12) var<storage, read_write> half: array<vec4<f16>>;

const THREADS = 128u;
var<workgroup> most: array<f32, THREADS>;

fn x_at(at: u32, k: u32) -> f32 { return select(0.0, act[at], k < p.in_); }

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) id: u32) {
  let row = wid.x + wid.y * grid.x;
  if (row >= p.n) { return; }
  let x = p.x + row * p.x_stride;
  var greatest = 0.0;
  for (var k = id; k < p.in_; k += THREADS) { greatest = max(greatest, abs(act[x + k])); }
  most[id] = greatest;
  workgroupBarrier();
  for (var half_n = THREADS / 2u; half_n > 0u; half_n /= 2u) {
    if (id < half_n) { most[id] = max(most[id], most[id + half_n]); }
    workgroupBarrier();
  }
  // Its exponent, by its bits; infinities and what is not a number stay so.
  let e = clamp(i32((bitcast<u32>(most[0]) >> 23u) & 255u) - 127, -126, 126);
  let scale = bitcast<f32>(u32(127 - e) << 23u);
  for (var quad = id; quad < p.stride - 2u; quad += THREADS) {
    let k = 4u * quad;
    let at = x + k;
    let v = vec4<f32>(x_at(at, k), x_at(at + 1u, k + 1u), x_at(at + 2u, k + 2u), x_at(at + 3u, k + 3u));
    half[row * p.stride + quad] = vec4<f16>(v * scale);
  }
  if (id == 0u) { half[(row + 1u) * p.stride - 2u] = vec4<f16>(f16(e), 0.0h, 0.0h, 0.0h); }
}
