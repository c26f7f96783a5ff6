// Of rows of logits of a transcript, by its rules (src/models/whisper_rules.c), all but for the first token: sums and best tokens of tiles, for
// choose_speech_best. Logits stay as they are.
//
//   workgroup = a tile of 2048 tokens, of text or of times  x  a row
//
//   suppressed tokens      never
//   after text             text, or a time after the last one
//   after a pair of times  text
//   after one time         another one, not before it; or the end
//
// Keys: known, as in choose_speech_rules.
@group(0) @binding(1) var<storage, read> act: array<f32>;
@group(0) @binding(12) var<storage, read_write> scratch: array<u32>;
#if known != 1
@group(0) @binding(3) var<storage, read> ints: array<i32>;
@group(0) @binding(13) var<storage, read> chosen: array<u32>;
#endif

#include choose_speech_rules
#include choose_greatest

var<workgroup> forbidden: array<atomic<u32>, TILE / 32u>;
var<workgroup> sums: array<vec2<f32>, THREADS>;
var<workgroup> line_sums: array<vec2<f32>, 16>;

/// Sums over the workgroup's threads, for thread 0.
fn total(own: vec2<f32>, thread: u32) -> vec2<f32> {
  sums[thread] = own;
  workgroupBarrier();
  if (thread < 16u) {
    var line = own;
    for (var i = thread + 16u; i < THREADS; i += 16u) { line += sums[i]; }
    line_sums[thread] = line;
  }
  workgroupBarrier();
  var all = line_sums[0];
  for (var i = 1u; i < 16u; i++) { all += line_sums[i]; }
  return all;
}

/// Which of [first, end) may follow.
fn allowed(row: u32, first: u32, end: u32) -> vec2<u32> {
  if (p.timed == 0u) { return vec2<u32>(first, end); }
  let past = past_of(row);
  let after_time = past.last >= p.first_time;
  let after_pair = after_time && past.before >= p.first_time;
  let closing = after_time && !after_pair;
  if (first < p.first_time) { return vec2<u32>(select(first, max(first, p.end), closing), end); }
  if (after_pair) { return vec2<u32>(end, end); }
  if (past.time < 0) { return vec2<u32>(first, end); }
  return vec2<u32>(max(first, min(u32(past.time), p.n) + select(1u, 0u, closing)), end);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let tile = wid.x;
  let row = wid.y;
  let of_text = tile < p.text_tiles;
  let first = select(p.first_time + (tile - p.text_tiles) * TILE, tile * TILE, of_text);
  let end = min(first + TILE, select(p.n, p.first_time, of_text));
  let x = p.x + row * p.x_stride + first + thread;
#for i 8
  var key$i = 0u;
  if (first + thread + $i * THREADS < end) { key$i = key_of(act[x + $i * THREADS]); }
#endfor
  for (var i = thread; i < p.n_suppressed; i += THREADS) {
    let at = u32(ints[p.suppressed + i]) - first;
    if (at < TILE) { atomicOr(&forbidden[at / 32u], 1u << (at % 32u)); }
  }
  let range = allowed(row, first, end);

  var most = 0u;
#for i 8
  most = max(most, key$i);
#endfor
  let all = greatest(vec4<u32>(most, thread, 0, 0), thread).x;
  var sum = vec2<f32>();
#for i 8
  if (key$i >= LEAST) { sum.x += exp(logit_of(key$i) - logit_of(all)); }
#endfor
#for i 8
  let at$i = thread + $i * THREADS;
  let free$i = ((atomicLoad(&forbidden[at$i / 32u]) >> (at$i % 32u)) & 1u) == 0u;
  key$i = select(0u, key$i, free$i && first + at$i >= range.x && first + at$i < range.y);
#endfor

  let record = (row * p.tiles + tile) * tile_words();
  var greatest_allowed = 0u;
  for (var t = 0u; t < p.top; t++) {
    var best = vec4<u32>();
#for i 8
    if (key$i > best.x) { best = vec4<u32>(key$i, first + at$i, thread, 0); }
#endfor
    best = greatest(best, thread);
    if (t == 0u) {
      greatest_allowed = best.x;
#for i 8
      if (key$i >= LEAST) { sum.y += exp(logit_of(key$i) - logit_of(best.x)); }
#endfor
    }
#for i 8
    if (first + at$i == best.y) { key$i = 0u; }
#endfor
    if (thread == 0u) {
      scratch[record + 4u + 2u * t] = best.x;
      scratch[record + 5u + 2u * t] = best.y;
    }
  }
  sum = total(sum, thread);
  if (thread == 0u) {
    scratch[record] = all;
    scratch[record + 1u] = bitcast<u32>(sum.x);
    scratch[record + 2u] = greatest_allowed;
    scratch[record + 3u] = bitcast<u32>(sum.y);
  }
}
