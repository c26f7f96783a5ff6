// The types as a caller's compiler sees them, with and without those of the web.
import assert from 'node:assert/strict';
import { symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { needs, root, runProgram, temporaryFolder } from './support.mjs';

const TSC = 'node_modules/typescript/bin/tsc';
const ready = needs('js/dist/types/index.d.ts', 'node_modules/sotto/package.json', TSC);

const caller = `
import { ContextOverflowEvent, detect, estimateQuantization, LanguageModel, listen, models, quantize, quantizedModels, QuotaExceededError, SottoError, Transcriber, type Generation, type Transcript } from 'sotto';
import { format } from 'sotto/format';
const transcriber = await Transcriber.create({
  model: models[0]!.id,
  monitor: (m) => m.addEventListener('downloadprogress', (e) => console.log(e.loaded / e.total)),
});
const running = transcriber.transcribe(new Float32Array(1), { sampleRate: 16000, onProgress: (p) => console.log(p.fraction) });
for await (const segment of running) console.log(segment.start, segment.text, segment.tokens[0]?.p);
const whole: Transcript = await running;
console.log(format(whole, 'srt'), detect().threads, SottoError);
// @ts-expect-error no such task
transcriber.transcribe(new Uint8Array(1), { task: 'sing' });
const sound = await listen('microphone', { signal: AbortSignal.timeout(1000), onLevel: (level) => console.log(level) });
for await (const event of transcriber.live(sound, { language: 'en' })) console.log(event.start + sound.skipped);
// @ts-expect-error samples wait where they are
await listen(new ReadableStream<Float32Array>());
sound.stop();
await transcriber.destroy();
const model = await LanguageModel.create({ model: new Blob([]), initialPrompts: [{ role: 'system', content: 'Be short.' }] });
for await (const piece of model.promptStreaming('Hello', { onFinish: (g: Generation) => console.log(g.stopReason) })) console.log(piece.length);
const answer: string = await model.prompt([{ role: 'user', content: 'Hello' }], { stop: '.', maxTokens: 5 });
console.log(answer, model.contextUsage / model.contextWindow, await model.countTokens(answer));
const clone = await model.clone({ signal: AbortSignal.timeout(1000) });
clone.oncontextoverflow = (event) => console.log(event.dropped);
clone.addEventListener('contextoverflow', (event) => console.log((event as ContextOverflowEvent).dropped, event.type));
clone.messages = [{ role: 'user', content: [{ type: 'text', value: 'Hello' }] }, { role: 'assistant', content: 'Hi' }];
const saved: Uint8Array = await clone.save();
const other = await LanguageModel.create({ restore: saved, kvType: 'q8_0', onOverflow: 'stop', logitBias: { 5: -Infinity } });
const likeliest = (g: Generation): number | undefined => g.logprobs?.[0]?.top[0]?.logprob;
await other.prompt([{ role: 'user', content: 'a' }, { role: 'assistant', content: 'b', prefix: true }], { logprobs: 3, typicalP: 0.9, onFinish: likeliest });
const ids: number[] = await other.tokenize(await other.detokenize([5, 6]), { bos: true });
const scores: Float32Array = await other.score(ids);
for await (const { first, rows, data } of other.logits(scores)) console.log(first, rows, data.length);
console.log(LanguageModel.models().map((m) => [m.id, m.size_bytes, m.license, m.license_url]), await other.measureContextUsage('a'));
await LanguageModel.create({ model: ['config.json', new URL('http://x/model.safetensors'), { name: 'tokenizer.model', source: new Uint8Array(1) }] });
const tooLarge = (error: unknown): number => (error instanceof QuotaExceededError ? error.requested - error.quota : 0);
console.log(tooLarge(0));
const { plans } = await estimateQuantization({ 'config.json': new Blob([]) }, { types: ['q4_0'] });
const job = quantize([new File([], 'model.gguf')], { type: 'q4_K_M', tensors: { '*': 'q6_K' }, onProgress: (p) => console.log(p.tensor, p.secondsLeft ?? 0, plans[0]!.outBytes) });
job.pause();
await LanguageModel.create({ model: await job });
console.log(job.outcome?.device.backend, (await quantizedModels()).map((m) => m.bytes));
// @ts-expect-error no such output
quantize('model.gguf', { output: 'somewhere' });
// @ts-expect-error no such type
await LanguageModel.create({ kvType: 'f32' });
// @ts-expect-error no such role
await model.append([{ role: 'robot', content: '' }]);
`;

const places = {
  Node: { lib: ['es2023'], types: ['node'], module: 'nodenext', moduleResolution: 'nodenext' },
  'a bundler': { lib: ['es2022', 'dom', 'dom.iterable'], types: [], module: 'esnext', moduleResolution: 'bundler' },
};
for (const [place, options] of Object.entries(places)) {
  test(`in ${place}`, ready, async (t) => {
    const folder = temporaryFolder(t);
    symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'));
    writeFileSync(path.join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(path.join(folder, 'caller.ts'), caller);
    const compilerOptions = {
      strict: true,
      noEmit: true,
      target: 'es2022',
      exactOptionalPropertyTypes: true,
      ...options,
    };
    writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['caller.ts'] }));
    const { code, stdout } = await runProgram(process.execPath, [path.join(root, TSC), '-p', folder]);
    assert.equal(code, 0, stdout);
  });
}
