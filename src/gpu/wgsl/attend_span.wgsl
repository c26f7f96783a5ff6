// For a workgroup: the least first and the greatest end of what its threads' rows see. All threads call.
var<workgroup> least: atomic<u32>;
var<workgroup> greatest: atomic<u32>;
var<workgroup> span: vec2<u32>;

fn span_of(seen: vec2<u32>, tid: u32) -> vec2<u32> {
  if (tid == 0) { atomicStore(&least, 0xffffffffu); }
  workgroupBarrier();
  atomicMin(&least, seen.x);
  atomicMax(&greatest, seen.y);
  workgroupBarrier();
  if (tid == 0) { span = vec2<u32>(atomicLoad(&least), atomicLoad(&greatest)); }
  return workgroupUniformLoad(&span);
}
