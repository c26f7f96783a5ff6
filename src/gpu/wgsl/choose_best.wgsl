// The first of two steps of choosing a token: what the second one must look at. A workgroup a tile of 256 * per logits.
//
//   greedy=1   the best of each tile: scratch[2 * tile] = key, and its id
//   greedy=0   the greatest key of each of the 16 groups of a tile: scratch[16 * tile + group]; logit i of a tile is of group i % 16
struct Params { x: u32, n: u32, per: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> act: array<f32>;
@group(0) @binding(12) var<storage, read_write> scratch: array<u32>;

#include choose_keys

const THREADS = 256u;
var<workgroup> keys: array<u32, THREADS>;
#if greedy
var<workgroup> ids: array<u32, THREADS>;
#endif

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let first = wid.x * THREADS * p.per + thread;
  var best = 0u;
  var id = 0u;
  for (var i = 0u; i < p.per; i++) {
    let at = first + i * THREADS;
    if (at < p.n) {
      let key = key_of(act[p.x + at]);
      if (key > best) {
        best = key;
        id = at;
      }
    }
  }
  keys[thread] = best;
#if greedy
  ids[thread] = id;
#endif
  workgroupBarrier();
#if greedy
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (thread < half) {
      let other = keys[thread + half];
      if (other > keys[thread] || (other == keys[thread] && ids[thread + half] < ids[thread])) {
        keys[thread] = other;
        ids[thread] = ids[thread + half];
      }
    }
    workgroupBarrier();
  }
  if (thread == 0u) {
    scratch[2u * wid.x] = keys[0];
    scratch[2u * wid.x + 1u] = ids[0];
  }
#else
  if (thread < 16u) {
    for (var i = 1u; i < 16u; i++) { best = max(best, keys[i * 16u + thread]); }
    scratch[16u * wid.x + thread] = best;
  }
#endif
}
