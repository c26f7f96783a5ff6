/// <reference lib="esnext.disposable" preserve="true" />
// The public class for speech: an engine with a Whisper model, and recordings handed to it.
import { availabilityOf, Engine, removeModel, type Availability, type EngineOptions } from './engine.js';
import type { Profile } from './gpu/profile.js';
import { resolveAudio, type AudioInput, type AudioOptions } from './input.js';
import type { ModelInput, ModelOptions } from './model-input.js';
import { defaultModel } from './models.js';
import { engineOptions, type DecodeOptions } from './options.js';
import type { EngineInfo, Progress, TensorInfo } from './protocol.js';
import { Transcription } from './transcription.js';

export interface CreateOptions extends EngineOptions {
  /** Default: the manifest's default, a small multilingual one. */
  model?: ModelInput | undefined;
}

export interface TranscribeOptions extends DecodeOptions, AudioOptions {
  /** Stops this transcription; the Transcriber stays usable. */
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
}

export class Transcriber {
  /** What runs: build, instruction set, threads, and the model. */
  readonly info: EngineInfo;
  readonly #engine: Engine;

  private constructor(engine: Engine, info: EngineInfo) {
    this.#engine = engine;
    this.info = info;
  }

  /** Starts an engine and loads a model into it. */
  static async create(options: CreateOptions = {}): Promise<Transcriber> {
    const { engine, info } = await Engine.open('Transcriber', 'speech', options.model ?? defaultModel, options);
    return new Transcriber(engine, info);
  }

  /** Whether a model is in the cache, can be fetched, or is unknown; other inputs than ids count as available. */
  static availability(options: Pick<CreateOptions, 'model'> & ModelOptions = {}): Promise<Availability> {
    return availabilityOf(options.model ?? defaultModel, options, 'speech');
  }

  /** Removes a model from the cache. */
  static remove(model: ModelInput): Promise<void> {
    return removeModel(model, 'speech');
  }

  /** Several calls queue. Buffers are read while it runs and stay the caller's. */
  transcribe(audio: AudioInput, options: TranscribeOptions = {}): Transcription {
    const transcription = new Transcription();
    this.#engine.run(
      {
        prepare: async (id) => {
          const decodeOptions = engineOptions(options);
          const { spec, pieces } = await resolveAudio(audio, options);
          return { message: { type: 'transcribe', id, options: decodeOptions, input: spec }, pieces };
        },
        receive(message) {
          if (message.type === 'segments')
            transcription._add(message.segments, message.language, message.languageProbability);
          else if (message.type === 'progress') options.onProgress?.(message.progress);
          else if (message.type === 'done') transcription._resolve(message.outcome);
        },
        reject: (error) => transcription._reject(error),
      },
      options.signal,
    );
    return transcription;
  }

  /** Names, types and shapes of the model's tensors. */
  tensors(): Promise<TensorInfo[]> {
    return this.#engine.tensors();
  }

  /** Where the time of the GPU went so far, by kernel; with `profile: true`. */
  profile(): Promise<Profile> {
    return this.#engine.profile();
  }

  /** Ends the workers and frees all memory; transcriptions under way fail with an AbortError. */
  destroy(): Promise<void> {
    return this.#engine.destroy();
  }

  [Symbol.dispose](): void {
    void this.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.destroy();
  }
}
