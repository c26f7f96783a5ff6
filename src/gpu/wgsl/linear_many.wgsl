// y[n, out] = act(x[n, in] · wᵀ + bias) + residual: tiles of bm x bn results, of which each invocation sums tm x tn.
//
//   type0            of the weight
//   bm bn tm tn      (bm / tm) * (bn / tn) invocations, each factor a multiple of 8 (f16: 16), the product a divisor of 4 * bm and 4 * bn
//   path=f32|f16     operands are f32, in steps of 16 columns; or f16, in steps of 32, and x was prepared by linear_many_half
//   rolled           1: the loop over quads stays one, for drivers of CPUs, which take long to compile what they unroll
//   bias, act, res   linear_many_rows.wgsl
//
// A step's operands lie in workgroup memory, rows of 64 bytes. Those of the next step are on their way while they are multiplied.
#if path == f16
enable f16;
alias Quad = vec4<f16>;
const QUADS = 8u;
#else
alias Quad = vec4<f32>;
const QUADS = 4u;
#endif
#include linear_many_rows
#include weights w=0 type=$type0
#if path == f16
@group(0) @binding(12) var<storage, read> half: array<Quad>;
#endif

const BM: u32 = $bm;
const BN: u32 = $bn;
const TM: u32 = $tm;
const TN: u32 = $tn;
const ACROSS = BN / TN;
const DOWN = BM / TM;
const THREADS = ACROSS * DOWN;
const X_LOADS = BM * QUADS / THREADS;
const W_LOADS = BN * QUADS / THREADS;
const MOST_LOADS = 4u;

var<workgroup> xs: array<Quad, BM * QUADS>;
var<workgroup> ws: array<Quad, BN * QUADS>;

// Where a quad of a row lies: the quads of neighbouring rows in different banks.
fn place(row: u32, quad: u32) -> u32 { return row * QUADS + (quad ^ ((row >> 1u) & (QUADS - 1u))); }

#if path == f16
fn x_quad(row: u32, quad: u32) -> Quad { return half[row * p.half_stride + quad]; }

// 2^e, by which the row was divided.
fn x_scale(row: u32) -> f32 {
  let e = i32(half[(row + 1u) * p.half_stride - 2u].x);
  return bitcast<f32>(u32(e + 127) << 23u);
}
#else
fn x_at(at: u32, k: u32) -> f32 { return select(0.0, act[at], k < p.in_); }

// Past `in` zeros, whatever lies there.
fn x_quad(row: u32, quad: u32) -> Quad {
  let k = 4u * quad;
  let at = p.x + row * p.x_stride + k;
  return Quad(x_at(at, k), x_at(at + 1u, k + 1u), x_at(at + 2u, k + 2u), x_at(at + 3u, k + 3u));
}
#endif

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) id: u32) {
  let tile = wid.x + wid.y * grid.x;
  let first_row = tile % p.tiles * BM;
  let first_col = tile / p.tiles * BN;
  if (first_col >= p.out) { return; }
#if rolled
  let quads = QUADS * min(p.n, 1); // QUADS, which compilers do not know
#else
  const quads = QUADS;
#endif
  let across = id % ACROSS;
  let down = id / ACROSS;

  // Rows past the end read the last one; what comes of them is not stored.
  // Loops over arrays are written out: some compilers would keep the arrays in memory, and wait for each load.
  var x_next: array<Quad, MOST_LOADS>;
  var w_next: array<Quad, MOST_LOADS>;
  var acc: array<f32, TM * TN>;
  let steps = (p.in_ + 4u * QUADS - 1u) / (4u * QUADS);
  for (var step = 0u; step <= steps; step++) {
    // What was fetched a turn ago is multiplied in this one.
    if (step > 0u) {
      workgroupBarrier();
#for i 4
      if ($i < X_LOADS) {
        let e = id + $i * THREADS;
        xs[place(e / QUADS, e % QUADS)] = x_next[$i];
      }
      if ($i < W_LOADS) {
        let e = id + $i * THREADS;
        ws[place(e / QUADS, e % QUADS)] = w_next[$i];
      }
#endfor
      workgroupBarrier();
    }
    if (step < steps) {
#for i 4
      if ($i < X_LOADS) {
        let e = id + $i * THREADS;
        x_next[$i] = x_quad(min(first_row + e / QUADS, p.n - 1u), step * QUADS + e % QUADS);
      }
      if ($i < W_LOADS) {
        let e = id + $i * THREADS;
        let quad = step * QUADS + e % QUADS;
        w_next[$i] = Quad(w0_quad(min(first_col + e / QUADS, p.out - 1u), quad / 8u, quad % 8u, p.in_));
      }
#endfor
    }
    if (step == 0u) { continue; }
#if path == f16
    // Chains of eight products in f16, then f32. (Without its value, part was not zeroed a second time by lavapipe.)
    var part = array<Quad, TM * TN>();
#endif
    for (var quad = 0u; quad < quads; quad++) {
      let x_at = down * QUADS + (quad ^ ((down >> 1u) & (QUADS - 1u)));
      let w_at = across * QUADS + (quad ^ ((across >> 1u) & (QUADS - 1u)));
#for j $tn
      let w$j = ws[w_at + $j * ACROSS * QUADS];
#endfor
#for i $tm
      let x$i = xs[x_at + $i * DOWN * QUADS];
#for j $tn
#if path == f16
      part[$i * TN + $j] += x$i * w$j;
#else
      acc[$i * TN + $j] += x$i.x * w$j.x;
      acc[$i * TN + $j] += x$i.y * w$j.y;
      acc[$i * TN + $j] += x$i.z * w$j.z;
      acc[$i * TN + $j] += x$i.w * w$j.w;
#endif
#endfor
#endfor
    }
#if path == f16
    for (var i = 0u; i < TM * TN; i++) {
      let two = part[i].xy + part[i].zw;
      acc[i] += f32(two.x) + f32(two.y);
    }
#endif
  }

#for i $tm
  {
    let row = first_row + down + $i * DOWN;
#if path == f16
    let scale = x_scale(min(row, p.n - 1u));
#else
    let scale = 1.0;
#endif
    let col = first_col + across;
#for j $tn
    let y$j = result(row, col + $j * ACROSS, acc[$i * TN + $j] * scale);
#endfor
#for j $tn
    store(row, col + $j * ACROSS, y$j);
#endfor
  }
#endfor
}
