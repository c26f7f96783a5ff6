// sotto manifest: the models in a folder as a manifest, which a site puts beside them.
//
//   folder ─> files, grouped to models ─> header: what it is ─┐
//                                     └─> bytes: SHA-256 ─────┴─> JSON
import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { addAbortSignal } from 'node:stream';
import { parse, UsageError } from './args.js';
import { attempt, EXIT_DONE, FileError, interruptSignal, mb, Output, problemOf, ProgressLine, write } from './cli-common.js';
import { tallyOf } from './cli-file.js';
import { describeHeader } from './cli-info-engine.js';
import { describeFolderModel, describeGgufModel, kindOf, type Description } from './cli-info-language.js';
import { tensorsOfWhisper } from './cli-info.js';
import { HELP_SPEC } from './cli-language.js';
import { partsOf } from './files.js';
import { urlOf } from './hub-reference.js';
import type { SiteModel } from './manifest.js';
import type { ManifestFile } from './models.js';

const HELP = `Usage: sotto manifest [OPTION]... FOLDER
Lists the models in a folder as JSON: what each is, its size and its SHA-256. A site that serves the
folder with this file in it gives its address as manifest to create(), or to --manifest. Models are GGUF
files (also split), Whisper's ggml .bin files, and folders as on Hugging Face; what is none is left out.

      --base ADDRESS    where the files will be, if not beside the manifest
  -o, --output FILE     default: -, standard output
  -h, --help            this help

Exit status: 0 done, 1 it could not be done, 2 wrong usage, 130 interrupted.
Example: sotto manifest models -o models/manifest.json
`;

const MOST_DEPTH = 8;

/** Files that are one model, in order; paths from the folder on, with "/". */
type Group = string[];

/** What a header says of a model. */
type About = Pick<SiteModel, 'name' | 'kind' | 'weights' | 'languages' | 'context'>;

// ---- which files ----

function groupsIn(root: string, folder = '', depth = 0): Group[] {
  const entries = readdirSync(path.join(root, folder), { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  const at = (name: string): string => (folder === '' ? name : `${folder}/${name}`);
  const names = entries.filter((e) => e.isFile() && !e.name.startsWith('.')).map(({ name }) => name);
  const groups: Group[] = [];
  for (const name of names) {
    if (!/\.(gguf|bin)$/i.test(name)) continue;
    const parts = partsOf(name) ?? [name];
    if (parts[0] !== name && names.includes(parts[0])) continue; // counted with its first part
    const missing = parts.findIndex((part) => !names.includes(part)); // whoever opens it says so
    groups.push((missing < 0 ? parts : parts.slice(0, missing + 1)).map(at));
  }
  const weights = names.filter((name) => /\.safetensors$/i.test(name));
  if (names.includes('config.json') && weights.length > 0) {
    const tokenizer = ['tokenizer.model', 'tokenizer.json'].filter((name) => names.includes(name)).slice(0, 1);
    groups.push(['config.json', ...tokenizer, ...(weights.includes('model.safetensors') ? ['model.safetensors'] : weights)].map(at));
  }
  if (depth < MOST_DEPTH)
    for (const { name } of entries.filter((e) => e.isDirectory() && !e.name.startsWith('.'))) groups.push(...groupsIn(root, at(name), depth + 1));
  return groups;
}

// ---- what they are ----

const request = { json: true, tensors: false, metadata: false };

/** The type of most of the bytes. */
const mostOf = (tensors: Description['tensors']): string => tallyOf(tensors).types.reduce((a, b) => (b.bytes > a.bytes ? b : a)).type;

async function describe(root: string, group: Group): Promise<About> {
  const file = path.join(root, group[0]);
  const missing = group.find((name) => !statSync(path.join(root, name), { throwIfNoEntry: false }));
  if (missing !== undefined) throw new Error(`${path.basename(missing)} is missing`);
  const isFolder = group[0].endsWith('config.json');
  if (!isFolder && kindOf(file) !== 'GGUF') {
    const { architecture, name, languages } = await describeHeader(file);
    return { name: `Whisper ${name}`, kind: architecture, weights: mostOf(await tensorsOfWhisper(file)), languages: languages.length };
  }
  const d = isFolder ? await describeFolderModel(path.dirname(file), request) : await describeGgufModel(file, request);
  if (d.engine.problem !== '') throw new Error(d.engine.problem.replace(/\.$/, ''));
  return { name: d.name || idOf(group, root), kind: d.architecture.replace(/_text$/, ''), weights: mostOf(d.tensors), ...(d.sizes.n_ctx && { context: d.sizes.n_ctx }) };
}

/** "ggml-tiny-q5_1.bin" is "tiny-q5_1", "x-00001-of-00002.gguf" is "x"; of a folder its name. */
function idOf([first]: Group, root: string): string {
  const name = path.posix.basename(first);
  const stem = name === 'config.json' ? path.basename(path.resolve(root, path.dirname(first))) : name.replace(/(-\d{5}-of-\d{5})?\.(gguf|bin)$/i, '').replace(/^ggml-/, '');
  return stem.replace(/[^\p{L}\p{N} ._+-]/gu, '-').replace(/^[^\p{L}\p{N}]+/u, '').slice(0, 100) || 'model';
}

async function hashOf(file: string, signal: AbortSignal, report: (bytes: number) => void): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of addAbortSignal(signal, createReadStream(file, { highWaterMark: 1 << 20 }))) {
    hash.update(piece as Buffer);
    report((piece as Buffer).length);
  }
  return hash.digest('hex');
}

const encoded = (name: string): string => name.split('/').map(encodeURIComponent).join('/');

/** An entry of the manifest; `base` ends in "/". */
async function entryOf(root: string, group: Group, base: string, about: About, files: ManifestFile[]): Promise<SiteModel> {
  const { kind, name, weights, ...rest } = about;
  const weightsFile = files.find(({ file }) => /\.(gguf|bin|safetensors)$/i.test(file))!;
  const folder = path.posix.dirname(group[0]);
  const single = files.length === 1;
  const url = base + (single ? encoded(group[0]) : folder === '.' ? '' : `${encoded(folder)}/`);
  return {
    ...{ id: idOf(group, root), name, kind, weights, file: weightsFile.file, ...rest },
    ...(!single && { files }),
    size_bytes: files.reduce((sum, { size_bytes }) => sum + size_bytes, 0),
    sha256: single ? weightsFile.sha256 : null,
    sources: [{ type: 'url', url }],
  };
}

async function manifestOf(root: string, base: string, signal: AbortSignal): Promise<string> {
  let groups: Group[];
  try {
    groups = groupsIn(root);
  } catch (error) {
    throw new FileError(root, error);
  }
  const sizeOf = (name: string): number => statSync(path.join(root, name), { throwIfNoEntry: false })?.size ?? 0;
  const total = groups.flat().reduce((sum, name) => sum + sizeOf(name), 0);
  const line = new ProgressLine();
  const models: SiteModel[] = [];
  let done = 0;
  for (const group of groups) {
    try {
      const about = await describe(root, group);
      const files: ManifestFile[] = [];
      for (const name of group) {
        const sha256 = await hashOf(path.join(root, name), signal, (bytes) => line.percent(`${name}, ${mb(total, 0)} MB in all`, (done += bytes), total));
        files.push({ file: path.posix.basename(name), size_bytes: sizeOf(name), sha256 });
      }
      models.push(await entryOf(root, group, base, about, files));
    } catch (error) {
      if (signal.aborted) throw error;
      line.hide();
      process.stderr.write(`sotto: ${path.join(root, group[0])}: left out: ${problemOf(error)}\n`);
    }
  }
  line.hide();
  if (models.length === 0) throw new FileError(root, 'there is no model in it');
  const isSpeech = ({ kind }: SiteModel): boolean => kind === 'whisper';
  models.sort((a, b) => Number(isSpeech(b)) - Number(isSpeech(a)) || a.size_bytes - b.size_bytes);
  const seen = new Map<string, number>();
  for (const model of models) {
    const n = (seen.get(model.id) ?? 0) + 1;
    seen.set(model.id, n);
    if (n > 1) model.id += `-${n}`;
  }
  const [speech, language] = [models.filter(isSpeech), models.filter((m) => !isSpeech(m))];
  const head = { ...(speech.length === 1 && { default: speech[0].id }), ...(language.length === 1 && { default_language: language[0].id }) };
  const entries = models.map((model) => `    ${JSON.stringify(model)}`).join(',\n');
  const lines = Object.entries(head).map(([key, id]) => `  "${key}": ${JSON.stringify(id)},\n`);
  return `{\n${lines.join('')}  "models": [\n${entries}\n  ]\n}\n`;
}

function baseOf(given: string): string {
  const base = given.endsWith('/') ? given : `${given}/`;
  if (!/^https?:$/.test(urlOf(base)?.protocol ?? '')) throw new UsageError(`option '--base' needs an address of http or https, not '${given}'`);
  return base;
}

export async function manifest(argv: readonly string[]): Promise<number> {
  const { options, operands } = parse(argv, { help: HELP_SPEC, base: { value: true }, output: { letter: 'o', value: true } });
  const last = (wanted: string): string | undefined => options.findLast(({ name }) => name === wanted)?.value;
  if (last('help') !== undefined) {
    await write(HELP);
    return EXIT_DONE;
  }
  const [root, extra] = operands;
  if (root === undefined) throw new UsageError('no folder was given');
  if (extra !== undefined) throw new UsageError(`unexpected argument '${extra}': one folder at a time`);
  const given = last('base');
  const base = given === undefined ? './' : baseOf(given);
  const signal = interruptSignal();
  return attempt(signal, async () => {
    const text = await manifestOf(root, base, signal);
    await using out = await Output.open(last('output') ?? '-');
    await out.write(text);
    await out.commit();
  });
}
