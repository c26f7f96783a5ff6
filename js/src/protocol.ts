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
//                                <──    restarted {info}                the GPU was lost: what is under way goes on
//   live {id, input}             ──>                                   as transcribe, without an end of its own
//                                <──    live {id, event}                0..n
//   generate {id, session, ...}  ──>                                   language models; the other tasks alike
//                                <──    evaluated, overflow, text {id}  0..n
//   cancel {id}                  ──>
//                                <──    answer {id} | failed {id}
//   quantize {files, recipe}     ──>                                   in a worker of its own
//                                <──    quantizing {progress}           0..n
//                                <──    bytes {at, data}                where the page writes the output itself
//   more, pause, cancel          ──>
//                                <──    quantized | plans | failed
//   store {task}                 ──>                                   in a worker of its own
//                                <──    storing {news}                  0..n
//                                <──    stored {result} | failed
//   close                        ──>
//                                <──    closed
//
// Pieces of a model that the page itself reads (streams, buffers) travel the same way, as id 0, one file after the other.
import type { Variant } from './detect.js';
import type { ErrorData } from './errors.js';
import type { Profile } from './gpu/profile.js';
import type { Group } from './kept.js';
import type { ModelKind } from './kind.js';
import type { OptionValue } from './options.js';
import type { VadOptions } from './vad-options.js';
import type { OwnHeaders } from './request.js';
import type { StoreNews, StoreResult, StoreTask } from './store/messages.js';
import type { QuantizeMessage, QuantizeOutcome, QuantizePlan, QuantizeProgress } from './quantize/types.js';

/** A model: one file, or several that belong together, in the order in which the engine wants them. */
export interface ModelSpec {
  parts: ModelPart[];
}

/** Where the bytes of a file come from. */
export type ModelPart = {
  /** Its name, by which the engine knows files of several apart. */
  file: string;
  size?: number | undefined;
  /** What its bytes must be. */
  sha256?: string | undefined;
} & ({ kind: 'pulled' } | { kind: 'blob'; blob: Blob } | { kind: 'path'; path: string } | Download);

export interface Download {
  kind: 'download';
  /** For messages. */
  name: string;
  /** Tried in order. */
  urls: string[];
  /** Look in the cache and keep the file there, under this key: only where something says what its bytes must be. */
  cacheKey?: string | undefined;
  /** Neither look in the store nor keep it there. */
  fresh?: boolean | undefined;
  /** It is in the store under this key: not asked for elsewhere, as long as it is whole there. */
  stored?: string | undefined;
  /** One file of several that are a model. */
  group?: Group | undefined;
  /** A connection that is silent for so long counts as broken. */
  stallMs?: number | undefined;
  /** Of the caller, by the origins that they go to. */
  headers?: Readonly<Record<string, OwnHeaders>> | undefined;
}

/** What goes along with a request for one of its addresses. */
export const headersFor = ({ headers }: Pick<Download, 'headers'>, url: string): OwnHeaders | undefined => headers?.[new URL(url).origin];

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

/** What live transcription tells; times in s from the start of the sound. */
export type LiveEvent =
  | { type: 'speech-start' | 'speech-end'; start: number; end: number }
  | {
      /** "partial": the speech goes on; "final": it is over, and all of it is settled. */
      type: 'partial' | 'final';
      text: string;
      /** The beginning of the text that will not change any more. */
      settled: string;
      start: number;
      end: number;
      /** Code of the language, "" before it is known. */
      language: string;
    };

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
  /** Until the encoder was done, waits for a GPU included; the decoder's time follows it. */
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

/** What one of them said. */
export interface Turn {
  role: Role;
  content: string;
}

/** What a language model goes on with: a conversation in its template, and how the answer begins; or a text as it is. */
export type Prompt = { turns: Turn[]; prefix: string } | { text: string };

/** What a sampler is opened with: [name in sotto.h, value], [id, bias]. */
export interface Sampling {
  options: [string, number][];
  logitBias?: [number, number][] | undefined;
}

/** Wall times of one generation. */
export interface GenerationTimings {
  prefillMs: number;
  /** Tokens of the prompt. */
  nPrefill: number;
  /** Those of them that were evaluated before, and not again. */
  nReused: number;
  decodeMs: number;
  /** Tokens evaluated one by one. */
  nDecode: number;
}

/** Log-probabilities are the model's own: before penalties, temperature and the rest. */
export interface TokenLogprob {
  id: number;
  /** May be a part of a character: then it holds U+FFFD. */
  text: string;
  logprob: number;
  /** The likeliest in its place, as many as were asked for. */
  top: { id: number; text: string; logprob: number }[];
}

export interface Generation {
  /** Without the prefix that was given. */
  text: string;
  promptTokens: number[];
  /** Those written, the one that ends the text included. */
  tokens: number[];
  /** The model's own end, a string of `stop`, `maxTokens`, or a full context. */
  stopReason: 'end' | 'stop' | 'length' | 'context';
  /** Of each of the tokens, where asked for. */
  logprobs?: TokenLogprob[] | undefined;
  timings: GenerationTimings;
  /** Where tokens were guessed ahead: the steps that checked guesses, the guesses, and those that were right, each of which spared a step. */
  guesses?: { checks: number; tokens: number; accepted: number } | undefined;
  /** Of the engine's linear memory. */
  memoryBytes: number;
}

export interface GenerateMessage {
  type: 'generate';
  id: number;
  session: number;
  prompt: Prompt;
  sampling: Sampling;
  maxTokens: number;
  stop: string[];
  /** undefined: tell no log-probabilities. */
  logprobs?: number | undefined;
  /** Leave out the oldest turns where the context is too small. */
  drop: boolean;
}

/** Logits of tokens [first, first + rows) of a text: [rows, n_vocab]. */
export interface LogitRows {
  first: number;
  rows: number;
  data: Float32Array;
}

/** Tasks on a language model; each is answered by one `answer`. */
export type LanguageMessage =
  /** A Generation. */
  | GenerateMessage
  /** Opens session number `session`: its context window. Options as those of a sampler. */
  | { type: 'open'; id: number; session: number; options: [string, number][]; saved?: Uint8Array | undefined }
  /** Opens session number `session` as a copy of another. */
  | { type: 'fork'; id: number; session: number; from: number }
  /** The session as a Uint8Array. */
  | { type: 'save'; id: number; session: number }
  /** Ids of a text or of a conversation: number[]. */
  | { type: 'tokenize'; id: number; prompt: Prompt; special: boolean; bos: boolean }
  /** How many those are. */
  | { type: 'count'; id: number; prompt: Prompt }
  /** A string. */
  | { type: 'detokenize'; id: number; ids: Int32Array; special: boolean }
  /** Log-probabilities of ids[1..]: a Float32Array. Options of the session beside those that it needs. */
  | { type: 'score'; id: number; ids: Int32Array; options?: [string, number][] }
  /** Nothing; before that `rows`, each but the first after a `more`. */
  | { type: 'logits'; id: number; ids: Int32Array; options?: [string, number][] };

export type LanguageAnswer = Generation | number | number[] | string | Uint8Array | Float32Array | undefined;

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

/** What computes: the processor, or the GPU by WebGPU. */
export type Backend = 'cpu' | 'webgpu';

/** "auto": the GPU where there is a real one, else the processor. */
export type BackendChoice = 'auto' | Backend;
export const BACKENDS: readonly BackendChoice[] = ['auto', 'webgpu', 'cpu'];

/** The GPU that computes. */
export interface GpuInfo {
  /** Who made it and what it is, as far as it is told: "nvidia hopper". */
  adapter: string;
  /** No GPU at all: the processor plays one, slowly. */
  software: boolean;
  /** What it can do beyond plain WebGPU, of what is used: "shader-f16", "subgroups", ... */
  features: string[];
}

export interface EngineInfo {
  /** Which of the four builds runs. */
  variant: Variant;
  backend: Backend;
  /** Where the backend is "webgpu". */
  gpu?: GpuInfo | undefined;
  /** Why the processor computes, where a GPU was looked for: a sentence without its full stop. */
  whyCpu?: string | undefined;
  /** Instruction set of the kernels. */
  isa: string;
  threads: number;
  /** Why only one thread is used, where more were wanted. */
  whySingle?: string | undefined;
  /** All that the engine knows; the model may know fewer. */
  languages: Language[];
  model: ModelInfo;
  /** The smaller model that guesses tokens, where there is one in use. */
  draft?: ModelInfo | undefined;
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

/** How tokens are guessed ahead, where the processor computes: by a smaller model, or else by what came before in the text. */
export interface DraftSpec {
  model?: ModelSpec | undefined;
  /** Most guesses checked at once. */
  most?: number | undefined;
}

export interface LoadMessage {
  type: 'load';
  kind: ModelKind;
  model: ModelSpec;
  draft?: DraftSpec | undefined;
  threads?: number | undefined;
  variant?: Variant | undefined;
  backend: BackendChoice;
  /** Options of Dawn, which is WebGPU in Node. */
  dawn?: readonly string[] | undefined;
  /** Time each kernel of the GPU. */
  profile?: boolean | undefined;
}

/** Transcribes sound as it comes, until it ends: `live` events, then an `answer` of nothing. */
export interface LiveMessage {
  type: 'live';
  id: number;
  options: [string, OptionValue][];
  input: Extract<AudioSpec, { kind: 'pcm' }>;
  vad: Uint8Array;
  vadOptions: VadOptions;
}

export type ToWorker =
  | LoadMessage
  | { type: 'transcribe'; id: number; options: [string, OptionValue][]; input: AudioSpec; vad?: Uint8Array | undefined }
  | LiveMessage
  | LanguageMessage
  | { type: 'closeSession'; session: number }
  | { type: 'piece'; id: number; data: Float32Array | Uint8Array | null }
  /** The page has used the rows that came. */
  | { type: 'more'; id: number }
  | QuantizeMessage
  | { type: 'store'; task: StoreTask }
  | { type: 'pause'; paused: boolean }
  /** `keep`: of a quantization, what is done for the next time. */
  | { type: 'cancel'; id: number; keep?: boolean | undefined }
  | { type: 'tensors'; id: number }
  | { type: 'profile'; id: number }
  | { type: 'close' };

export interface TensorInfo {
  name: string;
  type: string;
  shape: number[];
}

export type FromWorker =
  | { type: 'download'; loaded: number; total: number }
  | { type: 'ready'; info: EngineInfo }
  /** A GPU was lost, and the engine started anew. */
  | { type: 'restarted'; info: EngineInfo }
  | { type: 'failed'; id: number; error: ErrorData }
  | { type: 'pull'; id: number }
  | { type: 'segments'; id: number; segments: Segment[]; language: string; languageProbability: number }
  | { type: 'progress'; id: number; progress: Progress }
  | { type: 'done'; id: number; outcome: Outcome }
  | { type: 'live'; id: number; event: LiveEvent }
  | { type: 'text'; id: number; text: string }
  | { type: 'evaluated'; id: number; done: number; total: number }
  | { type: 'overflow'; id: number; dropped: number }
  | { type: 'rows'; id: number; rows: LogitRows }
  | { type: 'answer'; id: number; answer: LanguageAnswer }
  | { type: 'tensors'; id: number; tensors: TensorInfo[] }
  | { type: 'profile'; id: number; profile: Profile }
  | { type: 'quantizing'; progress: QuantizeProgress }
  | { type: 'bytes'; at: number; data: Uint8Array<ArrayBuffer> }
  | { type: 'quantized'; outcome: QuantizeOutcome }
  | { type: 'plans'; plans: QuantizePlan[] }
  | { type: 'storing'; news: StoreNews }
  | { type: 'stored'; result: StoreResult }
  | { type: 'closed' };
