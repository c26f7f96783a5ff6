// Numbers as bits of f32, by integer arithmetic: the same on every GPU, whatever it does with division, halves and subnormal numbers.
const SIGN = 0x80000000u;
const SIZE = 0x7fffffffu; // what is not the sign: ordered as the magnitudes are
const INFINITE = 0x7f800000u;
// The least magnitude that cannot be: there is no f16 for it, or it is no number.
#if to == bf16
const LIMIT = INFINITE;
#else
const LIMIT = 0x477ff000u; // 65520
#endif

// x, rounded to what an f32 can hold: as p.zero is 0, which compilers cannot know, no product is fused with a sum, and no sums are reordered.
fn rounded(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) ^ p.zero); }

// f32 of an f16.
fn from_half(h: u32) -> u32 {
  let sign = (h & 0x8000u) << 16;
  let size = h & 0x7fffu;
  if (size >= 0x7c00u) { return sign | INFINITE | ((size & 0x3ffu) << 13); }
  if (size < 0x400u) { return sign | bitcast<u32>(f32(size) * 0x1p-24f); }
  return sign | ((size << 13) + (112u << 23));
}

// f16 of an f32, to nearest even.
fn to_half(b: u32) -> u32 {
  let sign = (b >> 16) & 0x8000u;
  let size = b & SIZE;
  if (size > INFINITE) { return sign | 0x7e00u | ((size >> 13) & 0x1ffu); }
  if (size >= 0x477ff000u) { return sign | 0x7c00u; } // 65520 and more
  if (size < 0x33000001u) { return sign; }            // 2^-25 and less
  let exponent = size >> 23;
  let normal = exponent > 112u;
  let drop = select(126u - exponent, 13u, normal);
  let mantissa = (size & 0x7fffffu) | select(0x800000u, 0u, normal);
  let kept = (mantissa >> drop) + select(0u, (exponent - 112u) << 10, normal);
  let rest = mantissa & ((1u << drop) - 1u);
  let middle = 1u << (drop - 1u);
  return sign | (kept + select(0u, 1u, rest > middle || (rest == middle && (kept & 1u) == 1u)));
}

// bf16 of an f32, to nearest even; every NaN stays one.
fn to_bfloat(b: u32) -> u32 {
  if ((b & SIZE) > INFINITE) { return (b >> 16) | 0x40u; }
  return (b + 0x7fffu + ((b >> 16) & 1u)) >> 16;
}

// a / b * 2^-up, to nearest even, of magnitudes: a is 0 or a normal number, b is positive.
fn quotient(a: u32, b: u32, up: i32) -> u32 {
  if (a == 0u) { return 0u; }
  var divisor = b & 0x7fffffu;
  var exponent = i32(a >> 23) + 127 - up;
  if (b >= 0x800000u) {
    divisor |= 0x800000u;
    exponent -= i32(b >> 23);
  } else { // subnormal
    let shift = countLeadingZeros(divisor) - 8u;
    divisor <<= shift;
    exponent += i32(shift) - 1;
  }
  var rest = (a & 0x7fffffu) | 0x800000u;
  if (rest < divisor) {
    rest <<= 1u;
    exponent--;
  }
  var q = 0u; // 24 bits and one more
  for (var i = 0u; i < 25u + p.zero; i++) {
    q <<= 1u;
    if (rest >= divisor) {
      rest -= divisor;
      q |= 1u;
    }
    rest <<= 1u;
  }
  let drop = u32(max(1, 2 - exponent)); // subnormal results have fewer bits
  if (drop > 25u) { return 0u; }
  let kept = q >> drop;
  let dropped = q & ((1u << drop) - 1u);
  let middle = 1u << (drop - 1u);
  let more = dropped > middle || (dropped == middle && (rest != 0u || (kept & 1u) == 1u));
  let bits = kept + select(0u, 1u, more) + (u32(max(exponent, 1) - 1) << 23);
  return min(bits, INFINITE);
}

// Numbers so small that what is computed from them may be subnormal are first made 2^UP as large.
const UP = 100;
const SMALL = 37u << 23; // 2^-90

fn lifted(b: u32) -> u32 {
  if ((b & SIZE) >= 1u << 23) { return b + (u32(UP) << 23); }
  return (b & SIGN) | bitcast<u32>(f32(b & SIZE) * 0x1p-49f); // subnormal: in units of 2^-149
}

