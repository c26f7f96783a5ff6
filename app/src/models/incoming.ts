/* Model files that were chosen or dropped, until it is said what is to become of them:
 *
 *   files ──> kept on this device (copied into the store) │ used once, while the page lives │ made smaller first (quantize-state.ts) */

import { signal } from '@preact/signals';
import { modelStore } from 'sotto';
import { modelOfFiles, type ChatModel } from '../chat/models.ts';
import { go } from '../route.ts';
import { announcement } from '../ui/say.ts';
import { sentenceOf } from '../ui/told.ts';
import { stem } from '../ui/words.ts';
import { useOnce } from './use.ts';
import { refreshKept } from './kept.ts';
import { look, quantizing, take, waiting } from './quantize-state.ts';

export interface Chosen {
  files: readonly File[];
  name: string;
  bytes: number;
  speech: boolean; // a Whisper file, as its name says
  keeps: boolean; // it is one file, so that it can be copied as it is
  full: boolean; // of full precision, as its name says: rather made smaller
}

export type Incoming =
  | { at: 'choice'; of: Chosen }
  | { at: 'copying'; of: Chosen; bytes: number; abort: AbortController }
  | { at: 'kept'; name: string }
  | { at: 'failed'; why: string };

export const incoming = signal<Incoming | null>(null);

/** Model files from anywhere on the page: shows the section of models, and asks what to do with them. */
export function takeModelFiles(files: readonly File[]): void {
  if (files.length === 0) return;
  if (waiting.value) return take(files);
  go('models');
  if (quantizing.value.at !== 'work') quantizing.value = { at: 'rest' };
  try {
    incoming.value = { at: 'choice', of: chosenOf(files) };
  } catch (error) {
    incoming.value = { at: 'failed', why: sentenceOf(error) };
  }
}

const FULL = /\.safetensors$|(^|[^a-z0-9])(bf16|f16|f32|fp16|fp32)[^a-z0-9]/i;

/** Throws Told where there is no model among them. */
function chosenOf(files: readonly File[]): Chosen {
  const [first] = files;
  const bin = files.length === 1 && /\.bin$/i.test(first!.name);
  const model: Pick<ChatModel, 'name' | 'bytes'> = bin ? { name: stem(first!.name), bytes: first!.size } : modelOfFiles(files);
  const gguf = files.filter(({ name }) => /\.gguf$/i.test(name));
  const single = bin ? first! : gguf.length === 1 ? gguf[0]! : null;
  return {
    files: single ? [single] : files,
    name: model.name,
    bytes: model.bytes,
    speech: bin,
    keeps: single !== null,
    full: files.some(({ name }) => FULL.test(name)),
  };
}

/** Copies the file into the store. */
export async function keep(): Promise<void> {
  const now = incoming.value;
  if (now?.at !== 'choice') return;
  const { of } = now;
  const abort = new AbortController();
  incoming.value = { at: 'copying', of, bytes: 0, abort };
  announcement.value = `Copying ${of.name}.`;
  try {
    const file = of.files[0]!;
    const stored = await modelStore.import(file, {
      name: file.name,
      signal: abort.signal,
      onProgress: ({ bytes }) => {
        if (!abort.signal.aborted) incoming.value = { at: 'copying', of, bytes, abort };
      },
    });
    await refreshKept();
    incoming.value = { at: 'kept', name: stem(stored.name) };
    announcement.value = `${of.name} is on this device.`;
  } catch (error) {
    if (abort.signal.aborted) incoming.value = null;
    else incoming.value = { at: 'failed', why: `${of.name} cannot be kept. ${sentenceOf(error)}` };
  }
}

export function once(): void {
  const now = incoming.value;
  if (now?.at !== 'choice') return;
  incoming.value = null;
  useOnce(now.of);
}

export function smaller(): void {
  const now = incoming.value;
  if (now?.at !== 'choice') return;
  incoming.value = null;
  void look(now.of.files);
}

export function leaveIncoming(): void {
  if (incoming.value?.at === 'copying') incoming.value.abort.abort(new DOMException('Cancelled.', 'AbortError'));
  incoming.value = null;
}

