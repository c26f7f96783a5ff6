// Four elements of the activations, and of keys and values as they lie in memory: as halves.
fn act4(at: u32) -> vec4<f32> { return vec4<f32>(act[at], act[at + 1], act[at + 2], act[at + 3]); }

fn halves(x: vec4<f32>) -> vec2<u32> {
  let c = clamp(x, vec4<f32>(-65504.0), vec4<f32>(65504.0));
  return vec2<u32>(pack2x16float(c.xy), pack2x16float(c.zw));
}

fn floats(x: vec2<u32>) -> vec4<f32> { return vec4<f32>(unpack2x16float(x.x), unpack2x16float(x.y)); }
