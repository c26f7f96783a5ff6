// Logits as whole numbers of the same order: what is no number is 0, -infinity LEAST - 1, and both zeros are equal.
const LEAST = 0x00800000u; // of a logit that can be chosen
const INFINITE = 0xff800000u;

fn key_of(logit: f32) -> u32 {
  let bits = bitcast<u32>(logit);
  let size = bits & 0x7fffffffu;
  if (size > 0x7f800000u) { return 0u; }
  if (size == 0u) { return 0x80000000u; }
  return select(bits | 0x80000000u, ~bits, bits > size);
}

fn logit_of(key: u32) -> f32 {
  return bitcast<f32>(select(~key, key & 0x7fffffffu, key >= 0x80000000u));
}
