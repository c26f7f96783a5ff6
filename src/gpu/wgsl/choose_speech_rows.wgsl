// Of choose_speech_best and choose_speech_draw: what rows of logits come to, from what choose_speech left of their tiles, and what becomes of a choice.
// Times together likelier than any text: a time follows.
const LANES = 16u; // threads of a row, while it is summed up
const NOTHING = -1e30; // the log of a sum of nothing

/// Of a row: its score, the logs of both sums, and the first tile whose tokens may follow.
struct Row { score: f32, log_sum: f32, model_log_sum: f32, first_tile: u32 }

var<workgroup> keys: array<vec4<u32>, THREADS>; // of all, of text, of times
var<workgroup> sums: array<vec4<f32>, THREADS>;
var<workgroup> rows: array<Row, SEQUENCES>;
var<workgroup> pasts: array<Past, SEQUENCES>;

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

/// Entry i of the list of what was taken.
fn tell(i: u32, row: u32, id: u32, logit: f32, log_sum: f32) {
  let at = LISTS + p.place * LIST_WORDS + 1u + 5u * i;
  chosen[at] = row;
  chosen[at + 1u] = id;
  chosen[at + 2u] = bitcast<u32>(logit);
  chosen[at + 3u] = bitcast<u32>(log_sum);
  chosen[at + 4u] = bitcast<u32>(rows[row].model_log_sum);
}

fn tell_count(n: u32) { chosen[LISTS + p.place * LIST_WORDS] = n; }

/// A sequence after one more token.
fn after(past: Past, id: u32, score: f32) -> Past {
  return Past(id, past.last, select(past.time, i32(id), id >= p.first_time), score);
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

