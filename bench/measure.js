// One measurement of the package, the same in Node and in a page: load, then transcribe one clip a number of times.
//
// Times are wall times in ms; the first transcription warms the JIT and is reported on its own.

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/**
 * @param {typeof import('sotto')} sotto the package
 * @param {{ model: () => Promise<unknown>, audio: () => Promise<unknown>, threads: number, variant?: string, repeats: number,
 *   options?: object }} what `model` and `audio` make fresh inputs: from memory, so that no network is measured
 */
export async function measure(sotto, { model, audio, threads, variant, repeats, options = {} }) {
  const loads = [];
  let transcriber;
  for (let i = 0; i < 3; i++) {
    await transcriber?.destroy();
    const bytes = await model();
    const start = performance.now();
    transcriber = await sotto.Transcriber.create({ model: bytes, threads, ...(variant ? { variant } : {}) });
    loads.push(performance.now() - start);
  }
  const runs = [];
  let result;
  for (let i = 0; i <= repeats; i++) {
    const input = await audio();
    const start = performance.now();
    result = await transcriber.transcribe(input, { language: 'en', ...options });
    runs.push({ whole_ms: performance.now() - start, ...result.timings });
  }
  const info = transcriber.info;
  await transcriber.destroy();
  const warm = runs.slice(1);
  const of = (name) => median(warm.map((run) => run[name]));
  return {
    variant: info.variant,
    isa: info.isa,
    threads: info.threads,
    load_ms: median(loads),
    first_ms: runs[0].whole_ms,
    mel_ms: of('melMs'),
    encode_ms: of('encodeMs') / warm[0].nEncode,
    decode_ms_per_step: of('decodeMs') / warm[0].nDecode,
    decode_steps: warm[0].nDecode,
    windows: warm[0].nEncode,
    whole_ms: of('whole_ms'),
    whole_best_ms: Math.min(...warm.map((run) => run.whole_ms)),
    memory_bytes: result.memoryBytes ?? info.memoryBytes,
    text: result.text,
  };
}

export { median };
