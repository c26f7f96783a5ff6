// Of rows of logits of a transcript, by its rules (choose_speech_allowed): sums and best tokens of tiles, for choose_speech_best, or sums for
// choose_speech_draw. Logits stay as they are.
//
//   workgroup = a tile of 2048 tokens, of text or of times  x  a row
//
// Keys: known and sample, as in choose_speech_rules; sg, as in choose_greatest.
@group(0) @binding(1) var<storage, read> act: array<f32>;
@group(0) @binding(12) var<storage, read_write> scratch: array<u32>;
#if known != 1
@group(0) @binding(13) var<storage, read> chosen: array<u32>;
#endif

#include choose_speech_rules
#include choose_speech_allowed
#include choose_greatest

/// Of all logits and of those allowed; of these at the temperature, too.
#if sample
alias Sums = vec3<f32>;
#else
alias Sums = vec2<f32>;
#endif
var<workgroup> sums: array<Sums, THREADS>;
var<workgroup> line_sums: array<Sums, 16>;

/// Sums over the workgroup's threads, for thread 0.
fn total(own: Sums, thread: u32) -> Sums {
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

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>,
#if sg
        @builtin(subgroup_size) subgroup_size: u32,
#endif
        @builtin(local_invocation_index) thread: u32) {
#if sg
  sg_size = subgroup_size;
#endif
  let tile = wid.x;
  let row = wid.y;
  let tile_of = tile_range(tile);
  let first = tile_of.x;
  let end = tile_of.y;
  let x = p.x + row * p.x_stride + first + thread;
#for i 8
  var key$i = 0u;
  if (first + thread + $i * THREADS < end) { key$i = key_of(act[x + $i * THREADS]); }
#endfor
  forbid(first, thread);
  let range = allowed(row, tile_of);

  var most = 0u;
#for i 8
  most = max(most, key$i);
#endfor
  let all = greatest(vec4<u32>(most, thread, 0, 0), thread).x;
  var sum = Sums();
#for i 8
  if (key$i >= LEAST) { sum.x += exp(logit_of(key$i) - logit_of(all)); }
#endfor
#for i 8
  let at$i = thread + $i * THREADS;
  key$i = select(0u, key$i, is_free(at$i) && first + at$i >= range.x && first + at$i < range.y);
#endfor

  let record = (row * p.tiles + tile) * tile_words();
  var greatest_allowed = 0u;
#if sample
  var most_allowed = 0u;
#for i 8
  most_allowed = max(most_allowed, key$i);
#endfor
  greatest_allowed = greatest(vec4<u32>(most_allowed, thread, 0, 0), thread).x;
#for i 8
  if (key$i >= LEAST) {
    let x$i = logit_of(key$i) - logit_of(greatest_allowed);
    sum.y += exp(x$i);
    sum.z += exp(x$i * p.scale);
  }
#endfor
#else
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
#endif
  sum = total(sum, thread);
  if (thread == 0u) {
    scratch[record] = all;
    scratch[record + 1u] = bitcast<u32>(sum.x);
    scratch[record + 2u] = greatest_allowed;
    scratch[record + 3u] = bitcast<u32>(sum.y);
#if sample
    scratch[record + 4u] = bitcast<u32>(sum.z);
#endif
  }
}
