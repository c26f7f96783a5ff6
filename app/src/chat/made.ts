/* Models that were quantized on this device, as models to talk with, and as files to be saved. */

import { signal } from '@preact/signals';
import { quantizedModels, type QuantizedModel } from 'sotto';
import { go } from '../route.ts';
import { change, ownModel } from '../transcribe/state.ts';
import { announcement } from '../ui/say.ts';
import { sentenceOf } from '../ui/told.ts';
import { typeInWords } from './quantize-types.ts';
import type { ChatModel } from './models.ts';

export interface MadeModel extends ChatModel {
  made: QuantizedModel;
}

export const madeModels = signal<readonly MadeModel[]>([]); // of all kinds, oldest first
export const madeError = signal('');

/** The same object for the same model, so that one in memory is known again. */
const known = new Map<string, MadeModel>();

function entryOf(made: QuantizedModel): MadeModel {
  const key = `${made.name} ${made.made}`;
  const entry = known.get(key) ?? {
    id: `made:${made.name}`,
    name: made.name,
    about: `${made.kind === 'speech' ? 'A Whisper model, made' : 'Made'} on this device, ${typeInWords(made.type)}.`,
    bytes: made.bytes,
    license: 'as you got it',
    licenseUrl: '',
    storyteller: false,
    input: made,
    sources: [],
    made,
  };
  known.set(key, entry);
  return entry;
}

export async function refreshMade(): Promise<void> {
  madeModels.value = (await quantizedModels().catch(() => [])).map(entryOf);
}

interface SavePicker {
  showSaveFilePicker?(options: { suggestedName: string }): Promise<FileSystemFileHandle>;
}

/** Saves the file where the person says, straight from where it is kept. */
export async function saveMade({ made, name }: MadeModel): Promise<void> {
  madeError.value = '';
  try {
    const file = (await made.open()) as Blob;
    const picker = (window as SavePicker).showSaveFilePicker;
    if (picker) {
      const handle = await picker.call(window, { suggestedName: made.file });
      announcement.value = `Saving ${made.file}.`;
      await file.stream().pipeTo(await handle.createWritable());
    } else {
      const link = document.createElement('a');
      link.href = URL.createObjectURL(file); // the browser reads the file itself: it is not copied into memory
      link.download = made.file;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 600_000);
    }
    announcement.value = `Saved ${made.file}.`;
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return; // no file was chosen
    madeError.value = `${name} could not be saved. ${sentenceOf(error)}`;
  }
}

/** Takes a Whisper model to where one transcribes. */
export async function transcribeWith({ made, name }: MadeModel): Promise<void> {
  madeError.value = '';
  try {
    ownModel.value = new File([(await made.open()) as Blob], made.file);
    change({ model: 'own' });
    go('transcribe');
  } catch (error) {
    madeError.value = `${name} cannot be used. ${sentenceOf(error)}`;
  }
}

export async function removeMade({ made, name }: MadeModel): Promise<void> {
  await made.remove().catch(() => {});
  await refreshMade();
  announcement.value = `${name} was removed from this device.`;
}
