// Which of some files are a model, in the order in which the engine takes them.
//
//   a GGUF file, or all parts of one ──────────────────────────────────────> in order of their numbers
//   a folder as on Hugging Face ─> config.json, tokenizer.model or .json ──> the weights, in order of their numbers
//   one file of another name ──────────────────────────────────────────────> it
import { SottoError } from './errors.js';

const SPLIT = /^(.*)-(\d{5})-of-(\d{5})(\.gguf|\.safetensors)$/i;

/** The names of all parts of a file that is split, in order; undefined: it is not. */
export function partsOf(name: string): string[] | undefined {
  const [, stem, , total, suffix] = SPLIT.exec(name) ?? [];
  if (stem === undefined || Number(total) < 1) return undefined;
  return Array.from(
    { length: Number(total) },
    (_, i) => `${stem}-${String(i + 1).padStart(5, '0')}-of-${total}${suffix}`,
  );
}

/** The one file of these, or all parts of the split one. */
function whole(names: readonly string[], what: string): string[] {
  const [first] = names;
  const parts = partsOf(first) ?? [first];
  const other = names.find((name) => !parts.includes(name));
  if (other !== undefined)
    throw new SottoError(
      'argument',
      `${first} and ${other} are two models: give one, or all parts of one that is split.`,
    );
  const missing = parts.find((part) => !names.includes(part));
  if (missing !== undefined)
    throw new SottoError('argument', `${missing} is missing: give all ${parts.length} parts of the ${what}.`);
  return parts;
}

export function arrange(names: readonly string[]): string[] {
  const ending = (suffix: string): string[] => names.filter((name) => name.toLowerCase().endsWith(suffix)).sort();
  const gguf = ending('.gguf');
  if (gguf.length > 0) return whole(gguf, 'model');
  const weights = ending('.safetensors');
  if (weights.length === 0) {
    if (names.length === 1) return [...names];
    throw new SottoError(
      'argument',
      'There is no model among these files: give a GGUF file, or a folder as on Hugging Face (config.json, tokenizer, .safetensors).',
    );
  }
  if (!names.includes('config.json'))
    throw new SottoError(
      'argument',
      'config.json is missing beside the .safetensors: give the whole folder of the model.',
    );
  const tokenizer = ['tokenizer.model', 'tokenizer.json'].filter((name) => names.includes(name)).slice(0, 1);
  return [
    'config.json',
    ...tokenizer,
    ...whole(weights.includes('model.safetensors') ? ['model.safetensors'] : weights, 'weights'),
  ];
}

/** What a folder has beside its weights, and a converter may want: configuration, vocabulary, chat template. */
const SMALL = /\.(json|model|jinja|txt)$/i;

/** All files of these that belong to one model, those of a Hugging Face folder included that the engine itself does not run from. */
export function arrangeCheckpoint(names: readonly string[]): string[] {
  const ending = (suffix: string): string[] => names.filter((name) => name.toLowerCase().endsWith(suffix)).sort();
  const [gguf, weights, bin] = [ending('.gguf'), ending('.safetensors'), ending('.bin')];
  if (weights.length > 0 && (gguf.length === 0 || names.includes('config.json'))) {
    const shards = weights.filter((name) => /^model-\d{5}-of-\d{5}\.safetensors$/i.test(name));
    const main = weights.includes('model.safetensors')
      ? ['model.safetensors']
      : whole(shards.length > 0 ? shards : weights, 'weights');
    return [...names.filter((name) => SMALL.test(name)), ...main];
  }
  if (gguf.length > 0) return whole(gguf, 'model');
  if (bin.length === 1) return bin;
  if (names.length === 1) return [...names];
  throw new SottoError(
    'argument',
    'There is no model among these files: give a folder as on Hugging Face (config.json, tokenizer, .safetensors), a GGUF file, or a ggml .bin of Whisper.',
  );
}
