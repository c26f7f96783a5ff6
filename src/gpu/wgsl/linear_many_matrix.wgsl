// y[n, out] = act(x[n, in] · wᵀ + bias) + residual by subgroup matrices: f16 16 x 16 x 16, sums in f32. x was prepared by linear_many_half.
//
//   type0            of the weight; not f32
//   bm bn fm fn      a workgroup makes bm x bn results; each of its subgroups fm x fn matrices of them, fm and fn 2 or 4
//   step             columns at a time, 32 or 64
//   subgroup         its size, which must not vary
//   bias, act, res   linear_many_rows.wgsl
//
// Workgroup memory has the operands of a step as rows of f16 with 16 bytes of padding, which keeps their rows in different banks; at the end
// results pass through it. Operands of the next step are on their way, still quantized, while these are multiplied.
enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
#include linear_many_rows
#include weights w=0 type=$type0
@group(0) @binding(12) var<storage, read> half: array<vec4<u32>>;

alias Left = subgroup_matrix_left<f16, 16, 16>;
alias Right = subgroup_matrix_right<f16, 16, 16>;
alias Sum = subgroup_matrix_result<f32, 16, 16>;

const BM: u32 = $bm;
const BN: u32 = $bn;
const FM: u32 = $fm;
const FN: u32 = $fn;
const STEP: u32 = $step;
const SUBGROUP: u32 = $subgroup;
const ACROSS = BN / (16 * FN);
const SUBGROUPS = BM / (16 * FM) * ACROSS;
const THREADS = SUBGROUPS * SUBGROUP;

// All in units of 16 bytes: of a row of operands, of a row of results of one subgroup.
const ROW = STEP / 8;
const STRIDE = ROW + 1;
const OUT_STRIDE = 4 * FN + 1;
const X_LOADS = (BM * ROW + THREADS - 1) / THREADS;
const UNITS = STEP / (4 * w0_quads);
const W_LOADS = (BN * UNITS + THREADS - 1) / THREADS;
const MOST_LOADS = 8;
const_assert X_LOADS <= MOST_LOADS && W_LOADS <= MOST_LOADS;

var<workgroup> tile: array<vec4<u32>, max((BM + BN) * STRIDE, SUBGROUPS * 16 * OUT_STRIDE)>;
var<workgroup> scales: array<f32, BM>;

// Eight elements of a unit of the weight, from quad k on.
fn eight(u: w0_Unit, k: u32) -> vec4<u32> {
#if type0 == f16
  return u.quants;
#elif type0 == bf16
  let a = clamp(w0_floats(u, k), vec4<f32>(-65504.0), vec4<f32>(65504.0));
  let b = clamp(w0_floats(u, k + 1), vec4<f32>(-65504.0), vec4<f32>(65504.0));
  return vec4<u32>(pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw));
#else
  let a = w0_floats(u, k) * w0_scale(u, k) + w0_offset(u);
  let b = w0_floats(u, k + 1) * w0_scale(u, k + 1) + w0_offset(u);
  return vec4<u32>(pack2x16float(a.xy), pack2x16float(a.zw), pack2x16float(b.xy), pack2x16float(b.zw));
#endif
}

// 2^e, by which a row of x was divided.
fn x_scale(row: u32) -> f32 {
  let e = i32(unpack2x16float(half[(row + 1) * (p.half_stride / 2) - 1].x).x);
  return bitcast<f32>(u32(e + 127) << 23);
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) id: u32,
        @builtin(subgroup_id) subgroup: u32) {
  let place = wid.x + wid.y * grid.x;
  let first_row = place % p.tiles * BM;
  let first_col = place / p.tiles * BN;
  if (first_col >= p.out) { return; }
  let x_at = subgroup / ACROSS * (16 * FM) * STRIDE;
  let w_at = (BM + subgroup % ACROSS * (16 * FN)) * STRIDE;
  let units = w0_units(p.in_);

  for (var i = id; i < BM; i += THREADS) { scales[i] = x_scale(min(first_row + i, p.n - 1)); }
#for i $fm
#for j $fn
  var sum${i}_$j: Sum;
#endfor
#endfor
  // Loops over arrays are written out: some compilers would keep the arrays in memory, and wait for each load.
  var x_next: array<vec4<u32>, MOST_LOADS>;
  var w_next: array<w0_Unit, MOST_LOADS>;
  let steps = (p.in_ + STEP - 1) / STEP;
  for (var step = 0u; step <= steps; step++) {
    // What was fetched a turn ago is multiplied in this one. Rows past the end are the last one; what comes of them is not stored.
    if (step > 0) {
      workgroupBarrier();
#for i 8
      if ($i < X_LOADS) {
        let e = id + $i * THREADS;
        if (e < BM * ROW) { tile[e / ROW * STRIDE + e % ROW] = x_next[$i]; }
      }
      if ($i < W_LOADS) {
        let e = id + $i * THREADS;
        if (e < BN * UNITS) {
          let at = (BM + e / UNITS) * STRIDE + e % UNITS * (w0_quads / 2);
#for k 4
          if ($k < w0_quads / 2) { tile[at + $k] = eight(w_next[$i], 2 * $k); }
#endfor
        }
      }
#endfor
      workgroupBarrier();
    }
    if (step < steps) {
#for i 8
      if ($i < X_LOADS) {
        let e = id + $i * THREADS;
        x_next[$i] = half[min(first_row + e / ROW, p.n - 1) * (p.half_stride / 2) + step * ROW + e % ROW];
      }
      if ($i < W_LOADS) {
        let e = id + $i * THREADS;
        let unit = step * UNITS + e % UNITS;
        w_next[$i] = w0_Unit();
        if (unit < units) { w_next[$i] = w0_unit(min(first_col + e / UNITS, p.out - 1), unit, p.in_); }
      }
#endfor
    }
    if (step == 0) { continue; }
#for k 4
    if (2 * $k < ROW) {
#for j $fn
      let b$j = subgroupMatrixLoad<Right, col_major>(&tile, w_at + 16 * $j * STRIDE + 2 * $k, STRIDE);
#endfor
#for i $fm
      let a$i = subgroupMatrixLoad<Left, row_major>(&tile, x_at + 16 * $i * STRIDE + 2 * $k, STRIDE);
#for j $fn
      sum${i}_$j = subgroupMatrixMultiplyAccumulate(a$i, b$j, sum${i}_$j);
#endfor
#endfor
    }
#endfor
  }

  // Out through workgroup memory, a row of matrices at a time, eight results at once.
  let lane = id % SUBGROUP;
  let owner = id / SUBGROUP;
  let out_row = owner / ACROSS * (16 * FM);
  let out_col = first_col + owner % ACROSS * (16 * FN);
#for i $fm
  workgroupBarrier();
#for j $fn
  subgroupMatrixStore<row_major>(&tile, subgroup * 16 * OUT_STRIDE + 4 * $j, sum${i}_$j, OUT_STRIDE);
#endfor
  workgroupBarrier();
  for (var e = lane; e < 256 * FN; e += 8 * SUBGROUP) {
#for k 8
    let row$k = out_row + 16 * $i + (e + $k * SUBGROUP) / (16 * FN);
    let c$k = (e + $k * SUBGROUP) % (16 * FN);
    let at$k = (16 * owner + (e + $k * SUBGROUP) / (16 * FN)) * OUT_STRIDE + c$k / 4;
    let y$k = result(first_row + row$k, out_col + c$k, bitcast<f32>(tile[at$k][c$k % 4]) * scales[row$k]);
#endfor
#for k 8
    store(first_row + row$k, out_col + c$k, y$k);
#endfor
  }
#endfor
}
