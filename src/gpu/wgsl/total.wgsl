// Sums over a workgroup of THREADS invocations, a power of two: a tree of halves. Called by all of them.
var<workgroup> parts: array<f32, THREADS>;

fn total(part: f32, thread: u32) -> f32 {
  parts[thread] = part;
  workgroupBarrier();
  for (var left = THREADS / 2; left > 0; left /= 2) {
    if (thread < left) { parts[thread] += parts[thread + left]; }
    workgroupBarrier();
  }
  let all = parts[0];
  workgroupBarrier();
  return all;
}
