/* Which models there are to talk with: those of the package's manifest, what this device keeps beside, and files of the person. */

import { LanguageModel, type ManifestModel, type ModelInput } from 'sotto';
import { idOf, nameOf, typeOf, type StoredModel } from '../models/kept.ts';
import { Told } from '../ui/told.ts';

export interface ChatModel {
  id: string; // 'own' for files of the person
  name: string;
  about: string; // what it is, in a sentence or two
  bytes: number;
  license: string;
  licenseUrl: string; // '' where none is known
  storyteller: boolean; // writes stories and nothing else
  input: ModelInput;
  sources: string[]; // addresses before the manifest's: beside the page, where someone put models there
}

const TELLER = 'teller';

const ABOUT_TELLER =
  'Comes with this page. A very small model that tells short children’s stories, and knows nothing else: no facts, no answers to questions.';

function aboutOf(model: ManifestModel, all: readonly ManifestModel[]): string {
  const lean = all.find((m) => m.name === model.name)!;
  if (lean !== model) return `The same, less compressed than ${lean.weights.toUpperCase()}: closer to the original, and slower.`;
  const maker = model.kind.startsWith('gemma') ? 'By Google, trained to follow instructions. ' : '';
  if (model.size_bytes < 500e6) return `${maker}Small and quick: for short texts and simple tasks.`;
  if (model.size_bytes < 1.5e9) return `${maker}Knows more, and takes longer.`;
  return `${maker}The most able here, and slow without a strong processor.`;
}

function entryOf(model: ManifestModel, _: number, all: readonly ManifestModel[]): ChatModel {
  const { id, name, weights, size_bytes, license, license_url = '' } = model;
  const teller = id === TELLER;
  return {
    id,
    name: teller ? name : `${name} · ${weights.toUpperCase()}`,
    about: teller ? ABOUT_TELLER : aboutOf(model, all),
    bytes: size_bytes,
    license,
    licenseUrl: license_url,
    storyteller: teller,
    input: id,
    sources: teller ? [] : ['models/'],
  };
}

/** Small to large. */
export const MODELS: readonly ChatModel[] = LanguageModel.models().map(entryOf);

/** Ships with the page, so that a fresh device without other network has a model that writes. */
export const DEFAULT_MODEL = MODELS.find((m) => m.storyteller)!;

const known = new Map<string, ChatModel>();

/** One that this device keeps, and the manifest does not know: the same object each time, so that one in memory is known again. */
export function entryOfKept(model: StoredModel): ChatModel {
  const id = idOf(model);
  const key = `${id} ${model.added}`;
  const entry = known.get(key) ?? {
    id,
    name: nameOf(model),
    about: aboutKept(model),
    bytes: model.bytes,
    license: 'as you got it',
    licenseUrl: '',
    storyteller: false,
    input: `stored:${model.id}`,
    sources: [],
  };
  known.set(key, entry);
  return entry;
}

function aboutKept(model: StoredModel): string {
  const type = typeOf(model);
  const how = { made: 'Made on this device', import: 'From a file of this device', download: 'Downloaded' }[model.origin];
  return `${how}${type && `, ${type}`}.`;
}

/** Files that a person chose, as a model: one GGUF, all parts of a split one, or a Hugging Face folder. Throws Told. */
export function modelOfFiles(files: readonly File[]): ChatModel {
  const named = (pattern: RegExp) => files.filter((file) => pattern.test(file.name));
  const gguf = named(/\.gguf$/i);
  const folder = named(/(\.safetensors|\.json|^tokenizer\.model)$/i);
  const chosen = gguf.length > 0 ? gguf : folder;
  if (gguf.length > 1) {
    const [first] = gguf;
    const split = /-\d+-of-0*(\d+)\.gguf$/i.exec(first!.name);
    if (!split) throw new Told('These are several models. Choose one GGUF file, or all parts of one that is split.');
    if (Number(split[1]) !== gguf.length) {
      throw new Told(`This model has ${Number(split[1])} parts, and ${gguf.length} were chosen. Choose all of them together.`);
    }
  } else if (gguf.length === 0) {
    if (named(/\.safetensors$/i).length === 0) {
      const what = files.length === 1 ? `${files[0]!.name} is not a model.` : 'There is no model among these files.';
      throw new Told(`${what} Choose a GGUF file, or a folder as on Hugging Face (config.json, tokenizer, .safetensors).`);
    }
    if (named(/^config\.json$/i).length === 0) {
      throw new Told('config.json is missing beside the .safetensors. Choose the whole folder of the model.');
    }
  }
  const sorted = chosen.toSorted((a, b) => a.name.localeCompare(b.name));
  const [first] = sorted;
  const folderName = first!.webkitRelativePath.split('/')[0];
  const name = gguf.length > 0 ? first!.name.replace(/(-\d+-of-\d+)?\.gguf$/i, '') : folderName || 'Model from a folder';
  return {
    id: 'own',
    name,
    about: sorted.length === 1 ? 'Your own file.' : `Your own model, ${sorted.length} files.`,
    bytes: sorted.reduce((sum, file) => sum + file.size, 0),
    license: 'as you got it',
    licenseUrl: '',
    storyteller: false,
    input: sorted.length === 1 ? first! : sorted,
    sources: [],
  };
}
