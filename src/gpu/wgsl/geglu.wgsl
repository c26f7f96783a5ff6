// y = gelu(gate) * up, gelu in its tanh form, by elements of rows.
struct Params { n: u32, cols: u32, y: u32, y_stride: u32, gate: u32, gate_stride: u32, up: u32, up_stride: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> act: array<f32>;

fn gelu_tanh(x: f32) -> f32 {
  // Past 10 the tanh is 1 in f32; some drivers give NaN for large arguments.
  let t = clamp(0.7978845608 * (x + 0.044715 * x * x * x), -10.0, 10.0);
  return 0.5 * x * (1.0 + tanh(t));
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let col = id.x;
  let row = id.y;
  if (col >= p.cols) { return; }
  act[p.y + row * p.y_stride + col] = gelu_tanh(act[p.gate + row * p.gate_stride + col]) * act[p.up + row * p.up_stride + col];
}
