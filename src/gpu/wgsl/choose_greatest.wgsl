// The greatest of what the 256 threads of a workgroup have, for all of them: by .x, of equal ones that with the lowest .y. All threads call.
var<workgroup> of_threads: array<vec4<u32>, 256>;
var<workgroup> of_lines: array<vec4<u32>, 16>;

fn greater(a: vec4<u32>, b: vec4<u32>) -> vec4<u32> {
  return select(b, a, a.x > b.x || (a.x == b.x && a.y < b.y));
}

fn greatest(own: vec4<u32>, thread: u32) -> vec4<u32> {
  of_threads[thread] = own;
  workgroupBarrier();
  if (thread < 16u) {
    var line = own;
    for (var i = thread + 16u; i < 256u; i += 16u) { line = greater(of_threads[i], line); }
    of_lines[thread] = line;
  }
  workgroupBarrier();
  var all = of_lines[0];
  for (var i = 1u; i < 16u; i++) { all = greater(of_lines[i], all); }
  return all;
}
