// Of linear_few: loads of weight $w, and products with what lies in xs.
#include weights w=$w type=$type
#if type == q4_1 || type == q5_1 || type == q4_K || type == q5_K
#let offsets 1
#endif

// Units of EACH rows: of each one DEEP, LANES apart.
struct w${w}_Batch { units: array<w${w}_Unit, $each * $deep> }

// Rows `row`, row + GROUPS ..., from unit `at` on. What is past the end is loaded again from the last place: it costs nothing, and dots leaves it out.
fn w${w}_load(row: u32, rows: u32, at: u32) -> w${w}_Batch {
  var b: w${w}_Batch;
  let last = units_of_row() - 1;
  for (var e = 0u; e < $each; e++) {
    for (var d = 0u; d < $deep; d++) {
      b.units[e * $deep + d] = w${w}_unit(min(row + e * GROUPS, rows - 1), min(at + d * LANES, last), p.cols);
    }
  }
  return b;
}

// Of each row of the batch the products with ROWS rows of x. Unit `at` of the weight meets unit `in_piece` of xs.
fn w${w}_dots(batch: w${w}_Batch, at: u32, in_piece: u32) -> Sums {
  var b = batch;
  var sums: Sums;
  for (var d = 0u; d < $deep; d++) {
    if (at + d * LANES >= units_of_row()) { break; }
    let x = in_piece + d * LANES;
    // Integers first, then scales. Variables of a loop are emptied here: not every compiler does it.
    var dots = array<vec4<f32>, N_SUMS>();
    var quads = array<vec4<f32>, ROWS>();
#if offsets
    var x_sums = array<vec4<f32>, ROWS>();
#endif
    for (var k = 0u; k < QUADS; k++) {
      for (var r = 0u; r < ROWS; r++) {
        quads[r] = xs[(r * QUADS + k) * piece() + x];
#if offsets
        x_sums[r] += quads[r];
#endif
      }
      for (var e = 0u; e < $each; e++) {
#if type == q6_K
        let w = w${w}_floats(b.units[e * $deep + d], k) * w${w}_scale(b.units[e * $deep + d], k);
#else
        let w = w${w}_floats(b.units[e * $deep + d], k);
#endif
        for (var r = 0u; r < ROWS; r++) { dots[e * ROWS + r] += w * quads[r]; }
      }
    }
    for (var e = 0u; e < $each; e++) {
      for (var r = 0u; r < ROWS; r++) {
        let i = e * ROWS + r;
        let all = dot(dots[i], vec4<f32>(1.0));
#if type == f32 || type == f16 || type == bf16 || type == q6_K
        sums[i] += all;
#elif offsets
        let u = b.units[e * $deep + d];
        sums[i] += w${w}_scale(u, 0) * all + w${w}_offset(u) * dot(x_sums[r], vec4<f32>(1.0));
#else
        sums[i] += w${w}_scale(b.units[e * $deep + d], 0) * all;
#endif
      }
    }
  }
  return sums;
}
