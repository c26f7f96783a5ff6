// An engine in this process, without a worker: for commands that want a model's vocabulary or header alone, or measure it.
//
//   MODEL ─> files ─┬─> bytes, up to the vocabulary ─> Codec
//                   └─> the whole model ─> sessions
import { platform } from '@platform';
import { accessOf, type AccessArgs } from './cli-access.js';
import { ProgressLine } from './cli-common.js';
import type { GpuOptions } from './cli-gpu.js';
import { findModelFile, modelError, showLoading } from './cli-language.js';
import { Codec } from './codec.js';
import { startEngine, type StartedEngine } from './engine-start.js';
import { SottoError } from './errors.js';
import { checkKind } from './kind.js';
import { loadModel } from './loader.js';
import { describeModel } from './model-info.js';
import { resolveModel } from './model-input.js';
import type { ModelInfo, ModelPart, ModelSpec } from './protocol.js';
import { stopEngine } from './running.js';
import type { LanguageContext } from './session.js';
import type { Pointer } from './wasm.js';

/** A language model in an engine of this process. */
export interface LocalModel extends LanguageContext {
  info: ModelInfo;
  nThreads: number;
  isa: string;
  loadMs: number;
  started: StartedEngine;
}

export interface LocalOptions extends GpuOptions {
  /** Time each kernel of the GPU. */
  profile?: boolean;
  threads?: number | undefined;
  access?: AccessArgs | undefined;
  signal: AbortSignal;
  /** true: what it takes to tokenize is enough. */
  onlyText?: boolean;
}

/** How long the process may be deaf between two steps, in ms. */
const BREATH_MS = 40;

/** Uses a model; its threads end with it. What goes wrong is told by the model's name. */
export async function withLocalModel<T>(
  name: string,
  options: LocalOptions,
  use: (model: LocalModel) => T | Promise<T>,
): Promise<T> {
  const begin = performance.now();
  let started: StartedEngine | undefined;
  try {
    const { onlyText = false, threads, backend, dawn, profile, access = {} } = options;
    const source = findModelFile(name, access);
    const { spec } = await resolveModel(source, accessOf(access, name), 'language', options.signal);
    started = await startEngine(platform, onlyText ? { threads: 1 } : { threads, backend, dawn, profile });
    const { wasm, engine, nThreads } = started;
    const here = spec.parts.every(({ kind }) => kind === 'path');
    const model =
      onlyText && here ? await loadText(started, spec.parts) : await loadWhole(started, spec, source, options);
    const info = describeModel(wasm, model);
    let breathed = performance.now();
    return await use({
      ...{ wasm, engine, model, platform, info, nThreads, nVocab: info.nVocab, started },
      codec: new Codec(wasm, engine, model),
      guessing: [],
      isa: wasm.text(wasm.x.sotto_wasm_engine_isa(engine)),
      loadMs: performance.now() - begin,
      breathe: async () => {
        if (performance.now() - breathed < BREATH_MS) return;
        await platform.breathe();
        breathed = performance.now();
      },
    });
  } catch (error) {
    throw modelError(name, error);
  } finally {
    if (started) await stopEngine(started);
  }
}

async function loadWhole(
  { wasm, engine }: StartedEngine,
  spec: ModelSpec,
  source: string | URL,
  { signal }: LocalOptions,
): Promise<Pointer> {
  const line = new ProgressLine();
  try {
    const { model } = await loadModel(spec, {
      ...{ wasm, engine, platform, signal },
      pulled: () => {
        throw new SottoError('internal', 'no file comes in pieces here');
      },
      report: (loaded, total) => showLoading(line, source, loaded, total),
      identify: (m) => {
        const { architecture } = describeModel(wasm, m);
        if (architecture !== '') checkKind('language', architecture);
        return architecture !== '';
      },
    });
    return model;
  } finally {
    line.hide();
  }
}

// ---- the vocabulary alone ----

/** Feeds a model that is open, piece by piece; what the engine does not take is an error. */
export class Feeder {
  readonly #s: Pick<StartedEngine, 'wasm' | 'engine'>;
  readonly model: Pointer;

  constructor(started: Pick<StartedEngine, 'wasm' | 'engine'>) {
    this.#s = started;
    this.model = started.wasm.x.sotto_wasm_model_open(started.engine);
    if (this.model === 0) started.wasm.fail(-2, started.engine);
  }

  #check(status: number): void {
    if (status < 0) this.#s.wasm.fail(status, this.#s.engine);
  }

  /** The next bytes are those of this file. */
  begin(file: string): void {
    const { wasm } = this.#s;
    const name = wasm.put(file);
    const status = wasm.x.sotto_wasm_model_file(this.model, name);
    wasm.free(name);
    this.#check(status);
  }

  feed(bytes: Uint8Array): void {
    const { wasm } = this.#s;
    const p = wasm.alloc(bytes.length);
    wasm.bytes(p, bytes.length).set(bytes);
    const status = wasm.x.sotto_wasm_model_feed(this.model, p, bytes.length);
    wasm.free(p);
    this.#check(status);
  }

  finish(): void {
    this.#check(this.#s.wasm.x.sotto_wasm_model_finish(this.model));
  }

  /** Whether it tokenizes. */
  get speaks(): boolean {
    const { wasm } = this.#s;
    return wasm.row(1, (out) => wasm.x.sotto_wasm_tokenize(this.model, 0, 0, 0, 0, 0, out)).result >= 0;
  }
}

async function loadText(started: StartedEngine, parts: readonly ModelPart[]): Promise<Pointer> {
  const feeder = new Feeder(started);
  for (const part of parts) {
    if (parts.length > 1) feeder.begin(part.file); // ends the file before it
    if (feeder.speaks) return feeder.model;
    if (part.file.endsWith('.safetensors'))
      throw new SottoError(
        'format',
        'there is no vocabulary: put tokenizer.model or tokenizer.json beside the weights',
      );
    if (part.kind !== 'path') continue; // all are
    const { pieces } = await platform.openFile(part.path);
    for await (const bytes of pieces) {
      feeder.feed(bytes);
      if (feeder.speaks) return feeder.model;
      const { architecture } = describeModel(started.wasm, feeder.model);
      if (architecture !== '') checkKind('language', architecture);
    }
  }
  feeder.finish();
  return feeder.model;
}
