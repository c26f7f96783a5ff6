// The best that sequences of a transcript can become, from what choose_speech left of their logits; one workgroup.
//
//   sums of tiles ──> of rows ──> the best tokens of all tiles, in order of score + logit - log_sum, until p.keep go on ──> tables
//
// To place p.place of `chosen`: the list of what was taken, and of each sequence that goes on its id, its past and its table of places.
// Times together likelier than any text: a time follows.
//
// Keys: known, as in choose_speech_rules; lists: tiles of all rows that a thread looks after.
@group(0) @binding(12) var<storage, read> scratch: array<u32>;
@group(0) @binding(13) var<storage, read_write> chosen: array<u32>;

#include choose_speech_rules
#include choose_greatest

const LANES = 16u; // threads of a row, while it is summed up
const NOTHING = -1e30; // the log of a sum of nothing

/// Of a row: its score, the logs of both sums, and the first tile whose tokens may follow.
struct Row { score: f32, log_sum: f32, model_log_sum: f32, first_tile: u32 }

var<workgroup> keys: array<vec4<u32>, THREADS>; // of all, of text, of times
var<workgroup> sums: array<vec4<f32>, THREADS>;
var<workgroup> rows: array<Row, SEQUENCES>;
var<workgroup> pasts: array<Past, SEQUENCES>;
var<workgroup> parents: array<u32, SEQUENCES>;

/// exp(logit - greatest) of keys, 0 where there is no logit.
fn shares(own: vec4<u32>, most: vec4<u32>) -> vec4<f32> {
  var share = vec4<f32>();
#for i 3
  if (own[$i] >= LEAST) { share[$i] = exp(max(logit_of(own[$i]) - logit_of(most[$i]), -88.0)); }
#endfor
  return share;
}

fn log_sum(key: u32, sum: f32) -> f32 {
  if (key < LEAST) { return NOTHING; }
  return logit_of(key) + log(sum);
}

/// Thread LANES * row + lane.
fn sum_rows(thread: u32) {
  let row = thread / LANES;
  let lane = thread % LANES;
  var key = vec4<u32>();
  var tile_keys = array<vec4<u32>, 2>();
  var tile_sums = array<vec4<f32>, 2>();
#for i 2
  let tile$i = lane + $i * LANES;
  if (row < p.rows && tile$i < p.tiles) {
    let at = (row * p.tiles + tile$i) * tile_words();
    let of_all = vec2<u32>(scratch[at], scratch[at + 1u]);
    let free = vec2<u32>(scratch[at + 2u], scratch[at + 3u]);
    let of_text = tile$i < p.text_tiles;
    tile_keys[$i] = vec4<u32>(of_all.x, select(0u, free.x, of_text), select(free.x, 0u, of_text), 0u);
    tile_sums[$i] = vec4<f32>(bitcast<f32>(of_all.y), vec3<f32>(bitcast<f32>(free.y)));
    key = max(key, tile_keys[$i]);
  }
#endfor
  keys[thread] = key;
  workgroupBarrier();
  var most = vec4<u32>();
  for (var i = 0u; i < LANES; i++) { most = max(most, keys[row * LANES + i]); }
  sums[thread] = tile_sums[0] * shares(tile_keys[0], most) + tile_sums[1] * shares(tile_keys[1], most);
  workgroupBarrier();
  if (lane == 0u && row < p.rows) {
    var sum = vec4<f32>();
    for (var i = 0u; i < LANES; i++) { sum += sums[thread + i]; }
    let text = log_sum(most.y, sum.y);
    let times = log_sum(most.z, sum.z);
    let only_times = p.timed != 0u && most.z >= LEAST && (most.y < LEAST || times > logit_of(most.y));
    let both = max(text, times) + log(1.0 + exp(max(min(text, times) - max(text, times), -88.0)));
    let own = select(both, times, only_times);
    let past = past_of(row);
    let score = past.score;
    var first_tile = select(0u, p.text_tiles, only_times);
    if (score <= NO_SCORE) { first_tile = p.tiles; }
    pasts[row] = past;
    rows[row] = Row(score, own, log_sum(most.x, sum.x), first_tile);
  }
  workgroupBarrier();
}

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

fn slot_of(sequence: u32, i: u32) -> u32 {
#if known
  return u32(ints[p.slots + sequence * p.slots_stride + i]);
#else
  return chosen[TABLES + (p.source * SEQUENCES + sequence) * MOST_LENGTH + i];
#endif
}

fn keep(i: u32, past: Past) {
  let sequence = p.place * SEQUENCES + i;
  chosen[IDS + sequence] = past.last;
  chosen[PASTS + 4u * sequence] = past.last;
  chosen[PASTS + 4u * sequence + 1u] = past.before;
  chosen[PASTS + 4u * sequence + 2u] = bitcast<u32>(past.time);
  chosen[PASTS + 4u * sequence + 3u] = bitcast<u32>(past.score);
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32) {
  // Of each list the token that is next, and the one after it, which so is there in time.
#for l $lists
  let list$l = thread + $l * THREADS;
  var head$l = entry(list$l, 0);
  var after$l = entry(list$l, 1);
  var rank$l = 2u;
#endfor
  sum_rows(thread);

  let to = LISTS + p.place * LIST_WORDS;
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
        let at = to + 1u + 5u * n;
        chosen[at] = row;
        chosen[at + 1u] = best.z;
        chosen[at + 2u] = bitcast<u32>(logit_of(best.w));
        chosen[at + 3u] = bitcast<u32>(rows[row].log_sum);
        chosen[at + 4u] = bitcast<u32>(rows[row].model_log_sum);
        if (!ends) {
          parents[kept] = row;
          let past = pasts[row];
          let time = select(past.time, i32(best.z), best.z >= p.first_time);
          keep(kept, Past(best.z, past.last, time, logit_of(best.x) - top_score));
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
  if (thread == 0u) { chosen[to] = n; }
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
