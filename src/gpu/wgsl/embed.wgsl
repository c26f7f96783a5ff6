// y[i] = table[ids[i]] * scale + positions[pos[i]], of the rows [first, first + rows) of the table that this part has.
// chosen=1: a negative id is that in place -1 - id of `chosen`. pos=1: with positions.
#include weights w=0 type=$type
struct Params {
  n: u32, cols: u32,
  y: u32, y_stride: u32,
  ids: u32, first: u32, rows: u32,
  scale: f32,
  positions: u32, positions_stride: u32, pos: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;
#if pos
@group(0) @binding(2) var<storage, read> vec: array<f32>;
#endif
@group(0) @binding(3) var<storage, read> ints: array<i32>;
#if chosen
@group(0) @binding(13) var<storage, read> chosen: array<u32>;
#endif

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.y;
  let col = 4 * id.x;
  if (row >= p.n || col >= p.cols) { return; }
  var token = bitcast<u32>(ints[p.ids + row]);
#if chosen
  if (token >= 0x80000000u) { token = chosen[~token]; }
#endif
  if (token < p.first || token - p.first >= p.rows) { return; }
  var v = w0_quad(token - p.first, col / 32, col / 4 % 8, p.cols) * p.scale;
  for (var j = 0u; j < 4 && col + j < p.cols; j++) {
#if pos
    v[j] += vec[p.positions + u32(ints[p.pos + row]) * p.positions_stride + col + j];
#endif
    act[p.y + row * p.y_stride + col + j] = v[j];
  }
}
