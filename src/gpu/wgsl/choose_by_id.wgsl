// Where a draw falls among the weights of a tile, in order of ids: each of the 256 threads has eight, one after another.
alias Eight = array<f32, 8>;
var<workgroup> of_threads_weight: array<f32, 256>;
var<workgroup> of_lines_weight: array<f32, 16>;
var<workgroup> drawn_thread: u32;
var<workgroup> drawn_left: f32;
var<workgroup> drawn: u32;

/// The place of [0, 2048) where `draw`, of [0, 1), falls; never one of weight 0, where there is another. All threads call.
fn draw_of_tile(draw: f32, own: Eight, thread: u32) -> u32 {
  var weights = own;
  var sum = 0.0;
  for (var i = 0u; i < 8u; i++) { sum += weights[i]; }
  of_threads_weight[thread] = sum;
  workgroupBarrier();
  if (thread < 16u) {
    var line = 0.0;
    for (var i = 0u; i < 16u; i++) { line += of_threads_weight[16u * thread + i]; }
    of_lines_weight[thread] = line;
  }
  workgroupBarrier();
  if (thread == 0u) {
    var all = 0.0;
    for (var i = 0u; i < 16u; i++) { all += of_lines_weight[i]; }
    // Where rounding leads past all, it is the last one that weighs something.
    var left = draw * all;
    var line = 0u;
    for (var i = 0u; i < 16u; i++) {
      if (of_lines_weight[i] == 0.0) { continue; }
      line = i;
      if (left < of_lines_weight[i]) { break; }
      left -= of_lines_weight[i];
    }
    for (var i = 16u * line; i < 16u * line + 16u; i++) {
      if (of_threads_weight[i] == 0.0) { continue; }
      drawn_thread = i;
      drawn_left = left;
      if (left < of_threads_weight[i]) { break; }
      left -= of_threads_weight[i];
    }
  }
  workgroupBarrier();
  if (thread == drawn_thread) {
    var left = drawn_left;
    for (var i = 0u; i < 8u; i++) {
      if (weights[i] == 0.0) { continue; }
      drawn = 8u * thread + i;
      if (left < weights[i]) { break; }
      left -= weights[i];
    }
  }
  workgroupBarrier();
  return drawn;
}
