// The second of two steps of choosing a token, one workgroup: a draw among the k likeliest, to chosen[place]; ~0: no logit can be chosen.
//
//   greatest keys of groups (choose_best) ─> bound: the k-th of them ─> logits from the bound on, of groups that reach it ─> by rank
//       ─> weights exp((x - greatest) / temperature) ─> top-p ─> min-p ─> draw, likeliest first
//
// k groups reach the bound, so k logits do, and the k likeliest are among those. Where far too many do (equal ones, or k is large), all logits are gone
// through instead, bit by bit of the k-th one's key, then of the last equal one's id.
struct Params {
  x: u32, n: u32, per: u32, n_groups: u32, // n_groups: at most 4096
  k: u32, place: u32, // k: at most 1024
  scale: f32, // 1 / temperature
  top_p: f32, min_p: f32,
  draw: f32, // uniform in [0, 1]
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> act: array<f32>;
@group(0) @binding(12) var<storage, read> scratch: array<u32>;
@group(0) @binding(13) var<storage, read_write> chosen: array<u32>;

#include choose_keys

const THREADS = 256u;
const ROOM = 1024u; // candidates
const EACH = 16u; // groups of an invocation; a tile has as many

var<workgroup> counts: array<atomic<u32>, 32>;
var<workgroup> equal_counts: array<atomic<u32>, 33>;
var<workgroup> n_listed: atomic<u32>;
var<workgroup> n_found: atomic<u32>;
var<workgroup> n_exact: atomic<u32>;
var<workgroup> too_many: u32;
var<workgroup> list: array<u32, ROOM>; // groups, then weights
var<workgroup> keys: array<u32, ROOM>; // then sums of weights up to each
var<workgroup> ids: array<u32, ROOM>;

fn weight(i: u32) -> f32 { return bitcast<f32>(list[i]); }
fn sum_to(i: u32) -> f32 { return bitcast<f32>(keys[i]); }

fn take(slot: u32, key: u32, id: u32) {
  if (slot < ROOM) {
    keys[slot] = key;
    ids[slot] = id;
  }
}

/// Exactly the k likeliest, into keys and ids; there are more.
fn gather_exactly(thread: u32) {
  for (var i = thread; i < 32u; i += THREADS) { atomicStore(&counts[i], 0u); }
  workgroupBarrier();
  var bound = 0u; // the k-th key
  for (var bit = 32u; bit > 0u; bit--) {
    let next = bound | (1u << (bit - 1u));
    var count = 0u;
    for (var i = thread; i < p.n; i += THREADS) { count += select(0u, 1u, key_of(act[p.x + i]) >= next); }
    atomicAdd(&counts[bit - 1u], count);
    workgroupBarrier();
    if (atomicLoad(&counts[bit - 1u]) >= p.k) { bound = next; }
  }
  var above = 0u;
  for (var i = thread; i < p.n; i += THREADS) { above += select(0u, 1u, key_of(act[p.x + i]) > bound); }
  atomicAdd(&equal_counts[32], above);
  workgroupBarrier();
  let wanted = p.k - atomicLoad(&equal_counts[32]); // of those equal to the bound, at least one
  var last = 0u; // the id of the last of them: fewer than wanted come before it
  for (var bit = 32u - countLeadingZeros(p.n); bit > 0u; bit--) {
    let next = last | (1u << (bit - 1u));
    var count = 0u;
    for (var i = thread; i < min(p.n, next); i += THREADS) { count += select(0u, 1u, key_of(act[p.x + i]) == bound); }
    atomicAdd(&equal_counts[bit - 1u], count);
    workgroupBarrier();
    if (atomicLoad(&equal_counts[bit - 1u]) < wanted) { last = next; }
  }
  for (var i = thread; i < p.n; i += THREADS) {
    let key = key_of(act[p.x + i]);
    if (key > bound || (key == bound && i <= last)) { take(atomicAdd(&n_exact, 1u), key, i); }
  }
  workgroupBarrier();
}

/// The first of [0, n) whose sum is at least (past: more than) the goal; n: none.
fn reach(goal: f32, n: u32, past: bool) -> u32 {
  var low = 0u;
  var high = n;
  while (low < high) {
    let middle = (low + high) / 2u;
    let sum = sum_to(middle);
    if (sum > goal || (!past && sum == goal)) { high = middle; } else { low = middle + 1u; }
  }
  return low;
}

fn choose(n: u32) -> u32 {
  var kept = n;
  if (p.top_p < 1.0) { kept = min(n, reach(p.top_p * sum_to(n - 1u), n, false) + 1u); }
  while (kept > 1u && (weight(kept - 1u) < p.min_p || weight(kept - 1u) == 0.0)) { kept--; }
  return min(reach(p.draw * sum_to(kept - 1u), kept, true), kept - 1u);
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32) {
  var greatest: array<u32, EACH>;
  for (var i = 0u; i < EACH; i++) {
    let group = i * THREADS + thread;
    if (group < p.n_groups) { greatest[i] = scratch[group]; }
  }
  var bound = 0u;
  for (var bit = 32u; bit > 0u; bit--) {
    let next = bound | (1u << (bit - 1u));
    var count = 0u;
    for (var i = 0u; i < EACH; i++) { count += select(0u, 1u, greatest[i] >= next); }
    if (count > 0u) { atomicAdd(&counts[bit - 1u], count); }
    workgroupBarrier();
    if (atomicLoad(&counts[bit - 1u]) >= p.k) { bound = next; }
  }
  bound = max(bound, LEAST);

  for (var i = 0u; i < EACH; i++) {
    if (greatest[i] >= bound) {
      let slot = atomicAdd(&n_listed, 1u);
      if (slot < ROOM) { list[slot] = i * THREADS + thread; }
    }
  }
  workgroupBarrier();
  let listed = atomicLoad(&n_listed);
  let size = EACH * p.per;
  if (listed <= ROOM) {
    for (var i = thread; i < listed * size; i += THREADS) {
      let group = list[i / size];
      let id = (group / EACH) * THREADS * p.per + (i % size) * EACH + group % EACH;
      if (id < p.n) {
        let key = key_of(act[p.x + id]);
        if (key >= bound) { take(atomicAdd(&n_found, 1u), key, id); }
      }
    }
  }
  workgroupBarrier();
  if (thread == 0u) { too_many = select(0u, 1u, listed > ROOM || atomicLoad(&n_found) > ROOM); }
  var found = atomicLoad(&n_found);
  if (workgroupUniformLoad(&too_many) != 0u) {
    gather_exactly(thread);
    found = p.k;
  }

  // To their ranks: how many come before each.
  var own_keys: array<u32, 4>;
  var own_ids: array<u32, 4>;
  var ranks: array<u32, 4>;
  for (var j = 0u; j < 4u; j++) {
    let i = j * THREADS + thread;
    if (i < found) {
      own_keys[j] = keys[i];
      own_ids[j] = ids[i];
      for (var other = 0u; other < found; other++) {
        let before = keys[other] > own_keys[j] || (keys[other] == own_keys[j] && ids[other] < own_ids[j]);
        ranks[j] += select(0u, 1u, before);
      }
    }
  }
  workgroupBarrier();
  for (var j = 0u; j < 4u; j++) {
    if (j * THREADS + thread < found) {
      keys[ranks[j]] = own_keys[j];
      ids[ranks[j]] = own_ids[j];
    }
  }
  workgroupBarrier();

  let n = min(found, p.k);
  let first = keys[0];
  for (var i = thread; i < n; i += THREADS) {
    let x = (logit_of(keys[i]) - logit_of(first)) * p.scale;
    list[i] = bitcast<u32>(select(0.0, exp(x), x > -87.0));
  }
  workgroupBarrier();
  for (var i = thread; i < n; i += THREADS) {
    var sum = 0.0;
    for (var k = 0u; k <= i; k++) { sum += weight(k); }
    keys[i] = bitcast<u32>(sum);
  }
  workgroupBarrier();
  if (thread == 0u) {
    if (n == 0u) {
      chosen[p.place] = 0xffffffffu;
    } else if (first == INFINITE) { // leaves no choice
      chosen[p.place] = ids[0];
    } else {
      chosen[p.place] = ids[choose(n)];
    }
  }
}
