// The likeliest token of a transcript by its rules (src/models/whisper_rules.c), of all but its first one. Logits stay as they are.
//
//   step=1   a workgroup a tile of 2048 logits: to scratch[12 * tile ...], of all, of the text allowed and of the times allowed, each:
//            the greatest's key, its id, the sum of exp(logit - greatest)
//   step=2   one workgroup: the tiles together, the choice, to chosen[place], and chosen[8 + 4 * place ...]: id, logit, log of the sum of
//            exp(logit) of those it was chosen from, and of all
//
//   suppressed tokens      never
//   after text             text, or a time after the last one
//   after a pair of times  text
//   after one time         another one, not before it; or the end
//   times together likelier than any text: a time
struct Params {
  x: u32, n: u32, place: u32,
  end: u32, first_time: u32, timed: u32,
  n_suppressed: u32, suppressed: u32,
  n_before: u32, before: u32, // the last tokens, with the last time among them, in order; -1 - place: the one chosen in this place
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> act: array<f32>;
@group(0) @binding(3) var<storage, read> ints: array<i32>;
#if step == 1
@group(0) @binding(12) var<storage, read_write> scratch: array<u32>;
@group(0) @binding(13) var<storage, read> chosen: array<u32>;
#else
@group(0) @binding(12) var<storage, read> scratch: array<u32>;
@group(0) @binding(13) var<storage, read_write> chosen: array<u32>;
#endif

#include choose_keys

const THREADS = 256u;
const TILE = 2048u;

/// Logits [n] in one: the greatest, the first place of it, the sum of exp(logit - greatest).
struct Sum { key: u32, id: u32, sum: f32 }

fn join(a: Sum, b: Sum) -> Sum {
  if (b.key < LEAST) { return a; }
  if (a.key < LEAST) { return b; }
  let first = a.key > b.key || (a.key == b.key && a.id < b.id);
  var high = b;
  var low = a;
  if (first) {
    high = a;
    low = b;
  }
  return Sum(high.key, high.id, high.sum + low.sum * exp(max(logit_of(low.key) - logit_of(high.key), -88.0)));
}

var<workgroup> keys: array<u32, THREADS>;
var<workgroup> ids: array<u32, THREADS>;
var<workgroup> sums: array<f32, THREADS>;

fn total(own: Sum, thread: u32) -> Sum {
  keys[thread] = own.key;
  ids[thread] = own.id;
  sums[thread] = own.sum;
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (thread < half) {
      let other = thread + half;
      let both = join(Sum(keys[thread], ids[thread], sums[thread]), Sum(keys[other], ids[other], sums[other]));
      keys[thread] = both.key;
      ids[thread] = both.id;
      sums[thread] = both.sum;
    }
    workgroupBarrier();
  }
  let all = Sum(keys[0], ids[0], sums[0]);
  workgroupBarrier();
  return all;
}

#if step == 1
fn token(i: u32) -> u32 {
  let id = ints[p.before + i];
  if (id >= 0) { return u32(id); }
  return chosen[u32(-1 - id) & 7u];
}

/// From where on text and times are allowed, and where times end.
fn allowed() -> vec3<u32> {
  if (p.timed == 0u || p.n_before == 0u) { return vec3<u32>(0u, p.first_time, p.n); }
  let after_time = token(p.n_before - 1u) >= p.first_time;
  let after_pair = after_time && (p.n_before < 2u || token(p.n_before - 2u) >= p.first_time);
  let closing = after_time && !after_pair;
  var last = p.first_time;
  for (var i = 0u; i < p.n_before; i++) {
    let id = token(i);
    if (id >= p.first_time) { last = min(id, p.n) + select(1u, 0u, closing); }
  }
  return vec3<u32>(select(0u, p.end, closing), last, select(p.n, p.first_time, after_pair));
}

var<workgroup> forbidden: array<atomic<u32>, TILE / 32u>;

fn put(at: u32, s: Sum, thread: u32) {
  if (thread == 0u) {
    scratch[at] = s.key;
    scratch[at + 1u] = s.id;
    scratch[at + 2u] = bitcast<u32>(s.sum);
  }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let first = wid.x * TILE;
  for (var i = thread; i < p.n_suppressed; i += THREADS) {
    let at = u32(ints[p.suppressed + i]) - first;
    if (at < TILE) { atomicOr(&forbidden[at / 32u], 1u << (at % 32u)); }
  }
  workgroupBarrier();
  let range = allowed();
  var all = Sum();
  var text = Sum();
  var times = Sum();
  for (var i = thread; i < TILE; i += THREADS) {
    let id = first + i;
    if (id < p.n) {
      let one = Sum(key_of(act[p.x + id]), id, 1.0);
      all = join(all, one);
      if (((atomicLoad(&forbidden[i / 32u]) >> (i % 32u)) & 1u) == 0u) {
        if (id < p.first_time) {
          if (id >= range.x) { text = join(text, one); }
        } else if (id >= range.y && id < range.z) {
          times = join(times, one);
        }
      }
    }
  }
  put(12u * wid.x, total(all, thread), thread);
  put(12u * wid.x + 4u, total(text, thread), thread);
  put(12u * wid.x + 8u, total(times, thread), thread);
}
#else
fn of_tile(tile: u32, part: u32) -> Sum {
  if (tile * TILE >= p.n) { return Sum(); }
  let at = 12u * tile + 4u * part;
  return Sum(scratch[at], scratch[at + 1u], bitcast<f32>(scratch[at + 2u]));
}

/// -infinity, or near enough, where there are none.
fn log_sum(s: Sum) -> f32 {
  if (s.key < LEAST) { return -1e30; }
  return logit_of(s.key) + log(s.sum);
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32) {
  let all = total(of_tile(thread, 0u), thread);
  let text = total(of_tile(thread, 1u), thread);
  let times = total(of_tile(thread, 2u), thread);
  if (thread != 0u) { return; }
  var best = Sum(LEAST, p.end, 1.0); // nothing is allowed: the end
  var logit = 0.0;
  var from_log_sum = 0.0;
  if (text.key >= LEAST || times.key >= LEAST) {
    let a = log_sum(text);
    let b = log_sum(times);
    // Times first, where they are likelier together than any text.
    let only_times = p.timed != 0u && times.key >= LEAST && (text.key < LEAST || b > logit_of(text.key));
    best = join(text, times);
    if (only_times) { best = times; }
    logit = logit_of(best.key);
    from_log_sum = select(max(a, b) + log(1.0 + exp(max(min(a, b) - max(a, b), -88.0))), b, only_times);
  }
  chosen[p.place] = best.id;
  let to = 8u + 4u * p.place;
  chosen[to] = best.id;
  chosen[to + 1u] = bitcast<u32>(logit);
  chosen[to + 2u] = bitcast<u32>(from_log_sum);
  chosen[to + 3u] = bitcast<u32>(log_sum(all));
}
#endif
