// Rows of x in two bytes an element for the products of linear_many_packed: an invocation a block of 32.
//
//   block ──/ scale──> whole numbers of [-32512, 32512] = 256 * high + low, both signed bytes
//
// bytes[n, stride], in words: of each block 8 words of high and 8 of low, four elements each, in order; then the scales of all blocks. A scale is the
// block's greatest element / 32512; past the row are zeros.
struct Params { n: u32, in_: u32, x: u32, x_stride: u32, stride: u32, blocks: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;
@group(0) @binding(12) var<storage, read_write> bytes: array<u32>;

fn x_quad(x: u32, k: u32) -> vec4<f32> {
  let v = vec4<f32>(act[x + k], act[x + k + 1], act[x + k + 2], act[x + k + 3]);
  return select(vec4<f32>(), v, vec4<u32>(k, k + 1, k + 2, k + 3) < vec4<u32>(p.in_));
}

fn packed(v: vec4<i32>) -> u32 {
  let b = vec4<u32>(v) & vec4<u32>(0xff);
  return b.x | (b.y << 8) | (b.z << 16) | (b.w << 24);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) id: u32) {
  let at = (wid.x + wid.y * grid.x) * 64 + id;
  if (at >= p.n * p.blocks) { return; }
  let row = at / p.blocks;
  let block = at % p.blocks;
  let x = p.x + row * p.x_stride;
  var greatest = 0.0;
#for i 8
  let v$i = x_quad(x, 32 * block + 4 * $i);
  let a$i = abs(v$i);
  greatest = max(greatest, max(max(a$i.x, a$i.y), max(a$i.z, a$i.w)));
#endfor
  // The least scale whose inverse is a number that every device has.
  let scale = max(greatest / 32512.0, 1e-37);
  let inverse = 1.0 / scale;
  let to = row * p.stride + 16 * block;
#for i 8
  let q$i = clamp(vec4<i32>(round(v$i * inverse)), vec4<i32>(-32512), vec4<i32>(32512));
  let high$i = (q$i + 128) >> vec4<u32>(8);
  bytes[to + $i] = packed(high$i);
  bytes[to + 8 + $i] = packed(q$i - 256 * high$i);
#endfor
  bytes[row * p.stride + 16 * p.blocks + block] = bitcast<u32>(scale);
}
