/* The one place where the page meets the package: models to choose from, an engine with one of them, files to save. */

import { listen, models, SottoError, Transcriber, type Listening, type LiveEvent, type LiveTranscription, type ManifestModel, type Segment, type Transcript, type Variant } from 'sotto';
import { format, type Format, type FormatTranscript } from 'sotto/format';
import { notWhileSealed, sealed } from '../frame/seal.ts';
import { idOf, nameOf, typeOf, type StoredModel } from '../models/kept.ts';
import { placeOf, type BackendChoice, type Place } from '../ui/place.ts';
import { sentenceOf, Told } from '../ui/told.ts';

export { listen };
export type { Listening, LiveEvent, LiveTranscription, Segment };

/* ---- models ---- */

export interface ModelEntry {
  id: string;
  input: string; // what the package knows it by
  label: string;
  group: 'many' | 'english' | 'other' | 'yours';
  bytes: number;
  languages: number; // 1: English only; 0: not known before it is loaded
  translates: boolean;
}

/** Of each size the small file comes first; the others are larger, for nearly the same text. */
function entryOf({ id, name, weights, languages, size_bytes }: ManifestModel): ModelEntry {
  const lean = weights.startsWith('q5');
  const english = languages === 1;
  const size = name.replace('Whisper ', '').replace('.en', '').replaceAll('-', ' ');
  const bits = { f16: '16 bit', q8_0: '8 bit' }[weights] ?? weights;
  return {
    id,
    input: id,
    label: size.charAt(0).toUpperCase() + size.slice(1) + (lean ? '' : `${english ? ', English' : ''}, ${bits}`),
    group: !lean ? 'other' : english ? 'english' : 'many',
    bytes: size_bytes,
    languages,
    translates: !english && !name.includes('turbo'),
  };
}

export const MODELS: readonly ModelEntry[] = models.filter((m) => m.kind === 'whisper').map(entryOf);

/** Served beside the page, models are taken from there; elsewhere from the manifest's sources. */
const SOURCES = ['models/'];

/** One that this device keeps, and the manifest does not know. */
export function entryOfKept(model: StoredModel): ModelEntry {
  const type = typeOf(model);
  const name = nameOf(model);
  const label = type && !name.toUpperCase().includes(type) ? `${name}, ${type}` : name;
  return { id: idOf(model), input: `stored:${model.id}`, label, group: 'yours', bytes: model.bytes, languages: 0, translates: true };
}

/* ---- an engine with a model ---- */

const VARIANTS: Record<Variant, string> = {
  'simd-single': 'SIMD',
  'simd-threads': 'SIMD',
  'relaxed-single': 'relaxed SIMD',
  'relaxed-threads': 'relaxed SIMD',
};

export interface Request {
  language: string; // code, or 'auto'
  translate: boolean;
  beamSize: number;
  timestamps: boolean;
  prompt: string;
  signal: AbortSignal;
  onFraction: (fraction: number) => void; // done, 0 to 1
  onSegment: (segment: Segment) => void; // final
}

export class Engine {
  readonly #transcriber: Transcriber;
  readonly variant: string;
  readonly place: Place;
  readonly multilingual: boolean;
  readonly weightBytes: number;

  private constructor(transcriber: Transcriber) {
    const { variant, model } = transcriber.info;
    this.#transcriber = transcriber;
    this.variant = VARIANTS[variant];
    this.place = placeOf(transcriber.info);
    this.multilingual = model.multilingual;
    this.weightBytes = model.weightBytes;
  }

  /** Starts an engine with a model of the list or a person's own file. Throws Told with a sentence. `onMoved`: its GPU was lost. */
  static async open(
    model: ModelEntry | File,
    backend: BackendChoice,
    onMoved: (place: Place) => void,
    signal: AbortSignal,
    onBytes: (loaded: number, total: number) => void,
  ): Promise<Engine> {
    try {
      const transcriber = await Transcriber.create({
        model: model instanceof File ? model : model.input,
        sources: SOURCES,
        backend,
        onRestart: (info) => onMoved(placeOf(info)),
        signal,
        monitor: (m) => m.addEventListener('downloadprogress', ({ loaded, total }) => onBytes(loaded, total)),
      });
      return new Engine(transcriber);
    } catch (error) {
      if (signal.aborted) throw error;
      throw model instanceof File ? new Told(`${model.name} cannot be used. ${sentenceOf(error)}`) : notLoaded(model, error);
    }
  }

  async transcribe(samples: Float32Array, sampleRate: number, request: Request): Promise<Transcript> {
    const { language, translate, beamSize, timestamps, prompt, signal, onFraction, onSegment } = request;
    const run = this.#transcriber.transcribe(samples, {
      sampleRate,
      language,
      task: translate ? 'translate' : 'transcribe',
      beamSize,
      timestamps,
      initialPrompt: prompt.trim() || undefined,
      signal,
      onProgress: ({ fraction }) => onFraction(fraction),
    });
    try {
      for await (const segment of run) onSegment(segment);
      return await run;
    } catch (error) {
      throw signal.aborted ? error : new Told(sentenceOf(error));
    }
  }

  /** Writes down what is heard, until that is stopped. */
  live(
    sound: Listening,
    request: Pick<Request, 'language' | 'translate' | 'prompt'> & { onEvent: (event: LiveEvent) => void },
  ): LiveTranscription {
    const { language, translate, prompt, onEvent } = request;
    const task = translate ? 'translate' : 'transcribe';
    return this.#transcriber.live(sound, { language, task, initialPrompt: prompt.trim() || undefined, onEvent });
  }

  close(): void {
    void this.#transcriber.destroy();
  }
}

/** Why a model did not come, and what to do. The addresses that were tried are in the console. */
function notLoaded({ label }: ModelEntry, error: unknown): Error {
  if (!(error instanceof SottoError) || error.code !== 'network') return new Told(sentenceOf(error));
  console.warn(error.message);
  if (sealed.value) return new Told(notWhileSealed(label));
  if (!navigator.onLine) {
    return new Told(`You are offline, and the ${label} model is not on this device yet. Connect once to download it.`);
  }
  if (error.message.includes('SHA-256')) {
    return new Told(
      `The ${label} model arrived damaged: it is not the published file, its SHA-256 differs. ` +
        `Try again, or choose another model.`,
    );
  }
  return new Told(
    `The ${label} model could not be downloaded. Check the connection and try again, or choose one that is on this device.`,
  );
}

/* ---- files ---- */

/** `transcript` as a file named after `source`. */
export function write(transcript: FormatTranscript, as: Format, source: string): string {
  return format(transcript, as, { file: source });
}
