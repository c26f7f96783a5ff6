// Half `i` of a word of the workgroup's blocks, from heads, parts and quants.
fn half_of(i: u32) -> u32 {
  let half = i % HALVES;
#if superblock
  return (word_of(i / HALVES, half / 2) >> (16 * (half % 2))) & 0xffff;
#else
  let block = i / HALVES;
#if signed
  const AHEAD = 1u; // halves of the head
#else
  const AHEAD = 2u;
#endif
  if (half < AHEAD) { return (heads[block] >> (16 * half)) & 0xffff; }
#if to == q5_0 || to == q5_1
  if (half < AHEAD + 2) { // the fifth bits of 16 elements
    var bits = 0u;
    for (var k = 0u; k < 4 + p.zero; k++) {
      let four = (quants[block * 8 + 4 * (half - AHEAD) + k] >> 4) & 0x01010101;
      bits |= ((four | (four >> 7) | (four >> 14) | (four >> 21)) & 15) << (4 * k);
    }
    return bits;
  }
  let k = half - AHEAD - 2;
#else
  let k = half - AHEAD;
#endif
  let at = block * 8 + k / 2;
  return (both(quants[at], quants[at + 4]) >> (16 * (k % 2))) & 0xffff;
#endif
}

// Nibbles of four elements and of four others.
fn both(low: u32, high: u32) -> u32 { return (low & 0x0f0f0f0f) | ((high & 0x0f0f0f0f) << 4); }

#if to == q6_K
fn word_of(block: u32, i: u32) -> u32 {
  let q = block * 64;
  if (i < 32) { // of 128 elements groups 0 and 1 low, groups 2 and 3 high
    let at = q + i / 16 * 32 + i % 16;
    return both(quants[at], quants[at + 16]);
  }
  if (i < 48) { // two bits of each of four groups
    let at = q + (i - 32) / 8 * 32 + i % 8;
    var word = 0u;
    for (var g = 0u; g < 4 + p.zero; g++) { word |= ((quants[at + 8 * g] >> 4) & 0x03030303) << (2 * g); }
    return word;
  }
  if (i == 52) { return heads[block]; }
  var word = 0u;
  for (var k = 0u; k < 4 + p.zero; k++) { word |= (parts[block * SUBS + 4 * (i - 48) + k].x & 255) << (8 * k); }
  return word;
}
#elif superblock
fn word_of(block: u32, i: u32) -> u32 {
  if (i == 0) { return heads[block]; }
  if (i < 4) { // 6 bits each of scales and minima
    var word = 0u;
    for (var k = 0u; k < 4 + p.zero; k++) {
      let a = parts[block * SUBS + k];
      let b = parts[block * SUBS + 4 + k];
      let upper = select(a.y | ((b.y >> 4) << 6), a.x | ((b.x >> 4) << 6), i == 1);
      word |= select(upper, (b.x & 15) | ((b.y & 15) << 4), i == 3) << (8 * k);
    }
    return word;
  }
  let q = block * 64;
#if to == q5_K
  if (i < 12) { // the fifth bit of each of eight groups
    var word = 0u;
    for (var g = 0u; g < 8 + p.zero; g++) { word |= ((quants[q + 8 * g + i - 4] >> 4) & 0x01010101) << g; }
    return word;
  }
#endif
  let k = i + 32 - HALVES / 2;
  let at = q + k / 8 * 16 + k % 8;
  return both(quants[at], quants[at + 8]);
}
#endif
