// Which tokens of a tile may follow, by src/models/whisper_rules.c:
//
//   suppressed tokens      never
//   as the first token     a time, no later than p.max_first
//   after text             text, or a time after the last one
//   after a pair of times  text
//   after one time         another one, not before it; or the end
#if known != 1
@group(0) @binding(3) var<storage, read> ints: array<i32>;
#endif
var<workgroup> forbidden: array<atomic<u32>, TILE / 32u>;

/// First token of a tile, and the one behind its last.
fn tile_range(tile: u32) -> vec2<u32> {
  let of_text = tile < p.text_tiles;
  let first = select(p.first_time + (tile - p.text_tiles) * TILE, tile * TILE, of_text);
  return vec2<u32>(first, min(first + TILE, select(p.n, p.first_time, of_text)));
}

/// Notes the suppressed tokens of the tile that begins with `first`. A barrier must follow.
fn forbid(first: u32, thread: u32) {
  for (var i = thread; i < p.n_suppressed; i += THREADS) {
    let at = u32(ints[p.suppressed + i]) - first;
    if (at < TILE) { atomicOr(&forbidden[at / 32u], 1u << (at % 32u)); }
  }
}

/// Whether token `at` of the tile is not suppressed.
fn is_free(at: u32) -> bool { return ((atomicLoad(&forbidden[at / 32u]) >> (at % 32u)) & 1u) == 0u; }

/// Those of a tile's range that may follow, but for suppressed ones.
fn allowed(row: u32, range: vec2<u32>) -> vec2<u32> {
  let first = range.x;
  let end = range.y;
  if (p.timed == 0u) { return range; }
  let past = past_of(row);
  if (past.last == NO_TOKEN) { return select(vec2<u32>(first, min(end, p.max_first + 1u)), vec2<u32>(end, end), first < p.first_time); }
  let after_time = past.last >= p.first_time;
  let after_pair = after_time && past.before >= p.first_time;
  let closing = after_time && !after_pair;
  if (first < p.first_time) { return vec2<u32>(select(first, max(first, p.end), closing), end); }
  if (after_pair) { return vec2<u32>(end, end); }
  if (past.time < 0) { return range; }
  return vec2<u32>(max(first, min(u32(past.time), p.n) + select(1u, 0u, closing)), end);
}
