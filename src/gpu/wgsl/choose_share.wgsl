// The share of a token in a row of logits: act[y] = exp(x[column]) / sum of exp(x). One workgroup; NaN counts as -infinity, as in choose_keys.
//
// Key: sg, as in choose_greatest.
struct Params { x: u32, n: u32, column: u32, y: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;

#include choose_keys
#include choose_greatest

const THREADS = 256u;
#include total

@compute @workgroup_size(256)
fn main(
#if sg
        @builtin(subgroup_size) subgroup_size: u32,
#endif
        @builtin(local_invocation_index) thread: u32) {
#if sg
  sg_size = subgroup_size;
#endif
  var most = 0u;
  for (var i = thread; i < p.n; i += THREADS) { most = max(most, key_of(act[p.x + i])); }
  let all = greatest(vec4<u32>(most, thread, 0, 0), thread).x;
  var sum = 0.0;
  for (var i = thread; i < p.n; i += THREADS) {
    let key = key_of(act[p.x + i]);
    if (key >= LEAST) { sum += exp(logit_of(key) - logit_of(all)); }
  }
  sum = total(sum, thread);
  if (thread == 0u) {
    let key = key_of(act[p.x + p.column]);
    act[p.y] = select(0.0, exp(logit_of(key) - logit_of(all)) / sum, key >= LEAST);
  }
}
