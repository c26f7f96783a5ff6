// What the page (or Node's main thread) and the engine's worker say to each other.
//
//   page                                worker
//   load {model, threads, ...}   ──>
//                                <──    download {loaded, total}        0..n
//                                <──    ready {info}  |  failed
//   transcribe {id, input}       ──>
//                                <──    pull {id}                       the worker asks for one more piece
//   piece {id, data | end}       ──>
//                                <──    segments, progress {id}         0..n
//   cancel {id}                  ──>
//                                <──    done {id} | failed {id}
//   generate {id, session, ...}  ──>                                   language models; open and count alike
//                                <──    text {id}                       0..n
//   cancel {id}                  ──>
//                                <──    generated {id} | failed {id}
//   close                        ──>
//                                <──    closed
//
// Pieces of a model that the page itself reads (streams, buffers) travel the same way, as id 0.
import type { Variant } from './detect.js';
import type { ErrorData } from './errors.js';
import type { OptionValue } from './options.js';

/** Where the bytes of a model come from. */
export type ModelSpec =
  | { kind: 'pulled'; size?: number | undefined; sha256?: string | undefined }
  | { kind: 'blob'; blob: Blob }
  | { kind: 'file'; path: string }
  | { kind: 'download'; download: Download };

export interface Download {
  name: string;
  /** Its name in a cache. */
  file: string;
  urls: string[];
  size?: number | undefined;
  sha256?: string | undefined;
  /** Look in the cache and keep the file there; only for files with a sha256. */
  cache: boolean;
}

/** Where the samples of a recording come from. */
export type AudioSpec =
  /** Pieces are Float32Arrays of interleaved frames. */
  | { kind: 'pcm'; rate: number; channels: number; duration?: number | undefined }
  /** Pieces are bytes of a WAV file. */
  | { kind: 'wav' }
  | { kind: 'wavBlob'; blob: Blob };

export interface Segment {
  /** In s from the start of the audio. */
  start: number;
  end: number;
  /** Starts with a space in languages that have them. */
  text: string;
  tokens: Token[];
  noSpeechProb: number;
  /** At which the window was accepted. */
  temperature: number;
  avgLogprob: number;
  compressionRatio: number;
}

export interface Token {
  id: number;
  /** May be a part of a character: then it holds U+FFFD. */
  text: string;
  /** Probability, 0 to 1. */
  p: number;
}

export interface Progress {
  /** Audio transcribed so far, in s. */
  done: number;
  /** Audio received so far, in s. */
  received: number;
  /** Length of the audio in s, where it is known. */
  duration?: number | undefined;
  /** 0 to 1; of the duration, or else of what was received. */
  fraction: number;
}

/** Wall times. */
export interface Timings {
  /** Of the model, from create() to ready. */
  loadMs: number;
  melMs: number;
  encodeMs: number;
  decodeMs: number;
  /** Of the transcription, from its start in the worker. */
  totalMs: number;
  /** Windows encoded. */
  nEncode: number;
  /** Decoder steps. */
  nDecode: number;
}

/** Who speaks. */
export type Role = 'system' | 'user' | 'assistant';

export interface Message {
  role: Role;
  content: string;
}

/** What a language model goes on with: a conversation in its template, or a text as it is. */
export type Prompt = { messages: Message[] } | { text: string };

/** Wall times of one generation. */
export interface GenerationTimings {
  prefillMs: number;
  /** Tokens of the prompt. */
  nPrefill: number;
  decodeMs: number;
  /** Tokens evaluated one by one. */
  nDecode: number;
}

export interface Generation {
  text: string;
  promptTokens: number[];
  /** Those written, the one that ends the text included. */
  tokens: number[];
  /** The model's own end, a string of `stop`, `maxTokens`, or a full context. */
  stopReason: 'end' | 'stop' | 'length' | 'context';
  timings: GenerationTimings;
  /** Of the engine's linear memory. */
  memoryBytes: number;
}

export interface GenerateMessage {
  type: 'generate';
  id: number;
  session: number;
  prompt: Prompt;
  /** Of the sampler: [name in sotto.h, value]. */
  sampling: [string, number][];
  maxTokens: number;
  stop: string[];
}

/** Tasks on a language model. */
export type LanguageMessage =
  | GenerateMessage
  /** Opens session number `session`; `context` 0: the default. */
  | { type: 'open'; id: number; session: number; context: number }
  /** Tokens of a text alone, or of a conversation. */
  | { type: 'count'; id: number; prompt: Prompt };

export interface ModelInfo {
  architecture: string;
  name: string;
  weightType: string;
  nVocab: number;
  nMel: number;
  nAudioCtx: number;
  nAudioState: number;
  nAudioHead: number;
  nAudioLayer: number;
  nTextCtx: number;
  nTextState: number;
  nTextHead: number;
  nTextLayer: number;
  /** Heads of keys and values, and the width of one; language models only, as the next two. */
  nKvHead: number;
  headDim: number;
  /** Width of the feed-forward layers. */
  nFf: number;
  /** Tokens that layers with local attention look back; 0: all layers see all. */
  window: number;
  multilingual: boolean;
  /** Those it can write down. */
  languages: Language[];
  nTensors: number;
  nParameters: number;
  /** In memory. */
  weightBytes: number;
}

export interface Language {
  /** "en" */
  code: string;
  /** "english" */
  name: string;
}

export interface EngineInfo {
  /** Which of the four builds runs. */
  variant: Variant;
  /** Instruction set of the kernels. */
  isa: string;
  threads: number;
  /** Why only one thread is used, where more were wanted. */
  whySingle?: string | undefined;
  /** All that the engine knows; the model may know fewer. */
  languages: Language[];
  model: ModelInfo;
  /** Whether the model came from the cache. */
  cached: boolean;
  loadMs: number;
}

export interface Outcome {
  language: string;
  languageProbability: number;
  /** The likeliest languages where detection ran, best first. */
  languages: { language: string; probability: number }[];
  timings: Timings;
  /** Of the engine's linear memory. */
  memoryBytes: number;
}

export interface LoadMessage {
  type: 'load';
  kind: 'speech' | 'language';
  model: ModelSpec;
  threads?: number | undefined;
  variant?: Variant | undefined;
}

export type ToWorker =
  | LoadMessage
  | { type: 'transcribe'; id: number; options: [string, OptionValue][]; input: AudioSpec }
  | LanguageMessage
  | { type: 'closeSession'; session: number }
  | { type: 'piece'; id: number; data: Float32Array | Uint8Array | null }
  | { type: 'cancel'; id: number }
  | { type: 'tensors'; id: number }
  | { type: 'close' };

export interface TensorInfo {
  name: string;
  type: string;
  shape: number[];
}

export type FromWorker =
  | { type: 'download'; loaded: number; total: number }
  | { type: 'ready'; info: EngineInfo }
  | { type: 'failed'; id: number; error: ErrorData }
  | { type: 'pull'; id: number }
  | { type: 'segments'; id: number; segments: Segment[]; language: string; languageProbability: number }
  | { type: 'progress'; id: number; progress: Progress }
  | { type: 'done'; id: number; outcome: Outcome }
  | { type: 'text'; id: number; text: string }
  | { type: 'generated'; id: number; generation: Generation }
  | { type: 'opened'; id: number; contextWindow: number }
  | { type: 'counted'; id: number; n: number }
  | { type: 'tensors'; id: number; tensors: TensorInfo[] }
  | { type: 'closed' };
