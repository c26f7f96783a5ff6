// y of the stretches that attend_few left in scratch, joined: y = sum(share * y) / sum(share * sum), share = exp(largest score - largest of all).
// A workgroup takes 32 elements of one query's head: 8 threads an element, each every 8th stretch. There are at most 256 stretches.
//
// Keys: sg, as in attend_few.
#if sg
enable subgroups;
#endif
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
@group(0) @binding(12) var<storage, read> scratch: array<f32>;

const LEAST: f32 = -3e38;

var<workgroup> narrow: array<f32, 256>;
var<workgroup> eight: array<f32, 8>;
var<workgroup> shares: array<f32, 256>;
var<workgroup> parts: array<f32, 256>;

#include row_reduce

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) tid: u32) {
  let item = wid.x + wid.y * grid.x;
  let pieces = (p.dim + 31) / 32;
  let row = item / pieces;
  if (row >= p.n_row) { return; }
  let lane = tid % 32;
  let line = tid / 32;
  let i = item % pieces * 32 + lane;
  let n = select(0u, p.n_stretches, i < p.dim);
  let at = row * p.n_stretches;
  // Asked for first, as they are needed last.
#for k 4
  var part$k = 0.0;
  if (line + 8 * $k < n) { part$k = scratch[(at + line + 8 * $k) * p.dim + i]; }
#endfor

  var top = LEAST;
  var sum = 0.0;
  if (tid < p.n_stretches) {
    top = scratch[p.stats + 2 * (at + tid)];
    sum = scratch[p.stats + 2 * (at + tid) + 1];
  }
  let line_top = row_max(top, tid);
  if (lane == 0) { eight[line] = line_top; }
  workgroupBarrier();
  var most = LEAST;
#for k 8
  most = max(most, eight[$k]);
#endfor
  let share = exp(top - most);
  shares[tid] = share;
  let line_sum = row_sum(sum * share, tid);
  workgroupBarrier();
  if (lane == 0) { eight[line] = line_sum; }

#for k 4
  part$k *= shares[line + 8 * $k];
#endfor
  var part = (part0 + part1) + (part2 + part3);
  for (var s = line + 32; s < n; s += 8) { part += shares[s] * scratch[(at + s) * p.dim + i]; }
  parts[tid] = part;
  workgroupBarrier();
  if (line == 0 && i < p.dim) {
    sum = 0.0;
    part = 0.0;
#for k 8
    sum += eight[$k];
    part += parts[lane + 32 * $k];
#endfor
    act[p.y + row / p.n_head * p.y_stride + row % p.n_head * p.dim + i] = part / sum;
  }
}
