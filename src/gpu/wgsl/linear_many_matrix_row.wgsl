// Row $i of a subgroup's matrices, for linear_many_matrix: its variables (part=open), products (part=sum) and way out (part=close).
#if part == open
  var sum${i}0: Sum;
  var sum${i}1: Sum;
#if fn == 4
  var sum${i}2: Sum;
  var sum${i}3: Sum;
#endif
#elif part == sum
      let a${i} = subgroupMatrixLoad<Left, row_major>(&tile, x_at + 16 * $i * STRIDE + k, STRIDE);
      sum${i}0 = subgroupMatrixMultiplyAccumulate(a${i}, b0, sum${i}0);
      sum${i}1 = subgroupMatrixMultiplyAccumulate(a${i}, b1, sum${i}1);
#if fn == 4
      sum${i}2 = subgroupMatrixMultiplyAccumulate(a${i}, b2, sum${i}2);
      sum${i}3 = subgroupMatrixMultiplyAccumulate(a${i}, b3, sum${i}3);
#endif
#else
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&tile, subgroup * 16 * OUT_STRIDE, sum${i}0, OUT_STRIDE);
  subgroupMatrixStore<row_major>(&tile, subgroup * 16 * OUT_STRIDE + 4, sum${i}1, OUT_STRIDE);
#if fn == 4
  subgroupMatrixStore<row_major>(&tile, subgroup * 16 * OUT_STRIDE + 8, sum${i}2, OUT_STRIDE);
  subgroupMatrixStore<row_major>(&tile, subgroup * 16 * OUT_STRIDE + 12, sum${i}3, OUT_STRIDE);
#endif
  workgroupBarrier();
  for (var e = id; e < SUBGROUPS * 256 * FN; e += THREADS) {
    let owner = e / (256 * FN);
    let r = e / (16 * FN) % 16;
    let c = e % (16 * FN);
    let row = first_row + (owner / ACROSS * FM + $i) * 16 + r;
    let col = first_col + owner % ACROSS * (16 * FN) + c;
    if (row < p.n && col < p.out) {
      finish(row, col, bitcast<f32>(tile[(owner * 16 + r) * OUT_STRIDE + c / 4][c % 4]) * x_scale(row));
    }
  }
#endif
