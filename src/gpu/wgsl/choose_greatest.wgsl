// The greatest of what the 256 threads of a workgroup have, for all of them: by .x, of equal ones that with the lowest .y. All threads call; what is equal
// in both is equal.
//
// Key: sg, the least threads of a subgroup; 0: no subgroups
fn greater(a: vec4<u32>, b: vec4<u32>) -> vec4<u32> {
  return select(b, a, a.x > b.x || (a.x == b.x && a.y < b.y));
}

#if sg
enable subgroups;
var<private> sg_size: u32;
var<private> turn = 0u;
// Two in turns, so that nobody still reads what another writes.
var<workgroup> of_subgroups: array<vec4<u32>, 2 * (256 / $sg)>;

fn greatest(own: vec4<u32>, thread: u32) -> vec4<u32> {
  let most = subgroupMax(own.x);
  let lowest = subgroupMin(select(0xffffffffu, own.y, own.x == most));
  let first = turn * (256 / $sg);
  turn = 1 - turn;
  if (own.x == most && own.y == lowest) { of_subgroups[first + thread / sg_size] = own; }
  workgroupBarrier();
  var all = of_subgroups[first];
  for (var i = 1u; i < 256 / sg_size; i++) { all = greater(of_subgroups[first + i], all); }
  return all;
}
#else
var<workgroup> of_threads: array<vec4<u32>, 256>;
var<workgroup> of_lines: array<vec4<u32>, 16>;

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
#endif
