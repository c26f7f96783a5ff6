// Sums and largest values over the 32 threads of a row, of a workgroup of 256; all threads call. With sg >= 32 by shuffles, else through
// `narrow`, array<f32, 256> in workgroup memory.
#if sg >= 32
fn row_sum(x: f32, tid: u32) -> f32 {
  var sum = x;
#for i 5
  sum += subgroupShuffleXor(sum, 1u << $i);
#endfor
  return sum;
}

fn row_max(x: f32, tid: u32) -> f32 {
  var top = x;
#for i 5
  top = max(top, subgroupShuffleXor(top, 1u << $i));
#endfor
  return top;
}
#else
fn row_sum(x: f32, tid: u32) -> f32 {
  workgroupBarrier();
  narrow[tid] = x;
  workgroupBarrier();
  var sum = 0.0;
  for (var i = tid & 224u; i <= (tid | 31u); i++) { sum += narrow[i]; }
  return sum;
}

fn row_max(x: f32, tid: u32) -> f32 {
  workgroupBarrier();
  narrow[tid] = x;
  workgroupBarrier();
  var top = x;
  for (var i = tid & 224u; i <= (tid | 31u); i++) { top = max(top, narrow[i]); }
  return top;
}
#endif
