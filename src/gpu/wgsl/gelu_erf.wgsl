// gelu(x) = x * (1 + erf(x / sqrt(2))) / 2, with an error below 1e-6: erfc by Abramowitz and Stegun 7.1.26.
fn gelu_erf(x: f32) -> f32 {
  // From the tail on both sides, so that little is left of a negative x and all of a large one; past 30 there is no tail.
  let a = min(abs(x), 30.0);
  let z = 0.70710678118 * a;
  let t = 1.0 / (1.0 + 0.3275911 * z);
  let tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * exp(-z * z);
  return select(x, 0.0, x < 0.0) - 0.5 * a * tail;
}
