// Of linear_few: a workgroup's rows of product $w, p.tiles times GROUPS * EACH of them.
fn product$w(workgroup: u32, thread: u32, stores_sum: bool) {
  const TILE = GROUPS * $each;
  const BATCH = LANES * $deep;
  let group = thread / LANES;
  let lane = thread % LANES;
  let first = workgroup * p.tiles * TILE;
  let end = min(first + p.tiles * TILE, p.out$w);
  var next = w${w}_load(first + group, p.out$w, lane);
#if geglu
  var next1 = w1_load(first + group, p.out$w, lane);
#endif

  prepare(thread, stores_sum);
  for (var tile = first; tile < end; tile += TILE) {
    var sums = Sums();
#if geglu
    var sums1 = Sums();
#endif
    for (var at = 0u; at < units_of_row(); at += BATCH) {
      let now = next;
#if geglu
      let now1 = next1;
#endif
      let last = at + BATCH >= units_of_row();
      if (!last || tile + TILE < end) {
        let row = tile + group + select(0u, TILE, last);
        let unit = lane + select(at + BATCH, 0u, last);
        next = w${w}_load(row, p.out$w, unit);
#if geglu
        next1 = w1_load(row, p.out$w, unit);
#endif
      }
#if whole
      let in_piece = at + lane;
#else
      let in_piece = at % p.piece + lane;
      if (at % p.piece == 0) { stage(at, thread); }
#endif
      sums = w${w}_dots(now, at + lane, in_piece, sums);
#if geglu
      sums1 = w1_dots(now1, at + lane, in_piece, sums1);
#endif
    }

    put_parts(sums, 0, thread);
#if geglu
    put_parts(sums1, N_SUMS, thread);
#endif
    fold(thread);
    workgroupBarrier();
    for (var i = thread; i < GROUPS * N_SUMS; i += THREADS) {
      let sum = i / GROUPS;
      let r = sum % ROWS;
      let row = tile + sum / ROWS * GROUPS + i % GROUPS;
      if (row < p.out$w) {
        let scale = factor(r);
        let value = scale * total(sum, i % GROUPS);
#if geglu
        let up = scale * total(N_SUMS + sum, i % GROUPS);
        act[p.y0 + r * p.y0_stride + row] = gelu_tanh(value) * up;
#else
        finish(value, r, row, p.y$w, p.y${w}_stride, p.bias$w);
#endif
      }
    }
    if (tile + TILE < end) { workgroupBarrier(); }
  }
}
