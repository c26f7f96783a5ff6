// The description of a language model, for people and as JSON.
import { mb } from './cli-common.js';
import { tallyOf, type FileTensor, type Tally } from './cli-file.js';
import { GgufFloat, KEPT_ELEMENTS, type GgufArray, type GgufScalar, type GgufValue } from './cli-gguf.js';
import { SIZES, SPECIAL, type Description, type InfoRequest } from './cli-info-language.js';

/** Lines of a table: the types, and each tensor where that is wanted. */
export function tensorLines({ types }: Tally, tensors: readonly FileTensor[], { tensors: each }: InfoRequest): string {
  const counts = types.map(
    (t) => `    ${t.type.padEnd(6)}     ${String(t.n_tensors).padStart(4)} tensors, ${mb(t.bytes, 3).padStart(9)} MB\n`,
  );
  const list = tensors.map(
    (t) =>
      `    ${t.type.padEnd(6)}  ${t.shape.join(' x ').padStart(18)}  ${mb(t.bytes, 3).padStart(12)} MB  ${t.name}\n`,
  );
  return counts.join('') + (each ? '  tensors\n' + list.join('') : '');
}

// ---- numbers and metadata ----

/** As printf writes it with %.{precision}g. */
function general(x: number, precision: number): string {
  if (x === 0 || !Number.isFinite(x)) return String(x);
  const [digits, power] = x.toExponential(precision - 1).split('e');
  const exponent = Number(power);
  const strip = (text: string): string => (text.includes('.') ? text.replace(/\.?0+$/, '') : text);
  if (exponent < -4 || exponent >= precision)
    return `${strip(digits)}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
  return strip(x.toFixed(precision - 1 - exponent));
}

/** With as few digits as say the same number. */
function shortest(x: number, same: (digits: string) => boolean): string {
  for (let precision = 6; precision < 17; precision++) if (same(general(x, precision))) return general(x, precision);
  return general(x, 17);
}

const floatDigits = (x: number): string => shortest(x, (digits) => Math.fround(Number(digits)) === x);
const doubleDigits = (x: number): string =>
  Number.isSafeInteger(x) ? String(x) : shortest(x, (digits) => Number(digits) === x);

const SHOWN_BYTES = 60;
const SHOWN_ELEMENTS = 8;

/** A string on a line is cut. */
function shownString(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= SHOWN_BYTES) return JSON.stringify(text);
  return `${JSON.stringify(bytes.toString('utf8', 0, SHOWN_BYTES))}... (${bytes.length} bytes)`;
}

function shownScalar(value: GgufScalar): string {
  if (typeof value === 'string') return shownString(value);
  if (value instanceof GgufFloat) return Number.isFinite(value.value) ? floatDigits(value.value) : 'null';
  return typeof value === 'number' ? doubleDigits(value) : String(value);
}

const isArray = (value: GgufValue): value is GgufArray => typeof value === 'object' && 'count' in value;

function shownValue(value: GgufValue): string {
  if (!isArray(value)) return shownScalar(value);
  if (value.count <= KEPT_ELEMENTS) return `[${value.first.map(shownScalar).join(', ')}]`;
  const first = value.first.slice(0, SHOWN_ELEMENTS).map(shownScalar);
  return `${value.count} of ${value.type}: [${first.join(', ')}, ...]`;
}

/** A value of config.json. */
function shownJson(value: unknown): string {
  if (typeof value === 'string') return shownString(value);
  if (typeof value === 'number') return doubleDigits(value);
  if (Array.isArray(value)) return `[${value.map(shownJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return String(value);
  const members = Object.entries(value).map(([key, member]) => `${shownString(key)}:${shownJson(member)}`);
  return `{${members.join(',')}}`;
}

const shownKey = (key: string): string => key.replace(/[\x00-\x1f\x7f]/g, '?').slice(0, 199);

function metadataLines({ metadata }: Description): string {
  const pairs =
    metadata instanceof Map
      ? [...metadata].map(([key, value]) => [key, shownValue(value)])
      : Object.entries(metadata).map(([key, value]) => [key, shownJson(value)]);
  return '  metadata\n' + pairs.map(([key, value]) => `    ${shownKey(key)} = ${value}\n`).join('');
}

function jsonScalar(value: GgufScalar): string | number | boolean | null {
  if (value instanceof GgufFloat) return Number.isFinite(value.value) ? Number(floatDigits(value.value)) : null;
  return typeof value === 'bigint' ? Number(value) : value;
}

function jsonMetadata({ metadata }: Description): unknown {
  if (!(metadata instanceof Map)) return metadata;
  const member = (value: GgufValue): unknown => {
    if (!isArray(value)) return jsonScalar(value);
    const { type, count, first } = value;
    return count <= KEPT_ELEMENTS
      ? first.map(jsonScalar)
      : { type, count, first: first.slice(0, SHOWN_ELEMENTS).map(jsonScalar) };
  };
  return Object.fromEntries([...metadata].map(([key, value]) => [key, member(value)]));
}

// ---- for people ----

function titleLines(file: string, d: Description): string {
  const partly = d.split.nParts > d.nFiles;
  const title = [d.architecture || d.format, d.name, d.quantization, partly ? 'one part of several' : ''];
  const files = partly
    ? `, part ${d.split.part + 1} of ${d.split.nParts} (${d.split.nTensors} tensors in all)`
    : d.nFiles > 1
      ? `, ${d.nFiles} files`
      : '';
  return `${file}: ${title.filter(Boolean).join(', ')}\n  format       ${d.format}${files}\n`;
}

/** The numbers that are said, each with words around it; none: no line. */
function sizeLine(name: string, sizes: [before: string, n: number | undefined, after: string][]): string {
  const [, first] = sizes[0];
  if (!first) return '';
  const said = sizes.filter(([, n]) => n).map(([before, n, after]) => `${before}${n}${after}`);
  return `  ${name.padEnd(12)} ${said.join('')}\n`;
}

function shapeLines({ sizes: s }: Description): string {
  return (
    sizeLine('layers', [
      ['', s.n_layer, ''],
      [', width ', s.d_model, ''],
      [', feed-forward ', s.d_ff, ''],
    ]) +
    sizeLine('attention', [
      ['', s.n_head, ' heads'],
      [', ', s.n_head_kv, ' for keys and values'],
      [', each of ', s.head_dim, ''],
    ]) +
    sizeLine('context', [
      ['', s.n_ctx, ' tokens'],
      [', sliding window ', s.sliding_window, ''],
    ])
  );
}

function tokenizerLines(d: Description): string {
  const { engine, special, chatTemplateBytes } = d;
  const said = SPECIAL.filter((name) => special[name] !== undefined).map((name) => `${name} ${special[name]}`);
  const ends = engine.ends.map(({ id, text }) => `${id} ${text}`);
  const inFile = chatTemplateBytes > 0 ? ` (in the file: ${chatTemplateBytes} bytes)` : '';
  return (
    (d.sizes.n_vocab ? `  tokenizer    ${d.tokenizer}${d.tokenizer ? ', ' : ''}${d.sizes.n_vocab} tokens\n` : '') +
    (said.length > 0 ? `  special      ${said.join(', ')}\n` : '') +
    (ends.length > 0 ? `  ends at      ${ends.join(', ')}\n` : '') +
    (engine.chats || inFile !== ''
      ? `  chat         its template is ${engine.chats ? '' : 'not '}known${inFile}\n`
      : '')
  );
}

function memoryLines({ engine: { contexts } }: Description): string {
  if (contexts.length === 0) return '';
  const lines = contexts.map(
    (c) =>
      `    ${String(c.n_ctx).padStart(7)} tokens ${mb(c.f16_bytes).padStart(10)} MB ${mb(c.q8_0_bytes).padStart(10)} MB\n`,
  );
  return '  memory       beside the weights, by context, with keys and values in f16 and in q8_0\n' + lines.join('');
}

export function asText(file: string, d: Description, request: InfoRequest): string {
  const tally = tallyOf(d.tensors);
  return (
    titleLines(file, d) +
    (d.engine.problem ? `  not run here ${d.engine.problem}\n` : '') +
    `  parameters   ${mb(tally.nParameters)} M\n` +
    shapeLines(d) +
    tokenizerLines(d) +
    memoryLines(d) +
    `  weights      ${tally.nTensors} tensors, ${mb(tally.bytes)} MB in ${mb(d.fileBytes)} MB\n` +
    tensorLines(tally, d.tensors, request) +
    (request.metadata ? metadataLines(d) : '')
  );
}

// ---- JSON ----

export function asJson(file: string, d: Description, request: InfoRequest): string {
  const tally = tallyOf(d.tensors);
  const object = {
    file,
    format: d.format || null,
    name: d.name || null,
    architecture: d.architecture || null,
    quantization: d.quantization || null,
    tokenizer: d.tokenizer || null,
    problem: d.engine.problem || null,
    ...Object.fromEntries(SIZES.map((name) => [name, d.sizes[name] || null])),
    part: d.split.nParts > d.nFiles ? d.split.part + 1 : 1,
    n_parts: d.split.nParts,
    n_files: d.nFiles,
    n_tensors: tally.nTensors,
    n_parameters: tally.nParameters,
    weight_bytes: tally.bytes,
    file_bytes: d.fileBytes,
    special_tokens: Object.fromEntries(SPECIAL.map((name) => [name, d.special[name] ?? null])),
    end_tokens: d.engine.ends,
    chat_template_known: d.engine.chats,
    chat_template_bytes: d.chatTemplateBytes,
    contexts: d.engine.contexts,
    types: tally.types,
    ...(request.tensors && { tensors: d.tensors }),
    ...(request.metadata && { metadata: jsonMetadata(d) }),
  };
  return JSON.stringify(object) + '\n';
}
