// Of choose_speech, choose_speech_best and choose_speech_draw: parameters, and what is known of the sequences.
//
// known=1: of sequence i, four of ints from p.past on: last two tokens, last time, score; and its table from ints[p.slots + i * p.slots_stride] on
// known=0: both as they are kept in place p.source of `chosen`
// sample=1: each sequence goes on with a token drawn; 0: the best that all of them can become
struct Params {
  x: u32, x_stride: u32, rows: u32, n: u32,          // logits
  end: u32, first_time: u32, max_first: u32, timed: u32, // max_first: the latest time that may be the first token
  n_suppressed: u32, suppressed: u32,
  text_tiles: u32, tiles: u32,                       // of a row
  top: u32,                                          // best tokens that are kept of a tile
  keep: u32, place: u32,
  source: u32, past: u32,
  slots: u32, slots_stride: u32, length: u32, next: u32,
  draws: u32, scale: f32,                            // sample=1: floats of [0, 1) in ints, one of a sequence; 1 / temperature
}
@group(0) @binding(0) var<uniform> p: Params;
#if known
@group(0) @binding(3) var<storage, read> ints: array<i32>;
#endif

#include choose_keys

const THREADS = 256u;
const TILE = 2048u;
const NO_SCORE = -1e30; // of a sequence that is none: fewer could go on than were wanted
// In `chosen`, as in gpu.h.
const SEQUENCES = 16u;
const IDS = 8u;
const PASTS = IDS + 8u * SEQUENCES;
const LISTS = PASTS + 8u * 4u * SEQUENCES;
const LIST_WORDS = 1u + 5u * 2u * SEQUENCES;
const TABLES = LISTS + 8u * LIST_WORDS;
const MOST_LENGTH = 512u;

const NO_TOKEN = 0xffffffffu; // before the first

/// The last two tokens, where one before the first counts as a time; the last time, or -1; the score.
struct Past { last: u32, before: u32, time: i32, score: f32 }

fn past_of(row: u32) -> Past {
#if known
  let at = p.past + 4u * row;
  return Past(u32(ints[at]), u32(ints[at + 1u]), ints[at + 2u], bitcast<f32>(ints[at + 3u]));
#else
  let at = PASTS + 4u * (p.source * SEQUENCES + row);
  return Past(chosen[at], chosen[at + 1u], bitcast<i32>(chosen[at + 2u]), bitcast<f32>(chosen[at + 3u]));
#endif
}

/// Words of a tile of a row in scratch: of all its logits and of those allowed the greatest's key and the sum of exp(logit - greatest); then, sample=0, the
/// best ones allowed, each key and id, best first, or, sample=1, the sum of exp((logit - greatest) * scale) of those allowed.
#if sample
fn tile_words() -> u32 { return 5u; }
#else
fn tile_words() -> u32 { return 4u + 2u * p.top; }
#endif
