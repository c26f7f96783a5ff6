/* Files that a person chose, to be found again after a reload: their handles are in IndexedDB, where the browser gives such. It asks anew
 * whether the page may read them. Without handles everything works, only the files must be chosen again. */

import { del, get, set } from 'idb-keyval';

/** What TypeScript's types of pages leave out. */
type Handle = (FileSystemFileHandle | (FileSystemDirectoryHandle & { values(): AsyncIterable<FileSystemHandle> })) & {
  queryPermission?(options: { mode: 'read' }): Promise<PermissionState>;
  requestPermission?(options: { mode: 'read' }): Promise<PermissionState>;
};
interface Choosers {
  showOpenFilePicker?(options: { multiple: boolean }): Promise<Handle[]>;
  showDirectoryPicker?(): Promise<Handle>;
}

/** The handles that files came from: their own, or that of their folder. */
const from = new WeakMap<File, Handle>();

const keyOf = (name: string): string => `model-files:${name}`;

async function filesBehind(handles: readonly Handle[]): Promise<File[]> {
  const files: File[] = [];
  const add = async (handle: FileSystemHandle, root: Handle) => {
    const file = await (handle as FileSystemFileHandle).getFile();
    from.set(file, root);
    files.push(file);
  };
  for (const handle of handles) {
    if (handle.kind === 'file') await add(handle, handle);
    // What lies deeper is another form of the same weights.
    else for await (const entry of handle.values()) if (entry.kind === 'file') await add(entry, handle);
  }
  return files;
}

/** Files or a folder of the person's choice, [] for none; null: this browser gives no handles. */
export async function chooseWithHandles(what: 'files' | 'folder'): Promise<File[] | null> {
  const { showOpenFilePicker: files, showDirectoryPicker: folder } = window as Choosers;
  if (!files || !folder) return null;
  try {
    return await filesBehind(what === 'files' ? await files.call(window, { multiple: true }) : [await folder.call(window)]);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return []; // none was chosen
    return null;
  }
}

/** Notes where the files of `name` are. */
export async function noteHandles(name: string, files: readonly File[]): Promise<void> {
  const handles = [...new Set(files.map((file) => from.get(file)))];
  if (handles.some((handle) => !handle)) return;
  await set(keyOf(name), handles).catch(() => {}); // then they are chosen again
}

export async function dropHandles(name: string): Promise<void> {
  await del(keyOf(name)).catch(() => {});
}

/** The files of `name`, if the person still lets the page read them; null: they must be chosen again. Call it where someone pressed a button. */
export async function filesAgain(name: string): Promise<File[] | null> {
  try {
    const handles = (await get<Handle[]>(keyOf(name))) ?? [];
    if (handles.length === 0) return null;
    for (const handle of handles) {
      const mode = { mode: 'read' } as const;
      if ((await handle.queryPermission?.(mode)) === 'granted') continue;
      if ((await handle.requestPermission?.(mode)) !== 'granted') return null;
    }
    return await filesBehind(handles);
  } catch {
    return null; // they were moved
  }
}
