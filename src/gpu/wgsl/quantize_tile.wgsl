// The source of a workgroup: 64 / $wide runs of 32 elements of $from, from element `first` on, as bits of f32 in `tile`. All $threads invocations
// call; who reads the tile waits at a barrier before. Elements from p.n on are 0. A value of LIMIT or more sets the status.
//
// A run has 33 words, so that neighbours who read each their own run do so from different banks of memory.
const RUN = 33u;
const TILE = 2048u / ${wide}u; // elements
#if from == f32
const IN_UNIT = 4u; // elements of 16 bytes
#else
const IN_UNIT = 8u;
#endif

fn read_tile(first: u32, thread: u32) {
  var strange = false;
  for (var at = thread * IN_UNIT; at < TILE; at += ${threads}u * IN_UNIT) {
    var unit = vec4<u32>();
    if (first + at < p.n) { unit = source[(first + at) / IN_UNIT]; }
    let to = at / 32u * RUN + at % 32u;
#for i 4
#if from == f32
    let b$i = unit[$i];
    put(to + $i, b$i);
    strange |= (b$i & SIZE) >= LIMIT;
#else
#if from == f16
    let low$i = from_half(unit[$i] & 0xffffu);
    let high$i = from_half(unit[$i] >> 16);
#else
    let low$i = unit[$i] << 16;
    let high$i = unit[$i] & 0xffff0000u;
#endif
    put(to + 2 * $i, low$i);
    put(to + 2 * $i + 1, high$i);
    strange |= max(low$i & SIZE, high$i & SIZE) >= LIMIT;
#endif
#endfor
  }
  if (strange) { atomicOr(&status[0], 1u); }
}
