/* Where the chat meets the package: a worker with one model in it, and the answers that it writes. */

import { ContextOverflowEvent, LanguageModel, SottoError, type Generation, type Message } from 'sotto';
import type { ChatModel } from './models.ts';
import type { Sampling, Settings } from './settings.ts';
import { notWhileSealed, sealed } from '../frame/seal.ts';
import { placeOf, type Place } from '../ui/place.ts';
import { noteSpeed } from '../ui/speeds.ts';
import { sentenceOf, Told } from '../ui/told.ts';

export interface Question {
  messages: readonly Message[]; // the last is the user's
  begun: string; // how the answer begins already, '' for a new one
  chat: boolean; // false: their texts one after the other, to go on with
  sampling: Sampling;
  maxTokens: number | null;
  signal: AbortSignal;
  onRead: (fraction: number) => void; // of the question, 0 to 1
  onText: (piece: string) => void;
}

export interface Answer extends Generation {
  dropped: number; // oldest messages that did not fit
}

const WORTH_NOTING = 16; // tokens; shorter answers tell little of the speed

export class Writer {
  readonly #model: LanguageModel;
  readonly #id: string;
  readonly name: string;
  busy = false; // an answer is being written

  private constructor(model: LanguageModel, { id, name }: ChatModel) {
    this.#model = model;
    this.#id = id;
    this.name = name;
  }

  /** Starts an engine with a model. Throws Told with a sentence. `onBytes` is told how much of the model is there; `onMoved`: its GPU was lost. */
  static async open(
    model: ChatModel,
    { contextWindow, backend }: Pick<Settings, 'contextWindow' | 'backend'>,
    onMoved: (place: Place) => void,
    signal: AbortSignal,
    onBytes: (loaded: number, total: number) => void,
  ): Promise<Writer> {
    try {
      const opened = await LanguageModel.create({
        model: model.input,
        sources: model.sources,
        contextWindow: contextWindow ?? undefined,
        backend,
        onRestart: (info) => onMoved(placeOf(info)),
        signal,
        monitor: (m) => m.addEventListener('downloadprogress', ({ loaded, total }) => onBytes(loaded, total)),
      });
      return new Writer(opened, model);
    } catch (error) {
      throw signal.aborted ? error : notLoaded(model, error);
    }
  }

  get place(): Place {
    return placeOf(this.#model.info);
  }

  get weightBytes(): number {
    return this.#model.info.model.weightBytes;
  }

  get contextWindow(): number {
    return this.#model.contextWindow;
  }

  /** Answers. Throws Told, or as `signal` says. */
  async answer({ messages, begun, chat, sampling, maxTokens, signal, onRead, onText }: Question): Promise<Answer> {
    const { temperature, topK, topP, minP, repetitionPenalty, presencePenalty, frequencyPenalty, seed } = sampling;
    let generation: Generation | undefined;
    let dropped = 0;
    const options = {
      ...{ temperature, topK, topP, minP, repetitionPenalty, presencePenalty, frequencyPenalty },
      ...(seed !== null && { seed }),
      ...(maxTokens !== null && { maxTokens }),
      signal,
      raw: !chat,
      onProgress: (done: number, total: number) => onRead(total > 0 ? done / total : 1),
      onFinish: (g: Generation) => (generation = g),
    };
    const onOverflow = (event: Event) => {
      if (event instanceof ContextOverflowEvent) ({ dropped } = event);
    };
    this.#model.addEventListener('contextoverflow', onOverflow);
    this.busy = true;
    try {
      let input: string | Message[];
      if (chat) {
        this.#model.messages = messages.slice(0, -1);
        input = messages.slice(-1);
        if (begun) input.push({ role: 'assistant', content: begun, prefix: true });
      } else input = messages.map((m) => m.content).join('') + begun;
      for await (const piece of this.#model.promptStreaming(input, options)) onText(piece);
    } catch (error) {
      throw signal.aborted ? error : new Told(sentenceOf(error), { cause: error });
    } finally {
      this.#model.removeEventListener('contextoverflow', onOverflow);
      this.busy = false;
    }
    const { nDecode, decodeMs } = generation!.timings;
    if (nDecode >= WORTH_NOTING) noteSpeed(this.#id, (1000 * nDecode) / decodeMs);
    return { ...generation!, dropped };
  }

  close(): void {
    void this.#model.destroy();
  }
}

/** Whether nothing more can be had of a writer after this error. */
export function isFatal(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof SottoError && ['internal', 'closed', 'memory'].includes(cause.code);
}

/** Why a model did not come, and what to do. The addresses that were tried are in the console. */
function notLoaded({ name, id }: ChatModel, error: unknown): Error {
  if (id === 'own') return new Told(`${name} cannot be used. ${sentenceOf(error)}`);
  if (!(error instanceof SottoError) || error.code !== 'network') return new Told(sentenceOf(error));
  console.warn(error.message);
  if (sealed.value) return new Told(notWhileSealed(name));
  if (!navigator.onLine) {
    return new Told(`You are offline, and ${name} is not on this device yet. Connect once to download it.`);
  }
  if (/SHA-256|bytes of the model|bytes, not/.test(error.message)) {
    return new Told(`${name} arrived damaged: it is not the published file. Try again, or choose another model.`);
  }
  return new Told(
    `${name} could not be downloaded. Check the connection and try again, or open a model file of your own.`,
  );
}
