// What the page and the worker say to each other about quantization. Public where index.ts exports it.
import type { Variant } from '../detect.js';
import type { BackendChoice, GpuInfo, ModelPart } from '../protocol.js';

/** To what the weights are quantized: a type of all matrices, or the name of a mix. Upper or lower case. */
export const QUANTIZE_TYPES = [
  'f16',
  'bf16',
  'q8_0',
  'q6_K',
  'q5_K_M',
  'q5_K',
  'q5_1',
  'q5_0',
  'q4_K_M',
  'q4_K_S',
  'q4_K',
  'q4_1',
  'q4_0',
] as const;
export type QuantizeType = (typeof QUANTIZE_TYPES)[number];

/** What decides the bytes of the output, beside the source. */
export interface Recipe {
  type: string;
  /** The last pattern that matches a tensor says its type. */
  tensors: [pattern: string, type: string][];
  /** A file of importances. */
  imatrix?: Uint8Array | undefined;
  /** Of the model, where its files do not say it. */
  name?: string | undefined;
  /** k-quants by the range alone, without a search. */
  fast?: boolean | undefined;
}

/** Where the output goes. */
export type OutputSpec =
  | { kind: 'kept'; name: string }
  | { kind: 'path'; path: string }
  /** To the page, which has it written. */
  | { kind: 'sent'; inOrder: boolean };

export interface QuantizeMessage {
  type: 'quantize';
  files: ModelPart[];
  recipe: Recipe;
  /** undefined: make the plans for `types`, and no more. */
  output?: OutputSpec | undefined;
  types?: readonly string[] | undefined;
  backend: BackendChoice;
  dawn?: readonly string[] | undefined;
  threads?: number | undefined;
  variant?: Variant | undefined;
  /** What is done stays for another attempt, when it is cancelled or fails. */
  keepPart: boolean;
}

/** What quantizing would give, before anything is converted. */
export interface QuantizePlan {
  /** As it was asked for: "q4_K_M". */
  type: string;
  /** Of the file that comes out: "gguf", or "ggml" for Whisper. */
  format: string;
  /** "gemma3", "whisper", ... */
  architecture: string;
  name: string;
  nTensors: number;
  nParameters: number;
  /** Of all tensors in the source. */
  sourceBytes: number;
  /** Most of the source's weights are of this type: "bf16". */
  sourceType: string;
  /** Of the whole file. */
  outBytes: number;
  /** Sentences to be read before one starts. */
  warnings: string[];
}

export interface QuantizeProgress {
  /**
   * - `reading`: heads of files, to make the plan
   * - `downloading`: a file whole, whose server gives no parts of it; `file` says which
   * - `checking`: what an earlier attempt left
   * - `converting`
   */
  phase: 'reading' | 'downloading' | 'checking' | 'converting';
  /** Being downloaded. */
  file?: string | undefined;
  /** Name of the tensor in the output. */
  tensor: string;
  /** It is number `index` of `nTensors`, from 1 on. */
  index: number;
  nTensors: number;
  /** Of the source: those of tensors that were taken over count. */
  bytesRead: number;
  sourceBytes: number;
  bytesWritten: number;
  outBytes: number;
  /** 0 to 1, of the phase. */
  fraction: number;
  /** Of the source, lately; 0: not known yet. */
  bytesPerSecond: number;
  /** undefined: not known yet. */
  secondsLeft?: number | undefined;
  /** Tensors that were taken over from an earlier attempt. */
  resumedTensors: number;
  paused: boolean;
  device: QuantizeDevice;
}

/** What converts. */
export interface QuantizeDevice {
  backend: 'cpu' | 'webgpu';
  gpu?: GpuInfo | undefined;
  /** Why the processor does it, where a GPU was looked for: a sentence without its full stop. */
  whyCpu?: string | undefined;
  threads: number;
}

/** What came of it. */
export interface QuantizeOutcome {
  plan: QuantizePlan;
  device: QuantizeDevice;
  /** Tensors that a GPU converted. */
  gpuTensors: number;
  resumedTensors: number;
  /** Bytes of the source that were converted now, and how long it took. */
  convertedBytes: number;
  seconds: number;
}
