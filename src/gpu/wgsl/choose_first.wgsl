// The best of at most 256 tiles (choose_best greedy=1), of equal ones that with the lowest id, to chosen[place]; ~0: no logit can be chosen.
struct Params { tiles: u32, place: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(12) var<storage, read> scratch: array<u32>;
@group(0) @binding(13) var<storage, read_write> chosen: array<u32>;

#include choose_keys

const THREADS = 256u;
var<workgroup> keys: array<u32, THREADS>;
var<workgroup> ids: array<u32, THREADS>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32) {
  if (thread < p.tiles) {
    keys[thread] = scratch[2u * thread];
    ids[thread] = scratch[2u * thread + 1u];
  }
  workgroupBarrier();
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
  if (thread == 0u) { chosen[p.place] = select(0xffffffffu, ids[0], keys[0] >= LEAST); }
}
