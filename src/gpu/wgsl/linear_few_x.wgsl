// Of linear_few: rows of x, summed and normalized, in xs.
//
// A thread takes quads thread, thread + THREADS ... of each row. Sums over a row go in two steps: SHARES threads add up some threads' parts each, and
// who needs the sum adds up the shares. The weights are still on their way then.
// Rows are written out, so that what is read of all of them is asked for together.
const SHARES = 16u;
#for r $rows
var<private> stats$r: vec2<f32>; // of a layer norm: mean, 1 / deviation
#endfor
#if norm == layer
#if sg
const SUMS = THREADS / $sg + 1;
var<private> sg_size: u32;
var<private> sg_lane: u32;
#else
const SUMS = SHARES;
var<workgroup> row_parts: array<f32, ROWS * THREADS>;
#endif
var<workgroup> row_sums: array<f32, 2 * ROWS * SUMS>;
#elif norm == rms
var<workgroup> row_parts: array<f32, ROWS * THREADS>;
var<workgroup> row_shares: array<f32, ROWS * SHARES>;
#endif
#if add == 2
var<workgroup> add_parts: array<f32, ROWS * THREADS>;
var<workgroup> add_shares: array<f32, ROWS * SHARES>;
var<private> add_scales: array<f32, ROWS>;
#endif

// Columns col ... col + 3 of a row, 0 past its end; without a branch, so that reads of several rows are asked for together.
fn act_quad(first: u32, col: u32) -> vec4<f32> {
  let at = vec4<u32>(first) + min(vec4<u32>(col) + vec4<u32>(0, 1, 2, 3), vec4<u32>(p.cols - 1));
  return select(vec4<f32>(), vec4<f32>(act[at.x], act[at.y], act[at.z], act[at.w]), inside(col));
}

fn inside(col: u32) -> vec4<bool> { return vec4<u32>(col) + vec4<u32>(0, 1, 2, 3) < vec4<u32>(p.cols); }

#if norm || add == 2
fn vec_quad(first: u32, col: u32) -> vec4<f32> {
  let at = vec4<u32>(first) + min(vec4<u32>(col) + vec4<u32>(0, 1, 2, 3), vec4<u32>(p.cols - 1));
  return select(vec4<f32>(), vec4<f32>(vec[at.x], vec[at.y], vec[at.z], vec[at.w]), inside(col));
}
#endif

#if heads
const MOST_JOINED = 32u; // rows times stretches
var<workgroup> joints: array<vec2<f32>, $heads * MOST_JOINED>; // by row, head and stretch: largest score and sum; then a stretch's share

fn find_shares(thread: u32) {
  for (var i = thread; i < ROWS * $heads * p.stretches; i += THREADS) {
    let at = p.stats + 2 * i;
    let four = scratch[at / 4];
    joints[i] = select(four.xy, four.zw, at % 4 == 2);
  }
  workgroupBarrier();
  for (var i = thread * p.stretches; i < ROWS * $heads * p.stretches; i += THREADS * p.stretches) {
    var most = -3e38;
    for (var s = 0u; s < p.stretches; s++) { most = max(most, joints[i + s].x); }
    var sum = 0.0;
    for (var s = 0u; s < p.stretches; s++) { sum += exp(joints[i + s].x - most) * joints[i + s].y; }
    for (var s = 0u; s < p.stretches; s++) { joints[i + s].x = exp(joints[i + s].x - most) / sum; }
  }
  workgroupBarrier();
}

// Of row r. A few stretches are asked for together.
fn summed(r: u32, col: u32) -> vec4<f32> {
  var v = vec4<f32>();
  if (col >= p.cols) { return v; }
  let first = (r * $heads + col / p.dim) * p.stretches;
  let at = (first * p.dim + col % p.dim) / 4;
  let last = p.stretches - 1;
  for (var s = 0u; s < p.stretches; s += 4) {
#for k 4
    let part$k = scratch[at + min(s + $k, last) * (p.dim / 4)];
#endfor
#for k 4
    v += select(0.0, joints[first + min(s + $k, last)].x, s + $k <= last) * part$k;
#endfor
  }
  return v;
}
#else
// Of row r, before the norm.
fn summed(r: u32, col: u32) -> vec4<f32> {
  let x = act_quad(p.x + r * p.x_stride, col);
#if add == 1
  return x + act_quad(p.add + r * p.add_stride, col);
#elif add == 2
  return x + act_quad(p.add + r * p.add_stride, col) * add_scales[r] * vec_quad(p.add_gain, col);
#else
  return x;
#endif
}
#endif

#if add
fn store_sum(r: u32, col: u32, v: vec4<f32>) {
  for (var j = 0u; j < 4 && col + j < p.cols; j++) { act[p.sum + r * p.sum_stride + col + j] = v[j]; }
}
#endif

// Where quad `quad` of the piece in xs is.
fn place(r: u32, quad: u32) -> u32 { return (r * QUADS + quad % QUADS) * line() + quad / QUADS; }

// What products are made of: of RMS norms without the factor of the row. stats: of the row, for a layer norm.
fn prepared(stats: vec2<f32>, n: Norm, v: vec4<f32>) -> vec4<f32> {
#if norm == rms
  return v * n.gain;
#elif norm == layer
  // Past the end of a row gain and bias are 0.
  return (v - stats.x) * stats.y * n.gain + n.bias;
#else
  return v;
#endif
}

// What a norm has for four columns of every row.
struct Norm {
  gain: vec4<f32>,
  bias: vec4<f32>,
}

fn norm_of(col: u32) -> Norm {
  var n = Norm();
#if norm
  n.gain = vec_quad(p.gain, col);
#endif
#if norm == layer
  n.bias = vec_quad(p.norm_bias, col);
#endif
  return n;
}

#if norm == layer
struct Rows {
#for r $rows
  of$r: f32,
#endfor
}

// Sums over the threads, of each row, for all of them. `turn`: 0 and 1 in turns, so that nobody still reads what another writes.
fn totals(own: Rows, thread: u32, turn: u32) -> Rows {
  let first = turn * ROWS * SUMS;
#if sg
  let n = (THREADS + sg_size - 1) / sg_size;
#for r $rows
  let sum$r = subgroupAdd(own.of$r);
  if (sg_lane == 0) { row_sums[first + $r * SUMS + thread / sg_size] = sum$r; }
#endfor
#else
  let n = SHARES;
#for r $rows
  row_parts[$r * THREADS + thread] = own.of$r;
#endfor
  workgroupBarrier();
  for (var i = thread; i < ROWS * SHARES; i += THREADS) {
    var share = 0.0;
    for (var k = i % SHARES; k < THREADS; k += SHARES) { share += row_parts[i / SHARES * THREADS + k]; }
    row_sums[first + i] = share;
  }
#endif
  workgroupBarrier();
  var all = Rows();
  for (var i = 0u; i < n; i++) {
#for r $rows
    all.of$r += row_sums[first + $r * SUMS + i];
#endfor
  }
  return all;
}
#endif

#if whole
fn quads_of_row() -> u32 { return units_of_row() * QUADS; }
#else
fn quads_of_row() -> u32 { return (p.cols + 3) / 4; }
#endif

// Statistics of the rows; and all of x in xs, where it fits.
fn prepare(thread: u32, stores_sum: bool) {
  let quads = quads_of_row();
  let inverse_cols = 1.0 / f32(p.cols);
#if heads
  find_shares(thread);
#endif
#if add == 2
  for (var r = 0u; r < ROWS; r++) {
    var part = 0.0;
    for (var q = thread; q < quads; q += THREADS) { 
      let v = act_quad(p.add + r * p.add_stride, 4 * q);
      part += dot(v, v);
    }
    add_parts[r * THREADS + thread] = part;
  }
  workgroupBarrier();
  for (var i = thread; i < ROWS * SHARES; i += THREADS) {
    var share = 0.0;
    for (var k = i % SHARES; k < THREADS; k += SHARES) { share += add_parts[i / SHARES * THREADS + k]; }
    add_shares[i] = share;
  }
  workgroupBarrier();
  for (var r = 0u; r < ROWS; r++) {
    var all = 0.0;
    for (var i = 0u; i < SHARES; i++) { all += add_shares[r * SHARES + i]; }
    add_scales[r] = inverseSqrt(all * inverse_cols + p.eps);
  }
#endif

#if norm == rms
#for r $rows
  var part$r = 0.0;
#endfor
  for (var q = thread; q < quads; q += THREADS) {
#for r $rows
    let v$r = summed($r, 4 * q);
#endfor
    let n = norm_of(4 * q);
#for r $rows
#if add
    if (stores_sum) { store_sum($r, 4 * q, v$r); }
#endif
    part$r += dot(v$r, v$r);
#if whole
    xs[place($r, q)] = prepared(stats$r, n, v$r);
#endif
#endfor
  }
#for r $rows
  row_parts[$r * THREADS + thread] = part$r;
#endfor
  workgroupBarrier();
  for (var i = thread; i < ROWS * SHARES; i += THREADS) {
    var share = 0.0;
    for (var k = i % SHARES; k < THREADS; k += SHARES) { share += row_parts[i / SHARES * THREADS + k]; }
    row_shares[i] = share;
  }
#elif norm == layer
  var sums = Rows();
  for (var q = thread; q < quads; q += THREADS) {
#for r $rows
    let v$r = summed($r, 4 * q);
#endfor
#for r $rows
#if add
    if (stores_sum) { store_sum($r, 4 * q, v$r); }
#endif
#if whole
    xs[place($r, q)] = v$r;
#endif
    sums.of$r += dot(v$r, vec4<f32>(1.0));
#endfor
  }
  sums = totals(sums, thread, 0);
  // Squares are about the mean: no cancellation.
  var squares = Rows();
  for (var q = thread; q < quads; q += THREADS) {
    let own = inside(4 * q);
#for r $rows
#if whole
    let v$r = xs[place($r, q)];
#else
    let v$r = summed($r, 4 * q);
#endif
    let d$r = select(vec4<f32>(), v$r - sums.of$r * inverse_cols, own);
    squares.of$r += dot(d$r, d$r);
#endfor
  }
  squares = totals(squares, thread, 1);
#for r $rows
  stats$r = vec2<f32>(sums.of$r * inverse_cols, inverseSqrt(squares.of$r * inverse_cols + p.eps));
#endfor
#if whole
  for (var q = thread; q < quads; q += THREADS) {
    let n = norm_of(4 * q);
#for r $rows
    xs[place($r, q)] = prepared(stats$r, n, xs[place($r, q)]);
#endfor
  }
  workgroupBarrier();
#endif
#elif whole
  for (var q = thread; q < quads; q += THREADS) {
#for r $rows
    let v$r = summed($r, 4 * q);
#endfor
#for r $rows
    xs[place($r, q)] = v$r;
#endfor
  }
  workgroupBarrier();
#endif
}

#if whole != 1
// The piece of x that begins at unit `at`.
fn stage(at: u32, thread: u32) {
  workgroupBarrier();
  for (var q = thread; q < p.piece * QUADS; q += THREADS) {
    let col = 4 * (at * QUADS + q);
    let n = norm_of(col);
#for r $rows
    let v$r = select(vec4<f32>(), prepared(stats$r, n, summed($r, col)), col < p.cols);
#endfor
#for r $rows
    xs[place($r, q)] = v$r;
#endfor
  }
  workgroupBarrier();
}
#endif

// What a row's results are multiplied by; after a barrier.
fn factor(r: u32) -> f32 {
#if norm == rms
  var all = 0.0;
  for (var i = 0u; i < SHARES; i++) { all += row_shares[r * SHARES + i]; }
  return inverseSqrt(all / f32(p.cols) + p.eps);
#else
  return 1.0;
#endif
}
