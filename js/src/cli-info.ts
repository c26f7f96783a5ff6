// sotto info: describes model files.
import fs from 'node:fs/promises';
import { parse, UsageError } from './args.js';
import { Transcriber } from './transcriber.js';
import type { ModelInfo, TensorInfo } from './protocol.js';

const HELP = `Usage: sotto info [--json] FILE...
Describes model files: architecture, sizes, languages, and types of the weights.

      --json    one line of JSON a file
  -h, --help    this help

Exit status: 0 done, 1 a file could not be read as a model, 2 wrong usage.
`;

/** Weights in a block and its bytes, in the file, in the order in which files number the types. */
const BLOCKS: Record<string, [weights: number, bytes: number]> = {
  f32: [1, 4],
  f16: [1, 2],
  q4_0: [32, 18],
  q4_1: [32, 20],
  q5_0: [32, 22],
  q5_1: [32, 24],
  q8_0: [32, 34],
  q2_K: [256, 84],
  q3_K: [256, 110],
  q4_K: [256, 144],
  q5_K: [256, 176],
  q6_K: [256, 210],
};

interface TypeSummary {
  type: string;
  n_tensors: number;
  bytes: number;
}

function byType(tensors: TensorInfo[]): TypeSummary[] {
  return Object.entries(BLOCKS)
    .map(([type, [weights, bytes]]) => {
      const mine = tensors.filter((t) => t.type === type);
      const n = mine.reduce((sum, t) => sum + t.shape.reduce((product, d) => product * d, 1), 0);
      return { type, n_tensors: mine.length, bytes: (n / weights) * bytes };
    })
    .filter(({ n_tensors }) => n_tensors > 0);
}

const mb = (bytes: number, digits = 1): string => (bytes / 1e6).toFixed(digits);

function asText(file: string, m: ModelInfo, types: TypeSummary[], fileBytes: number): string {
  const n = m.languages.length;
  const bytes = types.reduce((sum, t) => sum + t.bytes, 0);
  return [
    `${file}: ${m.architecture} ${m.name}`,
    `  languages    ${n}${m.multilingual ? ', and translation into English' : ' (English)'}`,
    `  parameters   ${mb(m.nParameters)} M`,
    `  vocabulary   ${m.nVocab} tokens`,
    `  audio        ${m.nAudioLayer} layers, ${m.nAudioHead} heads, width ${m.nAudioState}, ${m.nMel} mel bands, context ${m.nAudioCtx}`,
    `  text         ${m.nTextLayer} layers, ${m.nTextHead} heads, width ${m.nTextState}, context ${m.nTextCtx}`,
    `  weights      ${m.nTensors} tensors, ${mb(bytes)} MB in a file of ${mb(fileBytes)} MB`,
    ...types.map(
      (t) => `    ${t.type.padEnd(6)}     ${String(t.n_tensors).padStart(4)} tensors, ${mb(t.bytes, 3).padStart(9)} MB`,
    ),
    '',
  ].join('\n');
}

function asJson(file: string, m: ModelInfo, types: TypeSummary[], fileBytes: number): string {
  const object = {
    ...{
      file,
      architecture: m.architecture,
      name: m.name,
      multilingual: m.multilingual,
      n_vocab: m.nVocab,
      n_mel: m.nMel,
    },
    ...{
      n_audio_ctx: m.nAudioCtx,
      n_audio_state: m.nAudioState,
      n_audio_head: m.nAudioHead,
      n_audio_layer: m.nAudioLayer,
    },
    ...{ n_text_ctx: m.nTextCtx, n_text_state: m.nTextState, n_text_head: m.nTextHead, n_text_layer: m.nTextLayer },
    ...{
      n_tensors: m.nTensors,
      n_parameters: m.nParameters,
      weight_bytes: types.reduce((sum, t) => sum + t.bytes, 0),
      file_bytes: fileBytes,
    },
    languages: m.languages.map(({ code }) => code),
    types,
  };
  return JSON.stringify(object) + '\n';
}

export async function info(argv: readonly string[]): Promise<number> {
  const { options, operands } = parse(argv, { help: { letter: 'h' }, json: {} });
  if (options.some(({ name }) => name === 'help')) {
    process.stdout.write(HELP);
    return 0;
  }
  if (operands.length === 0) throw new UsageError('no model file was given');
  const print = options.some(({ name }) => name === 'json') ? asJson : asText;
  let status = 0;
  for (const file of operands) {
    try {
      const { size } = await fs.stat(file);
      await using transcriber = await Transcriber.create({
        model: new URL(`file://${encodeURI((await fs.realpath(file)).replace(/\\/g, '/'))}`),
        threads: 1,
      });
      process.stdout.write(print(file, transcriber.info.model, byType(await transcriber.tensors()), size));
    } catch (error) {
      process.stderr.write(`sotto: ${file}: ${problemOf(error)}\n`);
      status = 1;
    }
  }
  return status;
}

/** The reason without Node's words around it. */
export function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return 'No such file or directory';
    case 'EACCES':
      return 'Permission denied';
    case 'EISDIR':
      return 'Is a directory';
    default:
      return error.message;
  }
}
