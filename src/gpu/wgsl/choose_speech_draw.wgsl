// A token drawn for each sequence of a transcript at a temperature above 0, from what choose_speech left of their logits; a workgroup a sequence.
//
//   sums of tiles ──> of rows ──> the tile, the thread and the token where the draw falls, in order of ids ──> table
//
// Sequence i is drawn from row i, or all from the only one. One that has ended, and one for which nothing is allowed, ends (again). To place p.place of
// `chosen` as choose_speech_best has it: each sequence is in the list, and goes on.
//
// Keys: known, as in choose_speech_rules; sample=1.
@group(0) @binding(1) var<storage, read> act: array<f32>;
@group(0) @binding(12) var<storage, read> scratch: array<u32>;
@group(0) @binding(13) var<storage, read_write> chosen: array<u32>;

#include choose_speech_rules
#include choose_speech_allowed
#include choose_speech_rows
#include choose_by_id

const MOST_TILES = 32u; // of a row

var<workgroup> of_tiles: array<f32, MOST_TILES>;
var<workgroup> goal: vec2<f32>; // what of the tile's share comes before the draw; its share
var<workgroup> drawn_tile: u32;

/// The greatest logit that may follow in a row, as a key.
fn greatest_of(row: u32) -> u32 {
  var key = 0u;
  for (var tile = rows[row].first_tile; tile < p.tiles; tile++) { key = max(key, scratch[(row * p.tiles + tile) * tile_words() + 2u]); }
  return key;
}

/// As select_weights of src/text: what is far below the greatest cannot be drawn.
fn weight_of(key: u32, most: u32) -> f32 {
  let x = (logit_of(key) - logit_of(most)) * p.scale;
  return select(0.0, exp(x), x > -87.0);
}

/// Where in the row's tiles the draw falls.
fn draw_tile(draw: f32) {
  var sum = 0.0;
  for (var tile = 0u; tile < p.tiles; tile++) { sum += of_tiles[tile]; }
  var left = draw * sum;
  var last = 0u;
  var taken = vec2<f32>();
  for (var tile = 0u; tile < p.tiles; tile++) {
    if (of_tiles[tile] == 0.0) { continue; }
    last = tile;
    taken = vec2<f32>(left, of_tiles[tile]);
    if (left < of_tiles[tile]) { break; }
    left -= of_tiles[tile];
  }
  drawn_tile = last;
  goal = taken;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let sequence = wid.x;
  let row = min(sequence, p.rows - 1u);
  sum_rows(thread);
  let most = greatest_of(row);
  if (thread < p.tiles) {
    let at = (row * p.tiles + thread) * tile_words();
    let key = scratch[at + 2u];
    let open = thread >= rows[row].first_tile && key >= LEAST;
    of_tiles[thread] = select(0.0, bitcast<f32>(scratch[at + 4u]) * weight_of(key, most), open);
  }
  workgroupBarrier();
  if (thread == 0u) { draw_tile(bitcast<f32>(ints[p.draws + sequence])); }
  workgroupBarrier();

  let range_of = tile_range(drawn_tile);
  forbid(range_of.x, thread);
  workgroupBarrier();
  let range = allowed(row, range_of);
  let x = p.x + row * p.x_stride;
  var weights: Eight;
  for (var i = 0u; i < 8u; i++) {
    let at = 8u * thread + i;
    let id = range_of.x + at;
    if (id >= range.x && id < range.y && is_free(at)) {
      let key = key_of(act[x + id]);
      if (key >= LEAST) { weights[i] = weight_of(key, most); }
    }
  }
  let id = range_of.x + draw_of_tile(goal.x / goal.y, weights, thread);

  if (thread == 0u) {
    let past = pasts[row];
    let dead = past.last == p.end || most < LEAST;
    if (sequence == 0u) { tell_count(p.keep); }
    if (dead) {
      tell(sequence, row, p.end, 0.0, 0.0);
      keep(sequence, after(past, p.end, 0.0));
    } else {
      tell(sequence, row, id, act[x + id], rows[row].log_sum);
      keep(sequence, after(past, id, 0.0));
    }
  }
  for (var i = thread; i <= p.length; i += THREADS) {
    var slot = p.next + sequence;
    if (i < p.length) { slot = slot_of(row, i); }
    chosen[TABLES + (p.place * SEQUENCES + sequence) * MOST_LENGTH + i] = slot;
  }
}
