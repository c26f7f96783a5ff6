// Before attention of several queries: q is rotated where it lies, k rotated and stored, v stored. 32 threads a head.
struct Params {
  n: u32,                     // rows
  n_q_head: u32,              // to rotate; 0: q stays as it is
  n_head: u32,                // of k, and of v
  dim: u32,
  q: u32, q_stride: u32, k: u32, k_stride: u32, v: u32, v_stride: u32,
  turns: u32, turns_stride: u32,
  q_gain: u32, k_gain: u32,   // in vectors, or NONE
  eps: f32,
  slots: u32,                 // [n] in ints
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;
#if turn
@group(0) @binding(2) var<storage, read> vectors: array<f32>;
#endif
@group(0) @binding(3) var<storage, read> ints: array<i32>;
@group(0) @binding(10) var<storage, read_write> keys: array<vec2<u32>>;
@group(0) @binding(11) var<storage, read_write> values: array<vec2<u32>>;

const NONE: u32 = 0xffffffff;

var<workgroup> narrow: array<f32, 256>;

#include row_reduce
#include halves

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) tid: u32) {
  let heads = p.n_q_head + 2 * p.n_head;
  let item = (wid.x + wid.y * grid.x) * 8 + tid / 32;
  let row = item / heads;
  let head = item % heads;
  let is_q = head < p.n_q_head;
  let is_v = head >= p.n_q_head + p.n_head;
  var at = p.q + row * p.q_stride + head * p.dim;
  if (is_v) {
    at = p.v + row * p.v_stride + (head - p.n_q_head - p.n_head) * p.dim;
  } else if (!is_q) {
    at = p.k + row * p.k_stride + (head - p.n_q_head) * p.dim;
  }
  // Elements [4 * lane, +4) of both halves of the head: what turns together.
  let lane = tid % 32;
  let half_dim = p.dim / 2;
  let works = row < p.n && lane < p.dim / 8;
  var low = vec4<f32>();
  var high = vec4<f32>();
  if (works) {
    low = act4(at + 4 * lane);
    high = act4(at + half_dim + 4 * lane);
  }
#if turn
  if (p.q_gain != NONE || p.k_gain != NONE) {
    let gain = select(p.k_gain, p.q_gain, is_q) + 4 * lane;
    let factor = inverseSqrt(row_sum(dot(low, low) + dot(high, high), tid) / f32(p.dim) + p.eps);
    if (works && !is_v && select(p.k_gain, p.q_gain, is_q) != NONE) {
      low *= factor * vec4<f32>(vectors[gain], vectors[gain + 1], vectors[gain + 2], vectors[gain + 3]);
      let other = gain + half_dim;
      high *= factor * vec4<f32>(vectors[other], vectors[other + 1], vectors[other + 2], vectors[other + 3]);
    }
  }
  if (works && !is_v) {
    let turn_at = p.turns + row * p.turns_stride + 4 * lane;
    let cosine = act4(turn_at);
    let sine = act4(turn_at + half_dim);
    let turned = low * cosine - high * sine;
    high = high * cosine + low * sine;
    low = turned;
  }
#endif
  if (!works) { return; }
  if (is_q) {
    for (var i = 0u; i < 4; i++) {
      act[at + 4 * lane + i] = low[i];
      act[at + half_dim + 4 * lane + i] = high[i];
    }
    return;
  }
  let kv_head = head - p.n_q_head - select(0u, p.n_head, is_v);
  let to = (u32(ints[p.slots + row]) * p.n_head + kv_head) * (p.dim / 4) + lane;
  if (is_v) {
    values[to] = halves(low);
    values[to + p.dim / 8] = halves(high);
  } else {
    keys[to] = halves(low);
    keys[to + p.dim / 8] = halves(high);
  }
}
