// Of linear_few: loads of weight $w, and products with what lies in xs.
#include weights w=$w type=$type
#if type == q4_1 || type == q5_1 || type == q4_K || type == q5_K
#let offsets 1
#endif

#if type == f32
#let quads 1
#elif type == f16 || type == bf16
#let quads 2
#elif type == q8_0
#let quads 4
#else
#let quads 8
#endif

// Units of EACH rows: of each one DEEP, LANES apart.
#if rows == 1
struct w${w}_Batch { units: array<w${w}_Unit, $each * $deep> }
#else
struct w${w}_Batch {
#for e $each
#for d $deep
  unit${e}_$d: w${w}_Unit,
#endfor
#endfor
}
#endif

// Rows `row`, row + GROUPS ..., from unit `at` on. What is past the end is loaded again from the last place: it costs nothing, and dots leaves it out.
fn w${w}_load(row: u32, rows: u32, at: u32) -> w${w}_Batch {
  var b: w${w}_Batch;
  let last = units_of_row() - 1;
#if rows == 1
  for (var e = 0u; e < $each; e++) {
    for (var d = 0u; d < $deep; d++) {
      b.units[e * $deep + d] = w${w}_unit(min(row + e * GROUPS, rows - 1), min(at + d * LANES, last), p.cols);
    }
  }
#else
#for e $each
#for d $deep
  b.unit${e}_$d = w${w}_unit(min(row + $e * GROUPS, rows - 1), min(at + $d * LANES, last), p.cols);
#endfor
#endfor
#endif
  return b;
}

// Of each row of the batch the products with ROWS rows of x, added to `before`. Unit `at` of the weight meets unit `in_piece` of xs.
#if rows == 1
fn w${w}_dots(batch: w${w}_Batch, at: u32, in_piece: u32, before: Sums) -> Sums {
  var b = batch;
  var sums = before;
  for (var d = 0u; d < $deep; d++) {
    if (at + d * LANES >= units_of_row()) { break; }
    let x = in_piece + d * LANES;
    // Integers first, then scales. Variables of a loop are emptied here: not every compiler does it.
    var dots = array<vec4<f32>, $each>();
#if offsets
    var x_sum = vec4<f32>();
#endif
    for (var k = 0u; k < QUADS; k++) {
      let quad = xs[k * line() + x];
#if offsets
      x_sum += quad;
#endif
      for (var e = 0u; e < $each; e++) {
#if type == q6_K
        let w = w${w}_floats(b.units[e * $deep + d], k) * w${w}_scale(b.units[e * $deep + d], k);
#else
        let w = w${w}_floats(b.units[e * $deep + d], k);
#endif
        dots[e] += w * quad;
      }
    }
#for e $each
    {
      let all = dot(dots[$e], vec4<f32>(1.0));
#if type == f32 || type == f16 || type == bf16 || type == q6_K
      sums.of${e}_0 += all;
#elif offsets
      let u = b.units[$e * $deep + d];
      sums.of${e}_0 += w${w}_scale(u, 0) * all + w${w}_offset(u) * dot(x_sum, vec4<f32>(1.0));
#else
      sums.of${e}_0 += w${w}_scale(b.units[$e * $deep + d], 0) * all;
#endif
    }
#endfor
  }
  return sums;
}
#else
// Written out: with more rows there are so many values that a compiler leaves loops over them, and keeps the values in memory.
fn w${w}_dots(b: w${w}_Batch, at: u32, in_piece: u32, before: Sums) -> Sums {
  var sums = before;
#for d $deep
  if (at + $d * LANES < units_of_row()) {
    let x = in_piece + $d * LANES;
#for k $quads
    {
#for e $each
#if type == f32 || type == f16 || type == bf16
      let quad$e = w${w}_floats(b.unit${e}_$d, $k);
#elif offsets
      let quad$e = w${w}_floats(b.unit${e}_$d, $k) * w${w}_scale(b.unit${e}_$d, $k) + w${w}_offset(b.unit${e}_$d);
#else
      let quad$e = w${w}_floats(b.unit${e}_$d, $k) * w${w}_scale(b.unit${e}_$d, $k);
#endif
#endfor
#for r $rows
      let x$r = xs[($r * QUADS + $k) * line() + x];
#for e $each
      sums.of${e}_$r = plus_dot(sums.of${e}_$r, quad$e, x$r);
#endfor
#endfor
    }
#endfor
  }
#endfor
  return sums;
}
#endif
