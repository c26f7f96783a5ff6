// Of linear_few: loads of weight $w, and products with what lies in xs.
#include weights w=$w type=$type

// Units of EACH rows: of each one DEEP, LANES apart.
struct w${w}_Batch { units: array<w${w}_Unit, $each * $deep> }

// Rows `row`, row + GROUPS ..., from unit `at` on. What is past the end is loaded again from the last place: it costs nothing, and dots leaves it out.
fn w${w}_load(row: u32, rows: u32, at: u32) -> w${w}_Batch {
  var b: w${w}_Batch;
  let last = w${w}_units(p.cols) - 1;
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
  let units = w${w}_units(p.cols);
  for (var d = 0u; d < $deep; d++) {
    if (at + d * LANES >= units) { break; }
    let x = in_piece + d * LANES;
#if type == f32 || type == f16 || type == bf16
    for (var k = 0u; k < w${w}_quads; k++) {
      for (var r = 0u; r < $rows; r++) {
        let quad = xs[(r * w${w}_quads + k) * p.piece + x];
        for (var e = 0u; e < $each; e++) {
          sums[e * $rows + r] += dot(w${w}_floats(b.units[e * $deep + d], k), quad);
        }
      }
    }
#else
    // Integers first, then scales: of 32 elements, or of 16.
    var dots = array<vec4<f32>, $each * $rows>();
#if type == q4_1 || type == q5_1 || type == q4_K || type == q5_K
    var x_sums = array<vec4<f32>, $rows>();
#endif
    for (var k = 0u; k < w${w}_quads; k++) {
      for (var r = 0u; r < $rows; r++) {
        let quad = xs[(r * w${w}_quads + k) * p.piece + x];
#if type == q4_1 || type == q5_1 || type == q4_K || type == q5_K
        x_sums[r] += quad;
#endif
        for (var e = 0u; e < $each; e++) {
#if type == q6_K
          let scaled = w${w}_floats(b.units[e * $deep + d], k) * w${w}_scale(b.units[e * $deep + d], k);
          dots[e * $rows + r] += scaled * quad;
#else
          dots[e * $rows + r] += w${w}_floats(b.units[e * $deep + d], k) * quad;
#endif
        }
      }
    }
    for (var e = 0u; e < $each; e++) {
      for (var r = 0u; r < $rows; r++) {
        let i = e * $rows + r;
#if type == q6_K
        sums[i] += dot(dots[i], vec4<f32>(1.0));
#elif type == q4_1 || type == q5_1 || type == q4_K || type == q5_K
        sums[i] += w${w}_scale(b.units[e * $deep + d], 0) * dot(dots[i], vec4<f32>(1.0)) +
            w${w}_offset(b.units[e * $deep + d]) * dot(x_sums[r], vec4<f32>(1.0));
#else
        sums[i] += w${w}_scale(b.units[e * $deep + d], 0) * dot(dots[i], vec4<f32>(1.0));
#endif
      }
    }
#endif
  }
  return sums;
}
