// Logits with bias and penalties: an invocation an entry of the lists [biases, history], of which the first one of a token does all of it.
//
//   logit + its biases, then: / repetition (* where it is not positive) - presence - frequency * how often it is in the history
struct Params {
  x: u32, n_vocab: u32,
  n_bias: u32, bias_ids: u32, bias_values: u32, // the values' bits
  n_history: u32, history: u32, // -1 - place: the token chosen in this place
  repetition: f32, presence: f32, frequency: f32,
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;
@group(0) @binding(3) var<storage, read> ints: array<i32>;
@group(0) @binding(13) var<storage, read> chosen: array<u32>;

fn token(entry: u32) -> u32 {
  if (entry < p.n_bias) { return u32(ints[p.bias_ids + entry]); }
  let id = ints[p.history + entry - p.n_bias];
  if (id >= 0) { return u32(id); }
  return chosen[u32(-1 - id) & 7u];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) at: vec3<u32>) {
  let entry = at.x;
  let n = p.n_bias + p.n_history;
  if (entry >= n) { return; }
  let id = token(entry);
  if (id >= p.n_vocab) { return; }
  for (var i = 0u; i < entry; i++) {
    if (token(i) == id) { return; }
  }
  var logit = act[p.x + id];
  for (var i = 0u; i < p.n_bias; i++) {
    if (token(i) == id) { logit += bitcast<f32>(ints[p.bias_values + i]); }
  }
  var count = 0u;
  for (var i = p.n_bias; i < n; i++) {
    if (token(i) == id) { count++; }
  }
  if (count > 0u) {
    logit = select(logit * p.repetition, logit / p.repetition, logit > 0.0);
    logit = logit - p.presence - p.frequency * f32(count);
  }
  act[p.x + id] = logit;
}
