// Models that were made on this device: those that are whole, and those in the making.
import { host } from '@host';
import { SottoError } from '../errors.js';
import type { ModelKind } from '../kind.js';
import { parseJournal } from './journal.js';

/** A model that quantize() made. `create({ model })` takes it. */
export class QuantizedModel {
  /** Under which it is kept. */
  readonly name: string;
  /** As which to save it: "gemma-3-270m-q4_K_M.gguf". */
  readonly file: string;
  readonly bytes: number;
  readonly architecture: string;
  readonly type: string;
  /** Which class takes it: "language" LanguageModel, "speech" Transcriber. */
  readonly kind: ModelKind;
  /** In ms since 1970. */
  readonly made: number;
  readonly #open: () => Promise<Blob | string>;
  readonly #remove: () => Promise<void>;

  /** @internal */
  constructor(
    about: { name: string; file: string; bytes: number; architecture: string; type: string; made: number },
    open: () => Promise<Blob | string>,
    remove: () => Promise<void>,
  ) {
    const { name, file, bytes, architecture, type, made } = about;
    [this.name, this.file, this.bytes, this.architecture, this.type, this.made] = [name, file, bytes, architecture, type, made];
    this.kind = architecture === 'whisper' ? 'speech' : 'language';
    [this.#open, this.#remove] = [open, remove];
  }

  /** Its bytes: a Blob that reads them where they are kept; (Node) the path of its file. */
  open(): Promise<Blob | string> {
    return this.#open();
  }

  /** Removes it from this device. */
  remove(): Promise<void> {
    return this.#remove();
  }
}

/** The models that are kept here, oldest first. */
export async function quantizedModels(): Promise<QuantizedModel[]> {
  const all = await host.kept.list();
  return all.map((about) => new QuantizedModel(about, () => host.kept.open(about.name), () => host.kept.remove(about.name)));
}

/** A model in the making, of which some tensors are done. quantize() with the same source and `options` goes on with it. */
export interface UnfinishedQuantization {
  /** Under which it will be kept. */
  name: string;
  architecture: string;
  /** The files it is made of. */
  source: { file: string; size: number; url?: string | undefined }[];
  /** Addresses of all files, where all have one: what quantize() takes. */
  urls?: string[] | undefined;
  options: { keepAs: string; name?: string; type: string; tensors: Record<string, string>; fast?: boolean };
  /** An imatrix was given: the same is needed again. */
  imatrix: boolean;
  /** Tensors. */
  done: number;
  nTensors: number;
  sourceBytes: number;
  outBytes: number;
  remove(): Promise<void>;
}

/** Those that were not finished: cancelled, or the page was closed. One that is being made counts, too. */
export async function unfinishedQuantizations(): Promise<UnfinishedQuantization[]> {
  const found = await host.kept.unfinished();
  return found.flatMap(({ name, journal }): UnfinishedQuantization[] => {
    const { head, done } = parseJournal(journal) ?? {};
    if (!head || done === undefined) return [];
    const { type, tensors, imatrix, name: given, fast } = head.recipe;
    const urls = head.source.flatMap(({ url }) => url ?? []);
    const { architecture, nTensors, sourceBytes, outBytes } = head.plan;
    return [
      {
        ...{ name, architecture, source: head.source.map(({ file, size, url }) => ({ file, size, url })) },
        ...(urls.length === head.source.length && { urls }),
        options: { keepAs: name, type, tensors: Object.fromEntries(tensors), ...(given !== '' && { name: given }), ...(fast && { fast }) },
        ...{ imatrix: imatrix !== '', done, nTensors, sourceBytes, outBytes },
        remove: () => host.kept.remove(name),
      },
    ];
  });
}

/** What can be had of a model that went to a stream: nothing. */
export const notHere = (name: string) => async (): Promise<never> => {
  throw new SottoError('argument', `${name} was written to a stream: give the file that it went to.`);
};
