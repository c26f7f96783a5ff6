// y[n, out] = act(x[n, in] · wᵀ + bias) + residual by products of four signed bytes: a quantized weight as it is, x in two bytes an element, as
// linear_many_bytes prepared it. All sums of a block are whole numbers, 256 * (high · w) + (low · w), at most 32 * 32640 * 128.
//
//   type0            q4_0, q5_0 or q8_0
//   bm bn tm tn      a workgroup of 256 makes bm x bn results, an invocation tm x tn of them; bm is 64 or less, bn 128 or less
//   rolled           1: loops stay loops, for drivers of CPUs
//   bias, act, res   linear_many_rows.wgsl
//
// A block of 32 columns at a time lies in workgroup memory; the next one is on its way while it is multiplied.
requires packed_4x8_integer_dot_product;
#include linear_many_rows
#include weights w=0 type=$type0
@group(0) @binding(12) var<storage, read> bytes: array<vec4<u32>>;

const BM: u32 = $bm;
const BN: u32 = $bn;
const TM: u32 = $tm;
const TN: u32 = $tn;
const ACROSS = BN / TN;
const DOWN = BM / TM;
const_assert ACROSS * DOWN == 256 && BM * 4 <= 256 && BN * 2 <= 256;

// Of a row in workgroup memory, in units of 16 bytes; odd, so that neighbouring rows lie in different banks.
const X_ROW = 5u;
const W_ROW = 3u;
var<workgroup> xs: array<vec4<u32>, BM * X_ROW>;
var<workgroup> ws: array<vec4<u32>, BN * W_ROW>;
var<workgroup> x_scales: array<f32, BM>;
var<workgroup> w_scales: array<f32, BN>;

// Elements that are not negative, and less than 128, become those minus `zero`, byte by byte.
fn centred(v: vec4<u32>, zero: u32) -> vec4<u32> {
  return ((v | vec4<u32>(0x80808080)) - vec4<u32>(zero * 0x01010101)) ^ vec4<u32>(0x80808080);
}

// Half a block, 16 elements, of a row.
fn half_block(u: w0_Unit, half: u32) -> vec4<u32> {
#if type0 == q8_0
  return u.quants ^ vec4<u32>(0x80808080);
#else
  let nibbles = (u.quants >> vec4<u32>(4 * half)) & vec4<u32>(0x0f0f0f0f);
#if type0 == q5_0
  let k = vec4<u32>(0, 1, 2, 3) + 4 * half;
  return centred(nibbles | (((vec4<u32>(u.high) >> k) & vec4<u32>(0x01010101)) << vec4<u32>(4)), 16);
#else
  return centred(nibbles, 8);
#endif
#endif
}

// The unit of a row that has half a block.
fn unit_of(row: u32, block: u32, half: u32) -> w0_Unit {
#if type0 == q8_0
  return w0_unit(row, 2 * block + half, p.in_);
#else
  return w0_unit(row, block, p.in_);
#endif
}

fn dot16(a: vec4<u32>, b: vec4<u32>) -> i32 {
  return dot4I8Packed(a.x, b.x) + dot4I8Packed(a.y, b.y) + dot4I8Packed(a.z, b.z) + dot4I8Packed(a.w, b.w);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>, @builtin(local_invocation_index) id: u32) {
  let tile = wid.x + wid.y * grid.x;
  let first_row = tile % p.tiles * BM;
  let first_col = tile / p.tiles * BN;
  if (first_col >= p.out) { return; }
  let across = id % ACROSS;
  let down = id / ACROSS;
#if rolled
  let halves = 2u * min(p.n, 1u); // 2, which compilers do not know
#else
  const halves = 2u;
#endif

  // Rows past the end read the last one; what comes of them is not stored.
  let blocks = p.in_ / 32;
  let x_row = min(first_row + id / 4, p.n - 1) * p.half_stride;
  let own_x = (id / 4) * X_ROW + id % 4;
  let w_row = min(first_col + id / 2, p.out - 1);
  let own_w = (id / 2) * W_ROW + id % 2;
  var x_next: vec4<u32>;
  var x_scale: f32;
  var w_next: w0_Unit;
  var acc: array<f32, TM * TN>;
  for (var block = 0u; block <= blocks; block++) {
    // What was fetched a turn ago is multiplied in this one.
    if (block > 0u) {
      workgroupBarrier();
      if (id < 4 * BM) {
        xs[own_x] = x_next;
        if (id % 4 == 0) { x_scales[id / 4] = x_scale; }
      }
      if (id < 2 * BN) {
        ws[own_w] = half_block(w_next, id % 2);
        if (id % 2 == 0) { w_scales[id / 2] = w_next.scale; }
      }
      workgroupBarrier();
    }
    if (block < blocks) {
      if (id < 4 * BM) {
        x_next = bytes[x_row + 4 * block + id % 4];
        x_scale = bitcast<f32>(bytes[x_row + 4 * blocks + block / 4][block % 4]);
      }
      if (id < 2 * BN) { w_next = unit_of(w_row, block, id % 2); }
    }
    if (block == 0u) { continue; }
    // (Without their values they were not zeroed a second time.)
    var high = array<i32, TM * TN>();
    var low = array<i32, TM * TN>();
    for (var half = 0u; half < halves; half++) {
#for j $tn
      let w$j = ws[(across + $j * ACROSS) * W_ROW + half];
#endfor
#for i $tm
      let h$i = xs[(down + $i * DOWN) * X_ROW + half];
      let l$i = xs[(down + $i * DOWN) * X_ROW + 2 + half];
#for j $tn
      high[$i * TN + $j] += dot16(h$i, w$j);
      low[$i * TN + $j] += dot16(l$i, w$j);
#endfor
#endfor
    }
#for i $tm
    let scale$i = x_scales[down + $i * DOWN];
#for j $tn
    acc[$i * TN + $j] += f32(256 * high[$i * TN + $j] + low[$i * TN + $j]) * (scale$i * w_scales[across + $j * ACROSS]);
#endfor
#endfor
  }

#for i $tm
  {
    let row = first_row + down + $i * DOWN;
    let col = first_col + across;
#for j $tn
    let y$j = result(row, col + $j * ACROSS, acc[$i * TN + $j]);
#endfor
#for j $tn
    store(row, col + $j * ACROSS, y$j);
#endfor
  }
#endfor
}
