// Of linear_few: loads of weight $w, and products with what lies in xs.
#include weights w=$w type=$type
#if type == q4_1 || type == q5_1 || type == q4_K || type == q5_K
#let offsets 1
#endif

// Quads of a unit: k and, where nibbles have four more, k + 4, for each k < loops.
#let halves 1
#if type == f32
#let loops 1
#elif type == f16 || type == bf16
#let loops 2
#else
#let loops 4
#if type != q8_0
#let halves 2
#endif
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
// With more rows there are so many values that a compiler leaves loops over rows, and keeps the values in memory: rows are written out. The loop over
// quads, whose number the compiler does not learn, stays one: written out as well, a product was too long for a core's cache of instructions.
fn w${w}_dots(b: w${w}_Batch, at: u32, in_piece: u32, before: Sums) -> Sums {
  var sums = before;
  let loops = select(${loops}u, 0u, p.cols == 0);
#for d $deep
  if (at + $d * LANES < units_of_row()) {
    let x = in_piece + $d * LANES;
#for e $each
    var unit$e = b.unit${e}_$d;
#endfor
    for (var k = 0u; k < loops; k++) {
#for h $halves
      {
#for e $each
#if type == f32 || type == f16 || type == bf16
        let quad$e = w${w}_floats(unit$e, 4 * $h);
#elif offsets
        let quad$e = w${w}_floats(unit$e, 4 * $h) * w${w}_scale(unit$e, 4 * $h) + w${w}_offset(unit$e);
#else
        let quad$e = w${w}_floats(unit$e, 4 * $h) * w${w}_scale(unit$e, 4 * $h);
#endif
#endfor
#for r $rows
        let x$r = xs[($r * QUADS + k + 4 * $h) * line() + x];
#for e $each
        sums.of${e}_$r = plus_dot(sums.of${e}_$r, quad$e, x$r);
#endfor
#endfor
      }
#endfor
#for e $each
      unit$e = w${w}_next(unit$e);
#endfor
    }
  }
#endfor
  return sums;
}
#endif
