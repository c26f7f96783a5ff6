// y of the stretches that attend_few left in scratch, joined: y = sum(exp(top - largest top) * y) / sum(exp(top - largest top) * sum).
// A workgroup takes 32 elements of one query's head: 8 threads an element, each every 8th stretch.
struct Params {
  n_row: u32,     // queries * heads
  n_head: u32,    // of queries
  dim: u32,
  n_stretches: u32,
  stats: u32,     // in scratch: pairs of largest score and sum
  y: u32, y_stride: u32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;
@group(0) @binding(12) var<storage, read_write> scratch: array<f32>;

const LEAST: f32 = -3e38;

var<workgroup> tops: array<f32, 256>;
var<workgroup> sums: array<f32, 256>;
var<workgroup> parts: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) tid: u32) {
  let item = wid.x + wid.y * grid.x;
  let pieces = (p.dim + 31) / 32;
  let row = item / pieces;
  if (row >= p.n_row) { return; }
  let i = item % pieces * 32 + tid % 32;
  var top = LEAST;
  var sum = 0.0;
  var part = 0.0;
  for (var s = tid / 32; s < p.n_stretches; s += 8) {
    let at = row * p.n_stretches + s;
    let score = scratch[p.stats + 2 * at];
    let most = max(top, score);
    let old = exp(top - most);
    let new_ = exp(score - most);
    sum = sum * old + scratch[p.stats + 2 * at + 1] * new_;
    if (i < p.dim) { part = part * old + scratch[at * p.dim + i] * new_; }
    top = most;
  }
  tops[tid] = top;
  sums[tid] = sum;
  parts[tid] = part;
  workgroupBarrier();
  if (tid < 32 && i < p.dim) {
    for (var j = tid; j < 256; j += 32) { top = max(top, tops[j]); }
    sum = 0.0;
    part = 0.0;
    for (var j = tid; j < 256; j += 32) {
      let share = exp(tops[j] - top);
      sum += share * sums[j];
      part += share * parts[j];
    }
    act[p.y + row / p.n_head * p.y_stride + row % p.n_head * p.dim + i] = part / sum;
  }
}
