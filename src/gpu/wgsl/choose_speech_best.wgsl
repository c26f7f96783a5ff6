// The best that sequences of a transcript can become, from what choose_speech left of their logits; one workgroup.
//
//   sums of tiles ──> of rows ──> the best tokens of all tiles, in order of score + logit - log_sum, until p.keep go on ──> tables
//
// To place p.place of `chosen`: the list of what was taken, and of each sequence that goes on its id, its past and its table of places.
//
// Keys: known, as in choose_speech_rules; lists: tiles of all rows that a thread looks after; sg, as in choose_greatest.
@group(0) @binding(12) var<storage, read> scratch: array<u32>;
@group(0) @binding(13) var<storage, read_write> chosen: array<u32>;

#include choose_speech_rules
#include choose_speech_rows
#include choose_greatest

var<workgroup> parents: array<u32, SEQUENCES>;

/// Token `rank` of list `list`, which is a tile of a row: its score's key and itself. 0: there is none.
fn entry(list: u32, rank: u32) -> vec2<u32> {
  if (list >= p.rows * p.tiles || rank >= p.top) { return vec2<u32>(); }
  let at = list * tile_words() + 4u + 2u * rank;
  return vec2<u32>(scratch[at], scratch[at + 1u]);
}

fn score_key(list: u32, key: u32) -> u32 {
  if (key < LEAST) { return 0u; }
  let row = rows[list / p.tiles];
  if (list % p.tiles < row.first_tile) { return 0u; }
  return key_of(row.score + (logit_of(key) - row.log_sum));
}

@compute @workgroup_size(256)
fn main(
#if sg
        @builtin(subgroup_size) subgroup_size: u32,
#endif
        @builtin(local_invocation_index) thread: u32) {
#if sg
  sg_size = subgroup_size;
#endif
  // Of each list the token that is next, and the one after it, which so is there in time.
#for l $lists
  let list$l = thread + $l * THREADS;
  var head$l = entry(list$l, 0);
  var after$l = entry(list$l, 1);
  var rank$l = 2u;
#endfor
  sum_rows(thread);

  var kept = 0u;
  var n = 0u;
  var top_score = 0.0;
  // No row ends twice, so that this many are enough.
  for (var round = 0u; round < p.keep + p.rows; round++) {
    var own = vec4<u32>(0u, 0xffffffffu, 0u, 0u);
#for l $lists
    own = greater(own, vec4<u32>(score_key(list$l, head$l.x), list$l, head$l.y, head$l.x));
#endfor
    let best = greatest(own, thread);
    if (best.x >= LEAST && kept < p.keep) {
      let row = best.y / p.tiles;
      let ends = best.z == p.end;
      if (n == 0u) { top_score = logit_of(best.x); }
      if (thread == 0u) {
        tell(n, row, best.z, logit_of(best.w), rows[row].log_sum);
        if (!ends) {
          parents[kept] = row;
          keep(kept, after(pasts[row], best.z, logit_of(best.x) - top_score));
        }
      }
      n++;
      kept += select(1u, 0u, ends);
#for l $lists
      if (list$l == best.y) {
        head$l = after$l;
        after$l = entry(list$l, rank$l);
        rank$l++;
      }
#endfor
    }
  }
  if (thread == 0u) { tell_count(n); }
  if (thread >= kept && thread < p.keep) {
    parents[thread] = 0u;
    keep(thread, Past(p.end, p.end, -1, NO_SCORE));
  }
  workgroupBarrier();
  // Several are asked for together: after a store a read has to wait.
  let size = p.keep * (p.length + 1u);
  for (var i = thread; i < size; i += 4u * THREADS) {
#for k 4
    let i$k = min(i + $k * THREADS, size - 1u);
    let sequence$k = i$k / (p.length + 1u);
    let at$k = i$k % (p.length + 1u);
    var slot$k = p.next + sequence$k;
    if (at$k < p.length) { slot$k = slot_of(parents[sequence$k], at$k); }
#endfor
#for k 4
    chosen[TABLES + (p.place * SEQUENCES + sequence$k) * MOST_LENGTH + at$k] = slot$k;
#endfor
  }
}
