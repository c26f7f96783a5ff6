// The scales with the least weighted squares of errors, in steps, of which all invocations take part in each:
//
//   1  of each sub-block by itself: integers by one of several scales, then the scale and minimum that fit these integers best
//   2  d and the minimum as f16; of a block of 256 from the largest of its sub-blocks, and there
//   3  of each sub-block: the integers of scale and minimum, or their neighbours, whichever leave the least errors
//
// Weights of elements are those of src/quant/quant_search_body.h: with the mean m of x² in the sub-block, sqrt(m) + |x|, or importance *
// sqrt(2 m + x²).
#if signed
const LEAST = -${signed}.0;
const MOST = ${signed}.0 - 1.0;
const SCALES = 128.0;
const NEIGHBOURS = 3u;
#else
const LEAST = 0.0;
const MOST = ${top}.0;
const SCALES = 63.0;
const NEIGHBOURS = 9u;
#endif
const TRIES = 17u;

fn start_of(sub: u32) -> u32 { return sub * SUB / 32 * RUN + sub * SUB % 32; }

fn inverse(x: f32) -> f32 { return select(0.0, 1.0 / x, abs(x) > 1e-30); }

fn weigh(first: u32, thread: u32) {
  let own = start_of(thread / WAYS) + thread % WAYS * OWN;
  var part = 0.0;
  for (var j = 0u; j < OWN + p.zero; j++) { part += tile[own + j].x * tile[own + j].x; }
  sums[thread] = part;
  workgroupBarrier();
  var mean = 0.0;
  for (var i = 0u; i < WAYS; i++) { mean += sums[thread / WAYS * WAYS + i]; }
  mean /= f32(SUB);
#if weighted
  let col = (p.first + first + thread * OWN) % p.cols;
#endif
  for (var j = 0u; j < OWN + p.zero; j++) {
    let x = tile[own + j].x;
#if weighted
    tile[own + j].y = weights[col + j] * sqrt(2 * mean + x * x);
#else
    tile[own + j].y = sqrt(mean) + abs(x);
#endif
  }
  workgroupBarrier();
}

#if signed
// Step 1, of the tries `way`, way + WAYS, ...: how good, scale. The last ones go on from what was best.
fn fit(at: u32, way: u32) -> vec3<f32> {
  var big = 0.0;
  for (var j = 0u; j < SUB + p.zero; j++) {
    let x = tile[at + j].x;
    if (abs(x) > abs(big)) { big = x; }
  }
  var best = vec3<f32>(-1.0, big / LEAST, 0.0);
  for (var i = way; i < TRIES + 2 * WAYS; i += WAYS) {
    let inv = select(inverse(best.y), (LEAST + 0.1 * (f32(i) - 8.0)) * inverse(big), i < TRIES);
    var qx = 0.0;
    var qq = 0.0;
    for (var j = 0u; j < SUB + p.zero; j++) {
      let t = tile[at + j];
      let q = clamp(round(t.x * inv), LEAST, MOST);
      qx += t.y * q * t.x;
      qq += t.y * q * q;
    }
    let scale = qx * inverse(qq);
    if (scale * qx > best.x) { best = vec3<f32>(scale * qx, scale, 0.0); }
  }
  return best;
}
#else
// Step 1, of the tries `way`, way + WAYS, ...: how good, scale, minimum. The last ones go on from what was best.
fn fit(at: u32, way: u32) -> vec3<f32> {
  var low = 0.0; // minima cannot lie above
  var high = tile[at].x;
  var w = 0.0;
  var wx = 0.0;
  for (var j = 0u; j < SUB + p.zero; j++) {
    let t = tile[at + j];
    low = min(low, t.x);
    high = max(high, t.x);
    w += t.y;
    wx += t.y * t.x;
  }
  let range = high - low;
  var best = vec3<f32>(-1.0, range / MOST, low);
  for (var i = way; i < TRIES + 2 * WAYS; i += WAYS) {
    let inv = select(inverse(best.y), (MOST + 0.1 * (f32(i) - 8.0)) * inverse(range), i < TRIES);
    let from_ = select(best.z, low, i < TRIES);
    var wq = 0.0;
    var wqq = 0.0;
    var wqx = 0.0;
    for (var j = 0u; j < SUB + p.zero; j++) {
      let t = tile[at + j];
      let q = clamp(round((t.x - from_) * inv), LEAST, MOST);
      wq += t.y * q;
      wqq += t.y * q * q;
      wqx += t.y * q * t.x;
    }
    let spread = w * wqq - wq * wq;
    if (spread <= 1e-5 * w * wqq) { continue; } // integers that are all alike
    let over = 1.0 / spread;
    var scale = (w * wqx - wx * wq) * over;
    var least = (wqq * wx - wq * wqx) * over;
    if (least > 0.0) {
      least = 0.0;
      scale = wqx * inverse(wqq);
    }
    let good = scale * wqx + least * wx; // what is left of the squares is so much less
    if (scale > 0.0 && good > best.x) { best = vec3<f32>(good, scale, least); }
  }
  return best;
}
#endif

// What is best of the invocations of a sub-block.
fn best_of(mine: vec3<f32>, thread: u32) -> vec3<f32> {
  fits[thread] = mine;
  workgroupBarrier();
  var best = fits[thread / WAYS * WAYS];
  for (var i = 1u; i < WAYS; i++) {
    let other = fits[thread / WAYS * WAYS + i];
    if (other.x > best.x) { best = other; }
  }
  workgroupBarrier();
  return best;
}

fn half_bits(x: f32) -> u32 { return to_half(bitcast<u32>(x)); }
fn half_value(h: u32) -> f32 { return bitcast<f32>(from_half(h)); }

#if superblock
// Number i of the neighbours of the integers of a scale and minimum.
fn neighbour(of_: vec2<f32>, i: u32) -> vec2<f32> {
#if signed
  return vec2<f32>(clamp(of_.x + f32(i) - 1.0, -SCALES, SCALES - 1.0), 0.0);
#else
  return clamp(of_ + vec2<f32>(f32(i / 3), f32(i % 3)) - 1.0, vec2<f32>(), vec2<f32>(SCALES));
#endif
}

// Steps 2 and 3: scale and minimum, which is subtracted.
fn settled(found: vec3<f32>, thread: u32) -> vec2<f32> {
  let sub = thread / WAYS;
  fits[thread] = found;
  workgroupBarrier();
  var top = vec2<f32>(); // all invocations of a block find the same
  for (var i = 0u; i < SUBS + p.zero; i++) {
    let f = fits[thread / 32 * 32 + i * WAYS];
#if signed
    if (abs(f.y) > abs(top.x)) { top.x = f.y; }
#else
    top = max(top, vec2<f32>(f.y, -f.z));
#endif
  }
  workgroupBarrier();
#if signed
  top = -top;
#endif
  let head = vec2<u32>(half_bits(top.x / SCALES), half_bits(top.y / SCALES));
  if (thread % 32 == 0) { heads[thread / 32] = head.x | (head.y << 16); }

  let d = vec2<f32>(half_value(head.x), half_value(head.y));
  let near = round(vec2<f32>(found.y, -found.z) * vec2<f32>(inverse(d.x), inverse(d.y)));
  var best = vec3<f32>(-3e38, near);
  for (var i = thread % WAYS; i < NEIGHBOURS; i += WAYS) {
    let integers = neighbour(near, i);
    let step = d * integers;
    let inv = inverse(step.x);
    var errors = 0.0;
    for (var j = 0u; j < SUB + p.zero; j++) {
      let t = tile[start_of(sub) + j];
      let q = clamp(round((t.x + step.y) * inv), LEAST, MOST);
      let e = step.x * q - step.y - t.x;
      errors += t.y * e * e;
    }
    if (-errors > best.x) { best = vec3<f32>(-errors, integers); }
  }
  best = best_of(best, thread);
  if (thread % WAYS == 0) { parts[sub] = vec2<u32>(bitcast<u32>(i32(best.y)), u32(best.z)); }
  return d * best.yz;
}
#else
fn settled(found: vec3<f32>, thread: u32) -> vec2<f32> {
  let head = vec2<u32>(half_bits(found.y), half_bits(found.z));
  if (thread % WAYS == 0) { heads[thread / WAYS] = head.x | (head.y << 16); }
  return vec2<f32>(half_value(head.x), -half_value(head.y));
}
#endif

fn search(first: u32, thread: u32) {
  weigh(first, thread);
  let found = best_of(fit(start_of(thread / WAYS), thread % WAYS), thread);
  let step = settled(found, thread);
  let own = start_of(thread / WAYS) + thread % WAYS * OWN;
  let inv = inverse(step.x);
  var words = vec2<u32>();
  for (var j = 0u; j < OWN + p.zero; j++) {
    let q = clamp(round((tile[own + j].x + step.y) * inv), LEAST, MOST);
    words[j / 4] |= u32(q - LEAST) << (8 * (j % 4));
  }
  quants[2 * thread] = words.x;
  quants[2 * thread + 1] = words.y;
}
