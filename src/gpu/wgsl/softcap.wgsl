// x = cap * tanh(x / cap), by elements of rows. What is no number stays so.
struct Params { n: u32, cols: u32, x: u32, x_stride: u32, cap: f32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) wid: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) thread: u32) {
  let index = (wid.x + wid.y * groups.x) * 256u + thread;
  let row = index / p.cols;
  if (row >= p.n) { return; }
  let at = p.x + row * p.x_stride + index % p.cols;
  let v = act[at];
  // By bits: compilers may take it that there are only numbers.
  if ((bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u) { return; }
  // Past 10 the tanh is 1 in f32; some drivers give NaN for large arguments.
  act[at] = p.cap * tanh(clamp(v / p.cap, -10.0, 10.0));
}
