// Describes language models without loading them: GGUF and safetensors files, and folders as on Hugging Face.
//
//   files ─> headers: sizes, tensors, metadata ───────┐
//        └─> the engine: vocabulary, template, memory ┴─> Description ─> cli-info-print.ts
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { checkWhole, DamagedFile, FileReader, fileTensor, type FileTensor } from './cli-file.js';
import { arrayOf, numberOf, readGguf, splitOf, stringOf, type Gguf, type GgufValue } from './cli-gguf.js';
import { askOfFolder, askOfGguf, engineProblem, type EngineAnswers } from './cli-info-engine.js';
import { partsOf } from './files.js';

export interface InfoRequest {
  json: boolean;
  tensors: boolean;
  metadata: boolean;
  /** undefined: of the usual contexts. */
  ctx?: number;
}

export const SIZES = [
  'n_layer',
  'd_model',
  'd_ff',
  'n_head',
  'n_head_kv',
  'head_dim',
  'n_vocab',
  'n_ctx',
  'sliding_window',
] as const;
export type Sizes = Partial<Record<(typeof SIZES)[number], number>>;

export const SPECIAL = ['bos', 'eos', 'unk', 'pad'] as const;

/** What is not said is undefined, or "". */
export interface Description {
  format: string;
  architecture: string;
  name: string;
  quantization: string;
  tokenizer: string;
  sizes: Sizes;
  special: Partial<Record<(typeof SPECIAL)[number], number>>;
  split: { part: number; nParts: number; nTensors: number };
  /** Described here. */
  nFiles: number;
  fileBytes: number;
  chatTemplateBytes: number;
  tensors: FileTensor[];
  /** Of a GGUF file, by key, or config.json. */
  metadata: Map<string, GgufValue> | Record<string, unknown>;
  engine: EngineAnswers;
}

/** Text from a file, fit to be shown: one line. */
const line = (text: unknown): string =>
  typeof text === 'string' ? text.replace(/[\x00-\x1f\x7f]/g, '?').slice(0, 127) : '';

const nothing = (): Description => ({
  ...{ format: '', architecture: '', name: '', quantization: '', tokenizer: '', sizes: {}, special: {} },
  ...{
    split: { part: 0, nParts: 1, nTensors: 0 },
    nFiles: 0,
    fileBytes: 0,
    chatTemplateBytes: 0,
    tensors: [],
    metadata: {},
  },
  engine: { problem: '', chats: false, ends: [], contexts: [] },
});

/** Reads the header of a file; sentences about damage are the engine's, as it reads the same file. */
async function withHeader<T>(file: string, read: (r: FileReader) => T): Promise<T> {
  const r = new FileReader(file);
  try {
    return read(r);
  } catch (error) {
    if (!(error instanceof DamagedFile)) throw error;
    throw new Error((await engineProblem(file)) ?? error.message, { cause: error });
  } finally {
    r.close();
  }
}

// ---- GGUF ----

/** Names of the mixtures that llama.cpp makes, by general.file_type. */
const MIXTURES: Record<number, string> = {
  ...{
    0: 'F32',
    1: 'F16',
    2: 'Q4_0',
    3: 'Q4_1',
    7: 'Q8_0',
    8: 'Q5_0',
    9: 'Q5_1',
    10: 'Q2_K',
    11: 'Q3_K_S',
    12: 'Q3_K_M',
  },
  ...{ 13: 'Q3_K_L', 14: 'Q4_K_S', 15: 'Q4_K_M', 16: 'Q5_K_S', 17: 'Q5_K_M', 18: 'Q6_K', 21: 'Q2_K_S', 25: 'IQ4_NL' },
  ...{ 30: 'IQ4_XS', 32: 'BF16' },
};

function describeMetadata(d: Description, g: Gguf): void {
  const { values } = g;
  d.format = `GGUF version ${g.version}`;
  d.architecture = line(stringOf(values, 'general.architecture'));
  d.name = line(stringOf(values, 'general.name'));
  d.quantization = MIXTURES[numberOf(values, 'general.file_type') ?? -1] ?? '';
  const size = (key: string): number | undefined => numberOf(values, `${d.architecture}.${key}`);
  d.sizes = {
    n_layer: size('block_count'),
    d_model: size('embedding_length'),
    d_ff: size('feed_forward_length'),
    n_head: size('attention.head_count'),
    n_head_kv: size('attention.head_count_kv'),
    head_dim: size('attention.key_length'),
    n_vocab: arrayOf(values, 'tokenizer.ggml.tokens')?.count,
    n_ctx: size('context_length'),
    sliding_window: size('attention.sliding_window'),
  };
  d.tokenizer = line(stringOf(values, 'tokenizer.ggml.model'));
  const token = (name: string): number | undefined => numberOf(values, `tokenizer.ggml.${name}_token_id`);
  d.special = { bos: token('bos'), eos: token('eos'), unk: token('unknown'), pad: token('padding') };
  d.chatTemplateBytes = Buffer.byteLength(stringOf(values, 'tokenizer.chat_template') ?? '');
  d.split = splitOf(g);
  d.metadata = values;
}

async function describeGguf(d: Description, file: string, request: InfoRequest): Promise<void> {
  const g = await withHeader(file, readGguf);
  const split = splitOf(g);
  if (d.nFiles === 0) {
    describeMetadata(d, g);
    if (split.part === 0 && g.tensors.length > 0) d.engine = await askOfGguf(file, g.dataAt, request.ctx);
  } else if (split.part !== d.nFiles || split.nParts !== d.split.nParts) {
    throw new Error(`part ${d.nFiles + 1} of ${d.split.nParts} does not belong to the others: download it again`);
  }
  d.nFiles++;
  d.fileBytes += statSync(file).size;
  d.tensors.push(...g.tensors);
}

// ---- safetensors, and what lies beside ----

const DTYPES: Record<string, number> = { F32: 0, F16: 1, BF16: 30 };
const MOST_HEADER_BYTES = 100_000_000;

function readSafetensors(r: FileReader): FileTensor[] {
  const size = r.u64();
  if (size > MOST_HEADER_BYTES)
    throw new Error(
      `the header claims ${size} bytes, more than the ${MOST_HEADER_BYTES} that are allowed: the file is corrupt; download it again`,
    );
  if (size > r.size - r.position)
    throw new Error('the file ends inside its header: it is truncated; download it again');
  const begins: number[] = [];
  const corrupt = (name: string): Error =>
    new Error(`the tensor ${name} cannot be as it is described: the file is corrupt; download it again`);
  let header: Record<string, { dtype?: string; shape?: number[]; data_offsets?: number[] } | null>;
  try {
    header = JSON.parse(r.text(size)) as typeof header;
  } catch {
    throw new Error('the header is no JSON text: the file is corrupt; download it again');
  }
  const tensors = Object.entries(header ?? {}).flatMap(([name, about]) => {
    if (name === '__metadata__') return [];
    const { dtype, shape, data_offsets: offsets } = about ?? {};
    if (!Array.isArray(shape) || shape.length > 4 || !shape.every(Number.isInteger) || !Array.isArray(offsets))
      throw corrupt(name);
    if (typeof dtype !== 'string' || !(dtype in DTYPES))
      throw new Error(`the tensor ${name} is of dtype ${dtype}; F32, F16 and BF16 are read: use such a file`);
    const tensor = fileTensor(name, DTYPES[dtype], shape);
    if (offsets[1] - offsets[0] !== tensor.bytes) throw corrupt(name);
    begins.push(8 + size + offsets[0]);
    return [tensor];
  });
  checkWhole(tensors, begins, r.size);
  return tensors;
}

function describeSafetensors(d: Description, file: string): void {
  const r = new FileReader(file);
  try {
    d.tensors.push(...readSafetensors(r));
    d.fileBytes += r.size;
  } finally {
    r.close();
  }
  d.nFiles++;
  d.format = 'safetensors';
}

type Json = Record<string, unknown>;

function readJson(file: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Error(`${path.basename(file)} is no JSON text: it is corrupt; download it again`, { cause: error });
  }
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}

const integerOf = (value: unknown): number | undefined => {
  const first: unknown = Array.isArray(value) ? value[0] : value; // an id, or the first of several
  return Number.isInteger(first) && (first as number) >= 0 ? (first as number) : undefined;
};

function describeConfig(d: Description, config: Json): void {
  const part = (config['text_config'] ?? config) as Json; // of models that see
  d.architecture = line(part['model_type']);
  const size = (key: string): number | undefined => integerOf(part[key]) || undefined;
  d.sizes = {
    n_layer: size('num_hidden_layers'),
    d_model: size('hidden_size'),
    d_ff: size('intermediate_size'),
    n_head: size('num_attention_heads'),
    n_head_kv: size('num_key_value_heads'),
    head_dim: size('head_dim'),
    n_vocab: size('vocab_size'),
    n_ctx: size('max_position_embeddings'),
    sliding_window: size('sliding_window'),
  };
  const token = (name: string): number | undefined => integerOf(part[`${name}_token_id`]);
  d.special = { bos: token('bos'), eos: token('eos'), pad: token('pad') };
  d.metadata = config;
}

function describeTokenizer(d: Description, tokenizer: Json): void {
  const model = (tokenizer['model'] ?? {}) as Json;
  d.tokenizer = line(model['type']);
  const nTokens = Object.keys((model['vocab'] as Json | null) ?? {}).length;
  if (nTokens > 0) d.sizes.n_vocab = nTokens;
}

/** config.json, the tokenizer and the chat template, where they are there. */
async function describeFolder(d: Description, folder: string, { ctx }: InfoRequest): Promise<void> {
  const beside = (name: string): string | undefined => {
    const file = path.join(folder, name);
    return existsSync(file) ? file : undefined;
  };
  const config = beside('config.json');
  if (config) describeConfig(d, readJson(config));
  const json = beside('tokenizer.json');
  const tokenizer = json ?? beside('tokenizer.model');
  if (json) describeTokenizer(d, readJson(json));
  else if (tokenizer) d.tokenizer = 'SentencePiece';
  const template = beside('chat_template.jinja');
  if (template) d.chatTemplateBytes = statSync(template).size;
  if (config) d.engine = await askOfFolder(config, tokenizer, ctx);
}

/** All files of a checkpoint: those of the index, or the single one. */
function describeCheckpoint(d: Description, folder: string): void {
  const index = path.join(folder, 'model.safetensors.index.json');
  const single = path.join(folder, 'model.safetensors');
  if (!existsSync(index)) {
    if (!existsSync(single))
      throw new Error('the folder holds neither model.safetensors nor model.safetensors.index.json');
    describeSafetensors(d, single);
    return;
  }
  const map = readJson(index)['weight_map'];
  const names = typeof map === 'object' && map !== null ? Object.values(map as Json) : [];
  if (names.length === 0 || !names.every((name) => typeof name === 'string' && !/[/\\]/.test(name)))
    throw new Error('the index has no weight_map that names files; download it again');
  for (const name of [...new Set(names as string[])].sort()) {
    if (!existsSync(path.join(folder, name)))
      throw new Error(`${name}, which the index names, is missing: download it too`);
    describeSafetensors(d, path.join(folder, name));
  }
  if (d.tensors.length !== names.length)
    throw new Error(`the files hold ${d.tensors.length} tensors, the index names ${names.length}: download them again`);
}

// ---- the interface ----

/** What the file begins as. */
export function kindOf(file: string): 'GGUF' | 'safetensors' | 'other' {
  const r = new FileReader(file);
  try {
    const head = r.bytes(Math.min(r.size, 9));
    if (head.length < 9) return 'other';
    if (head.toString('latin1', 0, 4) === 'GGUF') return 'GGUF';
    return head[8] === 0x7b && !head[5] && !head[6] && !head[7] ? 'safetensors' : 'other';
  } finally {
    r.close();
  }
}

/** A file, or all the parts of a split model where they are there. */
export async function describeGgufModel(file: string, request: InfoRequest): Promise<Description> {
  const d = nothing();
  const parts = (partsOf(path.basename(file)) ?? []).map((name) => path.join(path.dirname(file), name));
  const whole = parts.length > 0 && parts.every((part) => existsSync(part));
  for (const part of whole ? parts : [file]) await describeGguf(d, part, request);
  return d;
}

export async function describeSafetensorsFile(file: string, request: InfoRequest): Promise<Description> {
  const d = nothing();
  describeSafetensors(d, file);
  await describeFolder(d, path.dirname(file), request);
  return d;
}

export async function describeFolderModel(folder: string, request: InfoRequest): Promise<Description> {
  const d = nothing();
  describeCheckpoint(d, folder);
  await describeFolder(d, folder, request);
  return d;
}
