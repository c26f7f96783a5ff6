// Of linear_few: a workgroup's rows of product $w.
fn product$w(workgroup: u32, thread: u32, stores_sum: bool) {
  let group = thread / LANES;
  let lane = thread % LANES;
  let first = workgroup * (GROUPS * $each);
  let row = first + group;
  let units = w${w}_units(p.cols);
  var next = w${w}_load(row, p.out$w, lane);
#if geglu
  var next1 = w1_load(row, p.out$w, lane);
  var sums1: Sums;
#endif
  var sums: Sums;

  prepare(thread, stores_sum);
  for (var at = 0u; at < units; at += LANES * $deep) {
    let now = next;
#if geglu
    let now1 = next1;
#endif
    if (at + LANES * $deep < units) {
      next = w${w}_load(row, p.out$w, at + LANES * $deep + lane);
#if geglu
      next1 = w1_load(row, p.out$w, at + LANES * $deep + lane);
#endif
    }
#if whole
    let in_piece = at + lane;
#else
    let in_piece = at % p.piece + lane;
    if (at % p.piece == 0) { stage(at, thread); }
#endif
    var more = w${w}_dots(now, at + lane, in_piece);
    for (var i = 0u; i < N_SUMS; i++) { sums[i] += more[i]; }
#if geglu
    var more1 = w1_dots(now1, at + lane, in_piece);
    for (var i = 0u; i < N_SUMS; i++) { sums1[i] += more1[i]; }
#endif
  }

  put_parts(sums, 0, thread);
#if geglu
  put_parts(sums1, N_SUMS, thread);
#endif
  workgroupBarrier();
  for (var i = thread; i < GROUPS * N_SUMS; i += THREADS) {
    let sum = i / GROUPS;
    let r = sum % ROWS;
    let out_row = first + sum / ROWS * GROUPS + i % GROUPS;
    if (out_row < p.out$w) {
      let scale = factor(r);
      let value = scale * total(sum, i % GROUPS);
#if geglu
      let up = scale * total(N_SUMS + sum, i % GROUPS);
      act[p.y0 + r * p.y0_stride + out_row] = gelu_tanh(value) * up;
#else
      finish(value, r, out_row, p.y$w, p.y${w}_stride, p.bias$w);
#endif
    }
  }
}
