// Rows of f16 for the products of linear_many, by those that make them: half[n, stride], stride in quads of elements.
//
//   row ──/ 2^e──> 4 * (stride - 2) elements, a multiple of 64, zeros past the row; then e in a quad of its own, and one more
//
// e is the row's own, so that its greatest element comes to lie in [1, 2): f16 overflows nowhere, and what becomes too small for it
// is 2^-24 of the greatest.
@group(0) @binding(12) var<storage, read_write> half: array<vec4<f16>>;

fn greatest_of(v: vec4<f32>) -> f32 {
  let a = abs(v);
  return max(max(a.x, a.y), max(a.z, a.w));
}

// e of a row, by the bits of its greatest element; infinities and what is not a number stay so.
fn exponent_of(greatest: f32) -> i32 { return clamp(i32((bitcast<u32>(greatest) >> 23) & 255) - 127, -126, 126); }

// 2^-e
fn scale_of(e: i32) -> f32 { return bitcast<f32>(u32(127 - e) << 23); }

fn put_exponent(row: u32, stride: u32, e: i32) { half[(row + 1) * stride - 2] = vec4<f16>(f16(e), 0.0h, 0.0h, 0.0h); }
