// The worker's side of the store: downloads and imports without an engine beside them.
import { abortError, SottoError, toErrorData } from '../errors.js';
import type { Group } from '../kept.js';
import type { Hash, Platform } from '../platform.js';
import { Wasm } from '../wasm.js';
import { hashOf } from './hash.js';
import { importFile } from './import.js';
import { headLine, sumLine } from './journal.js';
import { groupKey } from './keys.js';
import type { StoreResult, StoreTask } from './messages.js';
import { Supply, type SuppliedPart } from './supply.js';
import type { TransferState } from './tabs.js';
import { Changed } from './transfer.js';
import { Damaged, readWhole } from './whole.js';

export class StoreServer {
  readonly #platform: Platform;
  readonly #task: StoreTask;
  readonly #controller = new AbortController();
  readonly #done: Promise<void>;
  #hash!: () => Hash;

  constructor(platform: Platform, task: StoreTask) {
    [this.#platform, this.#task] = [platform, task];
    this.#done = this.#run();
  }

  /** Ends it, and resolves when everything is put away. */
  async stop(): Promise<void> {
    this.#controller.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const task = this.#task;
    try {
      this.#hash = await this.#hashes();
      const keys = await (task.kind === 'download' ? this.#download(task.parts) : task.kind === 'import' ? this.#import(task) : this.#verify(task.keys));
      this.#platform.post({ type: 'stored', result: { keys } satisfies StoreResult });
    } catch (error) {
      this.#platform.post({ type: 'failed', id: 0, error: toErrorData(this.#controller.signal.aborted ? abortError() : error) });
    }
  }

  /** The engine's SHA-256 needs no engine, but its module. */
  async #hashes(): Promise<() => Hash> {
    const { sha256 } = this.#platform;
    if (sha256) return sha256;
    const wasm = (await Wasm.instantiate(await this.#platform.compile('simd-single')))!;
    return () => hashOf(this.#platform, wasm);
  }

  #tell(key: string, bytes: number, size: number | undefined, state: TransferState): void {
    this.#platform.post({ type: 'storing', news: { key, bytes, size, state } });
  }

  // ---- download ----

  async #download(parts: readonly SuppliedPart[]): Promise<string[]> {
    const total = parts.every(({ size }) => size !== undefined) ? parts.reduce((sum, { size }) => sum + size!, 0) : undefined;
    const keys: string[] = [];
    let before = 0;
    for (const part of parts) {
      let supplied = 0;
      const supply: Supply = new Supply(part, {
        ...{ keeper: this.#platform.keeper, hash: this.#hash, signal: this.#controller.signal, strict: true },
        sized: (size) => (supplied = size),
        progress: (bytes, size, state) => this.#tell(part.group?.id ?? supply.key, before + bytes, total ?? (parts.length === 1 ? size : undefined), state),
      });
      keys.push(await this.#supply(supply));
      before += supplied;
    }
    return keys;
  }

  async #supply(supply: Supply): Promise<string> {
    const { part } = supply;
    try {
      for (;;) {
        try {
          for await (const _ of supply.bytes()) if (this.#controller.signal.aborted) throw abortError();
          if (!supply.cached && !supply.isModel) await supply.wrong(new SottoError('format', `${part.file} is no model: it is neither a GGUF file nor a ggml file of Whisper.`));
          else return (await supply.commit())!.name;
        } catch (error) {
          if (!(error instanceof Changed)) throw error;
        }
      }
    } finally {
      await supply.stop();
    }
  }

  // ---- import ----

  async #import({ files, title }: Extract<StoreTask, { kind: 'import' }>): Promise<string[]> {
    const sizeOf = async (source: Blob | string): Promise<number> => {
      if (source instanceof Blob) return source.size;
      const { size, close } = await this.#platform.openRanges(source);
      await close();
      return size;
    };
    const sizes = await Promise.all(files.map(({ source }) => sizeOf(source)));
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const id = files.length > 1 ? await groupKey(files.map(({ name }, i) => `${name} ${sizes[i]}`)) : undefined;
    const keys: string[] = [];
    let before = 0;
    for (const [index, file] of files.entries()) {
      const group: Group | undefined = id === undefined ? undefined : { id, title, index, count: files.length };
      const progress = (key: string, bytes: number): void => this.#tell(id ?? key, before + bytes, total, 'downloading');
      keys.push(await importFile(file, title, group, { platform: this.#platform, hash: this.#hash, signal: this.#controller.signal, progress }));
      before += sizes[index];
    }
    return keys;
  }

  // ---- verify ----

  async #verify(keys: readonly string[]): Promise<string[]> {
    const { keeper } = this.#platform;
    const { signal } = this.#controller;
    const good: string[] = [];
    for (const key of keys) {
      const release = await keeper.tabs.lock(key, 'exclusive', signal);
      try {
        const whole = await keeper.openWhole(key);
        if (!whole) continue;
        const { about } = whole;
        let bytes = 0;
        try {
          for await (const some of readWhole(whole)) {
            if (signal.aborted) throw abortError();
            this.#tell(key, (bytes += some.length), about.bytes, 'checking');
          }
          good.push(key);
        } catch (error) {
          if (!(error instanceof Damaged)) throw error;
          const sums = (about.store?.sums ?? []).flatMap((sum, i) => (error.pieces.includes(i) ? [] : sumLine(i, sum)));
          if (about.store) await keeper.reopen(key, [headLine({ about: about.store, file: about.file, size: about.bytes }), ...sums].join('\n'));
          keeper.tabs.tell({ type: 'change' });
        } finally {
          await whole.close();
        }
      } finally {
        release();
      }
    }
    return good;
  }
}
