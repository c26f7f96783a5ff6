/* What can be done with a model that is here: use it in a section, save it as a file, check it, delete it. */

import { signal } from '@preact/signals';
import { modelStore } from 'sotto';
import * as chat from '../chat/model-state.ts';
import { entryOfKept, MODELS } from '../chat/models.ts';
import { go, type View } from '../route.ts';
import { letGo, useModel } from '../transcribe/state.ts';
import { announcement } from '../ui/say.ts';
import { sentenceOf } from '../ui/told.ts';
import type { Chosen } from './incoming.ts';
import { idOf, kindOf, nameOf, refreshKept, type StoredModel } from './kept.ts';

/** What could not be done, by id of the model in the store. */
export const problems = signal<Readonly<Record<string, string>>>({});
/** Ids of those that are being checked, with how far, 0 to 1. */
export const checking = signal<Readonly<Record<string, number>>>({});
/** What a check said, by id. */
export const checked = signal<Readonly<Record<string, string>>>({});

const without = <T>(all: Readonly<Record<string, T>>, id: string): Record<string, T> => {
  const { [id]: _, ...rest } = all;
  return rest;
};

function failed(model: StoredModel, why: string): void {
  problems.value = { ...problems.value, [model.id]: why };
}

/** Chooses the model for its sections, and goes to one of them. */
export function use(model: StoredModel, view: View): void {
  problems.value = without(problems.value, model.id);
  if (kindOf(model) === 'speech') useModel(idOf(model));
  else {
    const entry = MODELS.find(({ id }) => id === idOf(model)) ?? entryOfKept(model);
    if (view === 'chat') void chat.choose(entry);
    else chat.change({ model: entry.id });
  }
  go(view);
}

/** Uses files while the page lives. */
export function useOnce({ files, speech }: Chosen): void {
  if (speech) useModel(files[0]!);
  else void chat.chooseFiles(files);
  go(speech ? 'transcribe' : 'chat');
}

interface SavePicker {
  showSaveFilePicker?(options: { suggestedName: string }): Promise<FileSystemFileHandle>;
}

/** Saves the file where the person says, straight from where it is kept. */
export async function save(model: StoredModel): Promise<void> {
  problems.value = without(problems.value, model.id);
  try {
    const file = (await modelStore.open(model.id)) as Blob;
    const picker = (window as SavePicker).showSaveFilePicker;
    if (picker) {
      const handle = await picker.call(window, { suggestedName: model.file });
      announcement.value = `Saving ${model.file}.`;
      await file.stream().pipeTo(await handle.createWritable());
    } else {
      const link = document.createElement('a');
      link.href = URL.createObjectURL(file); // the browser reads the file itself: it is not copied into memory
      link.download = model.file;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 600_000);
    }
    announcement.value = `Saved ${model.file}.`;
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return; // no file was chosen
    failed(model, `${nameOf(model)} could not be saved. ${sentenceOf(error)}`);
  }
}

/** Reads all of it again, and says whether it is what came. */
export async function check(model: StoredModel): Promise<void> {
  const name = nameOf(model);
  const { id, bytes } = model;
  problems.value = without(problems.value, id);
  checked.value = without(checked.value, id);
  checking.value = { ...checking.value, [id]: 0 };
  try {
    const right = await modelStore.verify(id, { onProgress: (p) => (checking.value = { ...checking.value, [id]: bytes > 0 ? p.bytes / bytes : 0 }) });
    if (right) checked.value = { ...checked.value, [id]: 'Checked: every byte is as it came.' };
    else failed(model, `${name} is damaged: delete it, then get it again.`);
    announcement.value = right ? `${name} is whole.` : `${name} is damaged.`;
  } catch (error) {
    failed(model, `${name} could not be checked. ${sentenceOf(error)}`);
  } finally {
    checking.value = without(checking.value, id);
  }
}

export async function remove(model: StoredModel): Promise<void> {
  const id = idOf(model);
  letGo(id);
  chat.letGo(id);
  try {
    await modelStore.delete(model.id);
    announcement.value = `${nameOf(model)} was deleted from this device.`;
  } catch (error) {
    failed(model, `${nameOf(model)} could not be deleted. ${sentenceOf(error)}`);
  }
  await refreshKept();
}
