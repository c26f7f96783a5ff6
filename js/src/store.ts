// The models that are kept on this device: downloaded, taken in from files, made here. One store for all tabs of a page.
//
//   list, delete, open ──> the disk
//   download, import, verify ──> a worker (store/serve.ts) ──> the disk
import { host } from '@host';
import { abortError, fromErrorData, SottoError } from './errors.js';
import { resolveModel, type ModelInput, type ModelOptions } from './model-input.js';
import type { Download, ModelPart } from './protocol.js';
import { filesOf, modelsOf, removeFile, storedFiles, type StoredModel } from './store/list.js';
import { groupKey, keyOf } from './store/keys.js';
import type { ImportFile, StoreNews, StoreTask } from './store/messages.js';
import type { TransferState } from './store/tabs.js';

export type { StoredModel } from './store/list.js';

export interface StoreProgress {
  /** Of the StoredModel that is being made. */
  id: string;
  /** Of all its files. */
  bytes: number;
  /** undefined: nobody tells yet. */
  size: number | undefined;
  /** Over the last seconds; 0 while nothing comes. */
  bytesPerSecond: number;
  /** "waiting": for the server, or for another tab that downloads it already; "retrying": the connection broke, or the server asked for patience. */
  state: TransferState;
}

export interface StoreDownloadOptions extends Omit<ModelOptions, 'cache'> {
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: StoreProgress) => void) | undefined;
  /** A connection that is silent for so long counts as broken, in ms. Default 30 000. */
  stallMs?: number | undefined;
}

export interface StoreImportOptions {
  /** For people. Default: the name of the file. */
  name?: string | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: StoreProgress) => void) | undefined;
}

export interface StoreEstimate {
  /** Of all that this page keeps (Node: of the models), in bytes. */
  usage: number;
  /** That it may keep; undefined: nobody tells. */
  quota: number | undefined;
  /** The browser does not clear it away by itself. */
  persisted: boolean;
}

/** A file to be taken in: a File or Blob, or (Node) a path. */
export type ImportInput = Blob | string | { name: string; source: Blob | string };

/** How fast bytes come is told of so long a time. */
const SPEED_MS = 4000;
const RETOLD_MS = 100;

/** The models on this device. Events "change": the list is another one, whichever tab changed it. */
export class ModelStore extends EventTarget {
  #hearing: (() => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  override addEventListener(type: 'change', listener: (event: Event) => void, options?: { once?: boolean; signal?: AbortSignal }): void {
    super.addEventListener(type, listener, options);
    this.#hearing ??= host.tabs.hear((news) => news.type === 'change' && this.#changed());
  }

  override removeEventListener(type: 'change', listener: (event: Event) => void): void {
    super.removeEventListener(type, listener);
  }

  /** Several changes at once are told once. */
  #changed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.dispatchEvent(new Event('change'));
    }, RETOLD_MS);
  }

  /** All models, oldest first; downloads and imports that are not whole, too. */
  async list(): Promise<StoredModel[]> {
    return modelsOf(await storedFiles());
  }

  /** undefined: there is none of this id. */
  async get(id: string): Promise<StoredModel | undefined> {
    return modelsOf(await filesOf(id))[0];
  }

  /** A whole model that was downloaded from this address; undefined: there is none. */
  async find(url: string | URL): Promise<StoredModel | undefined> {
    const address = host.absolute(String(url));
    return modelsOf((await storedFiles()).filter(({ source, complete }) => complete && source === address))[0];
  }

  /**
   * Downloads a model without loading it; what another attempt left is taken up, and what another tab is downloading is waited for. Throws a SottoError:
   * code `network` where no source has it, `storage` where there is no room, before the start if that is known; an AbortError, after which what came is kept.
   */
  async download(model: ModelInput, options: StoreDownloadOptions = {}): Promise<StoredModel> {
    const { signal, onProgress, stallMs } = options;
    signal?.throwIfAborted();
    const { spec } = await resolveModel(model, options, undefined, signal);
    const parts = spec.parts.map((part): ModelPart & Download => {
      if (part.kind !== 'download') throw new SottoError('argument', `${part.file} is not to be downloaded: import files that are on this device.`);
      return { ...part, stallMs };
    });
    const [first] = parts;
    const id = parts.length > 1 ? await groupKey(await Promise.all(parts.map(keyOf))) : undefined;
    const grouped = parts.map((part, index) => (id === undefined ? part : { ...part, group: { id, title: first.name.split(/,| \(/)[0], index, count: parts.length } }));
    void this.persist().catch(() => false);
    onProgress?.({ id: id ?? (await keyOf(first)), bytes: 0, size: first.size, bytesPerSecond: 0, state: 'waiting' });
    const keys = await this.#work({ kind: 'download', parts: grouped }, signal, onProgress);
    return this.#made(id ?? keys[0]);
  }

  /** Copies a model from files: one, or the parts of one. It is checked to be a model by its head; throws a SottoError: `format`, `storage`; an AbortError. */
  async import(input: ImportInput | readonly ImportInput[], { name, signal, onProgress }: StoreImportOptions = {}): Promise<StoredModel> {
    signal?.throwIfAborted();
    const files = (Array.isArray(input) ? (input as readonly ImportInput[]) : [input as ImportInput]).map((file) => importOf(file, name));
    if (files.length === 0) throw new SottoError('argument', 'There are no files to import: the array is empty.');
    void this.persist().catch(() => false);
    const keys = await this.#work({ kind: 'import', files, title: name ?? stemOf(files[0].name) }, signal, onProgress);
    const [file] = await filesOf(keys[0]);
    return this.#made(file?.group?.id ?? keys[0]);
  }

  /** The bytes of a whole model where they are kept, to be saved elsewhere: a Blob, (Node) a path; of several files an array. */
  async open(id: string): Promise<Blob | string | { name: string; source: Blob | string }[]> {
    const files = await this.#whole(id);
    if (files.length === 1 && !files[0].group) return files[0].open();
    return Promise.all(files.map(async (file) => ({ name: file.file, source: await file.open() })));
  }

  /**
   * Whether every byte is as it was when it was kept. What is not is no longer loaded: a download fetches it again, an import must be given again. Models
   * made here have no sums of their own: of them it is only asked whether they can be read.
   */
  async verify(id: string, { signal, onProgress }: Pick<StoreImportOptions, 'signal' | 'onProgress'> = {}): Promise<boolean> {
    const files = await this.#whole(id);
    const keys = files.map(({ key }) => key);
    const good = await this.#work({ kind: 'verify', keys }, signal, onProgress);
    return good.length === keys.length;
  }

  /** Removes a model, whole or not. Waits for those that read it; throws a SottoError where it is being written. */
  async delete(id: string | StoredModel): Promise<void> {
    for (const file of await filesOf(typeof id === 'string' ? id : id.id)) await removeFile(file);
    this.#changed();
  }

  /** How much is kept, and may be. */
  async estimate(): Promise<StoreEstimate> {
    return host.estimate();
  }

  /** Asks the browser not to clear away what is kept when the disk gets full. Some browsers ask the person. */
  async persist(): Promise<boolean> {
    return host.persist();
  }

  async #whole(id: string): ReturnType<typeof filesOf> {
    const files = await filesOf(id);
    if (files.length === 0) throw new SottoError('argument', `There is no model ${id} on this device.`);
    if (!modelsOf(files)[0].complete) throw new SottoError('argument', `The model ${files[0].name} is not whole yet: download or import it to the end.`);
    return files;
  }

  async #made(id: string): Promise<StoredModel> {
    const made = await this.get(id);
    if (!made) throw new SottoError('storage', 'The model was removed while it was being kept: try again.');
    return made;
  }

  /** Does it in a worker of its own. */
  async #work(task: StoreTask, signal: AbortSignal | undefined, onProgress: ((progress: StoreProgress) => void) | undefined): Promise<string[]> {
    const speed = new Speed();
    let closed = (): void => {};
    const closing = new Promise<void>((resolve) => (closed = resolve));
    let onAbort: (() => void) | undefined;
    let port: ReturnType<typeof host.start> | undefined;
    try {
      return await new Promise<string[]>((resolve, reject) => {
        port = host.start((message) => {
          if (message.type === 'storing') onProgress?.(speed.of(message.news));
          else if (message.type === 'stored') resolve(message.result.keys);
          else if (message.type === 'failed') reject(fromErrorData(message.error));
          else if (message.type === 'closed') closed();
        }, (reason) => {
          closed();
          reject(new SottoError('internal', `The store's worker stopped: ${reason}.`));
        });
        onAbort = () => port!.post({ type: 'close' }); // it puts away what came, and then fails
        signal?.addEventListener('abort', onAbort, { once: true });
        port.hold(true);
        port.post({ type: 'store', task });
        if (signal?.aborted) onAbort();
      });
    } catch (error) {
      throw signal?.aborted ? (signal.reason ?? abortError()) : error;
    } finally {
      if (onAbort) signal?.removeEventListener('abort', onAbort);
      if (port) {
        port.post({ type: 'close' });
        await closing;
        await port.stop();
      }
      this.#changed();
    }
  }
}

/** Bytes per second over the last while. */
class Speed {
  readonly #past: { at: number; bytes: number }[] = [];

  of({ key: id, bytes, size, state }: StoreNews): StoreProgress {
    const at = performance.now();
    this.#past.push({ at, bytes });
    while (this.#past.length > 2 && at - this.#past[0].at > SPEED_MS) this.#past.shift();
    const [first] = this.#past;
    const bytesPerSecond = at > first.at && state !== 'retrying' ? Math.max((1000 * (bytes - first.bytes)) / (at - first.at), 0) : 0;
    return { id, bytes, size, bytesPerSecond, state };
  }
}

function importOf(input: ImportInput, name: string | undefined): ImportFile {
  if (typeof input === 'string') return { name: input.split(/[/\\]/).pop()!, source: input };
  if (input instanceof Blob) return { name: (input as Partial<File>).name ?? name ?? 'model', source: input };
  if (typeof input === 'object' && input !== null && typeof input.name === 'string' && (typeof input.source === 'string' || input.source instanceof Blob))
    return { name: input.name.split(/[/\\]/).pop()!, source: input.source };
  throw new SottoError('argument', 'import() takes a File, a Blob, { name, source }, in Node a path, or an array of these.');
}

const stemOf = (file: string): string => file.replace(/\.(gguf|bin|safetensors)$/i, '').replace(/-\d{5}-of-\d{5}$/, '') || file;

/** The models that are kept on this device. */
export const modelStore = new ModelStore();
