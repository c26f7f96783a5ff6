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

var<workgroup> tile: array<vec4<u32>, max((BM + BN) * STRIDE, SUBGROUPS * 16 * OUT_STRIDE)>;

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

#include linear_many_matrix_row part=open i=0
#include linear_many_matrix_row part=open i=1
#if fm == 4
#include linear_many_matrix_row part=open i=2
#include linear_many_matrix_row part=open i=3
#endif
  var x_next: array<vec4<u32>, X_LOADS>;
  var w_next: array<w0_Unit, W_LOADS>;
  let steps = (p.in_ + STEP - 1) / STEP;
  for (var step = 0u; step <= steps; step++) {
    // What was fetched a turn ago is multiplied in this one. Rows past the end are the last one; what comes of them is not stored.
    if (step > 0) {
      workgroupBarrier();
      for (var i = 0u; i < X_LOADS; i++) {
        let e = id + i * THREADS;
        if (e < BM * ROW) { tile[e / ROW * STRIDE + e % ROW] = x_next[i]; }
      }
      for (var i = 0u; i < W_LOADS; i++) {
        let e = id + i * THREADS;
        if (e < BN * UNITS) {
          let at = (BM + e / UNITS) * STRIDE + e % UNITS * (w0_quads / 2);
          for (var k = 0u; k < w0_quads / 2; k++) { tile[at + k] = eight(w_next[i], 2 * k); }
        }
      }
      workgroupBarrier();
    }
    if (step < steps) {
      for (var i = 0u; i < X_LOADS; i++) {
        let e = id + i * THREADS;
        x_next[i] = half[min(first_row + e / ROW, p.n - 1) * (p.half_stride / 2) + step * ROW + e % ROW];
      }
      for (var i = 0u; i < W_LOADS; i++) {
        let e = id + i * THREADS;
        let unit = step * UNITS + e % UNITS;
        w_next[i] = w0_Unit();
        if (unit < units) { w_next[i] = w0_unit(min(first_col + e / UNITS, p.out - 1), unit, p.in_); }
      }
    }
    if (step == 0) { continue; }
    for (var k = 0u; k < ROW; k += 2) {
      let b0 = subgroupMatrixLoad<Right, col_major>(&tile, w_at + k, STRIDE);
      let b1 = subgroupMatrixLoad<Right, col_major>(&tile, w_at + 16 * STRIDE + k, STRIDE);
#if fn == 4
      let b2 = subgroupMatrixLoad<Right, col_major>(&tile, w_at + 32 * STRIDE + k, STRIDE);
      let b3 = subgroupMatrixLoad<Right, col_major>(&tile, w_at + 48 * STRIDE + k, STRIDE);
#endif
#include linear_many_matrix_row part=sum i=0
#include linear_many_matrix_row part=sum i=1
#if fm == 4
#include linear_many_matrix_row part=sum i=2
#include linear_many_matrix_row part=sum i=3
#endif
    }
  }
#include linear_many_matrix_row part=close i=0
#include linear_many_matrix_row part=close i=1
#if fm == 4
#include linear_many_matrix_row part=close i=2
#include linear_many_matrix_row part=close i=3
#endif
}
