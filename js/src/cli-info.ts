// sotto info: describes model files without loading them. Language models: see cli-info-language.ts; for Whisper's,
//
//   file ─> header, filters, vocabulary, tensors one by one, their weights passed over ─> a line of a table for each type
import { statSync } from 'node:fs';
import { integer, parse, UsageError } from './args.js';
import { EXIT_DONE, EXIT_FAILED, mb, problemOf, write } from './cli-common.js';
import { DamagedFile, FileReader, fileTensor, tallyOf, type FileTensor } from './cli-file.js';
import { describeHeader, engineProblem } from './cli-info-engine.js';
import {
  describeFolderModel,
  describeGgufModel,
  describeSafetensorsFile,
  kindOf,
  type InfoRequest,
} from './cli-info-language.js';
import { asJson, asText, tensorLines } from './cli-info-print.js';
import type { ModelInfo } from './protocol.js';

const HELP = `Usage: sotto info [OPTION]... MODEL...
Describes models without loading them: architecture, sizes, languages or tokenizer, types of the
weights, memory that contexts need.
MODEL is a Whisper model (ggml-*.bin), a GGUF or safetensors file (of a split GGUF model, any part),
or a folder as on Hugging Face.

      --tensors     each tensor: type, shape, size, name
      --metadata    all that a language model's file or config.json says
      --ctx N       memory that a context of N tokens needs (default: of 2048, 8192, and what the
                    model was trained for)
      --json        one line of JSON a model
  -h, --help        this help

Exit status: 0 done, 1 a file could not be read as a model, 2 wrong usage.
`;

const MOST_CONTEXT = 1 << 24;

// ---- Whisper ----

const N_SIZES = 11;

function readWhisper(r: FileReader): FileTensor[] {
  r.skip(4 * (1 + N_SIZES)); // magic, sizes
  const nFilters = r.i32() * r.i32();
  r.skip(4 * nFilters);
  for (let n = r.i32(); n > 0; n--) r.skip(r.u32());
  const tensors: FileTensor[] = [];
  while (!r.atEnd) {
    const [rank, nameBytes, type] = [r.i32(), r.i32(), r.i32()];
    if (rank < 1 || rank > 4) throw new DamagedFile('the file is corrupt; download it again');
    const shape = Array.from({ length: rank }, () => r.i32()).reverse();
    const tensor = fileTensor(r.text(nameBytes), type, shape);
    r.skip(tensor.bytes);
    tensors.push(tensor);
  }
  if (tensors.length === 0)
    throw new DamagedFile('the file ends before the first weight: it was cut off, fetch it again');
  return tensors;
}

/** Names, types and shapes of a Whisper file's tensors. */
export async function tensorsOfWhisper(file: string): Promise<FileTensor[]> {
  const r = new FileReader(file);
  try {
    return readWhisper(r);
  } catch (error) {
    if (!(error instanceof DamagedFile)) throw error;
    throw new Error((await engineProblem(file)) ?? error.message, { cause: error });
  } finally {
    r.close();
  }
}

function whisperText(
  file: string,
  m: ModelInfo,
  tensors: FileTensor[],
  fileBytes: number,
  request: InfoRequest,
): string {
  const tally = tallyOf(tensors);
  return [
    `${file}: ${m.architecture} ${m.name}`,
    `  languages    ${m.languages.length}${m.multilingual ? ', and translation into English' : ' (English)'}`,
    `  parameters   ${mb(tally.nParameters)} M`,
    `  vocabulary   ${m.nVocab} tokens`,
    `  audio        ${m.nAudioLayer} layers, ${m.nAudioHead} heads, width ${m.nAudioState}, ${m.nMel} mel bands, context ${m.nAudioCtx}`,
    `  text         ${m.nTextLayer} layers, ${m.nTextHead} heads, width ${m.nTextState}, context ${m.nTextCtx}`,
    `  weights      ${tally.nTensors} tensors, ${mb(tally.bytes)} MB in a file of ${mb(fileBytes)} MB`,
    tensorLines(tally, tensors, request),
  ].join('\n');
}

function whisperJson(
  file: string,
  m: ModelInfo,
  tensors: FileTensor[],
  fileBytes: number,
  request: InfoRequest,
): string {
  const tally = tallyOf(tensors);
  const object = {
    file,
    architecture: m.architecture,
    name: m.name,
    multilingual: m.multilingual,
    n_vocab: m.nVocab,
    n_mel: m.nMel,
    n_audio_ctx: m.nAudioCtx,
    n_audio_state: m.nAudioState,
    n_audio_head: m.nAudioHead,
    n_audio_layer: m.nAudioLayer,
    n_text_ctx: m.nTextCtx,
    n_text_state: m.nTextState,
    n_text_head: m.nTextHead,
    n_text_layer: m.nTextLayer,
    n_tensors: tally.nTensors,
    n_parameters: tally.nParameters,
    weight_bytes: tally.bytes,
    file_bytes: fileBytes,
    languages: m.languages.map(({ code }) => code),
    types: tally.types,
    ...(request.tensors && { tensors }),
  };
  return JSON.stringify(object) + '\n';
}

// ---- the command ----

async function describe(file: string, request: InfoRequest): Promise<string> {
  const stat = statSync(file);
  const print = request.json ? asJson : asText;
  if (stat.isDirectory()) return print(file, await describeFolderModel(file, request), request);
  switch (kindOf(file)) {
    case 'GGUF':
      return print(file, await describeGgufModel(file, request), request);
    case 'safetensors':
      return print(file, await describeSafetensorsFile(file, request), request);
    default: {
      const header = await describeHeader(file);
      const tensors = await tensorsOfWhisper(file);
      return (request.json ? whisperJson : whisperText)(file, header, tensors, stat.size, request);
    }
  }
}

export async function info(argv: readonly string[]): Promise<number> {
  const { options, operands } = parse(argv, {
    ...{ help: { letter: 'h' }, tensors: {}, metadata: {}, ctx: { value: true }, json: {} },
  });
  const has = (wanted: string): boolean => options.some(({ name }) => name === wanted);
  if (has('help')) {
    await write(HELP);
    return EXIT_DONE;
  }
  const request: InfoRequest = { json: has('json'), tensors: has('tensors'), metadata: has('metadata') };
  for (const { name, shown, value } of options)
    if (name === 'ctx') request.ctx = integer(shown, value, 1, MOST_CONTEXT);
  if (operands.length === 0) throw new UsageError('no model file was given');
  let status = EXIT_DONE;
  for (const file of operands) {
    try {
      await write(await describe(file, request));
    } catch (error) {
      process.stderr.write(`sotto: ${file}: ${problemOf(error)}\n`);
      status = EXIT_FAILED;
    }
  }
  return status;
}
