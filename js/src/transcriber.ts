/// <reference lib="esnext.disposable" preserve="true" />
// The public class for speech: an engine with a Whisper model, and recordings handed to it.
import { availabilityOf, Engine, removeModel, type Availability, type EngineOptions } from './engine.js';
import type { Profile } from './gpu/profile.js';
import { host } from '@host';
import { LiveTranscription } from './live-transcription.js';
import { isListening, openSource, type LiveSource } from './live-source.js';
import { resolveAudio, type AudioInput, type AudioOptions } from './input.js';
import type { ModelInput, ModelOptions } from './model-input.js';
import { engineOptions, type DecodeOptions } from './options.js';
import type { EngineInfo, LiveEvent, Progress, TensorInfo } from './protocol.js';
import { Transcription } from './transcription.js';
import type { VadOptions } from './vad-options.js';

export interface CreateOptions extends EngineOptions {
  /** Default "default": that of the manifest, a small multilingual one. */
  model?: ModelInput | undefined;
}

export interface TranscribeOptions extends DecodeOptions, AudioOptions {
  /** Stops this transcription; the Transcriber stays usable. */
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
  /** Skip silence: only what is speech is transcribed, and what lies between keeps its time. */
  vad?: boolean | undefined;
}

export interface LiveOptions extends Pick<DecodeOptions, 'language' | 'task' | 'initialPrompt' | 'suppressTokens' | 'suppressSymbols'> {
  /** Of samples that the caller gives, in Hz. */
  sampleRate?: number | undefined;
  /** What tells speech from silence: `minSilenceMs` (default 480) is how long a pause ends a phrase. */
  vad?: VadOptions | undefined;
  /** Ends it at once; what was not final is lost. stop() ends it in order. */
  signal?: AbortSignal | undefined;
  /** Told of each event, beside `for await`. */
  onEvent?: ((event: LiveEvent) => void) | undefined;
  /** The loudest sample of each piece of sound, 0 to 1: about ten times a second. Of what listens already, that is an option of listen(). */
  onLevel?: ((level: number) => void) | undefined;
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
    const { engine, info } = await Engine.open('Transcriber', 'speech', options.model ?? 'default', options);
    return new Transcriber(engine, info);
  }

  /** Whether a model is in the cache, can be fetched, or is unknown; other inputs than ids count as available. */
  static availability(options: Pick<CreateOptions, 'model'> & ModelOptions = {}): Promise<Availability> {
    return availabilityOf(options.model ?? 'default', options, 'speech');
  }

  /** Removes a model from the cache. */
  static remove(model: ModelInput, options: ModelOptions = {}): Promise<void> {
    return removeModel(model, options, 'speech');
  }

  /** Several calls queue. Buffers are read while it runs and stay the caller's. */
  transcribe(audio: AudioInput, options: TranscribeOptions = {}): Transcription {
    const transcription = new Transcription();
    this.#engine.run(
      {
        prepare: async (id) => {
          const decodeOptions = engineOptions(options);
          const { spec, pieces } = await resolveAudio(audio, options);
          const vad = options.vad ? await host.readVad() : undefined;
          return { message: { type: 'transcribe', id, options: decodeOptions, input: spec, vad }, pieces };
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

  /** Transcribes speech while it is spoken, until the sound ends or it is stopped. Other calls of this Transcriber wait until then. */
  live(source: LiveSource, options: LiveOptions = {}): LiveTranscription {
    const { language, task, initialPrompt, suppressTokens, suppressSymbols } = options;
    let open = isListening(source) ? source : undefined;
    let stopped = false;
    const live = new LiveTranscription(() => {
      stopped = true;
      open?.stop();
    }, options.onEvent);
    this.#engine.run(
      {
        prepare: async (id) => {
          const decodeOptions = engineOptions({ language, task, initialPrompt, suppressTokens, suppressSymbols });
          const vad = await host.readVad();
          open = await openSource(source, options.sampleRate, options.onLevel);
          if (stopped || options.signal?.aborted) open.stop();
          const input = { kind: 'pcm' as const, rate: open.rate, channels: 1 };
          const message = { type: 'live' as const, id, options: decodeOptions, input, vad, vadOptions: options.vad ?? {} };
          return { message, pieces: open.pieces };
        },
        receive(message) {
          if (message.type === 'live') {
            const { event } = message;
            event.start += open!.skipped;
            event.end += open!.skipped;
            live._add(event);
          } else if (message.type === 'answer') live._end();
        },
        reject: (error) => {
          open?.stop();
          live._reject(error);
        },
      },
      options.signal,
    );
    return live;
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
