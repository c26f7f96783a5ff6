/* Files dropped or pasted anywhere on the page. */

import { useEffect, useState } from 'preact/hooks';

/** Hands files that are dropped, or pasted where `pastes`, to `take` while `active`. Gives whether some hover over the page. */
export function useDrop(active: boolean, take: (files: File[]) => void, pastes: boolean): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    if (!active) return;
    let depth = 0;
    const holdsFile = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
    const listeners = {
      dragenter: (event: DragEvent) => {
        if (holdsFile(event)) setOver(++depth > 0);
      },
      dragleave: (event: DragEvent) => {
        if (holdsFile(event)) setOver(--depth > 0);
      },
      dragover: (event: DragEvent) => {
        if (holdsFile(event)) event.preventDefault();
      },
      drop: (event: DragEvent) => {
        if (!holdsFile(event)) return;
        event.preventDefault();
        depth = 0;
        setOver(false);
        void filesOf(event.dataTransfer!).then((files) => files.length > 0 && take(files));
      },
      paste: (event: ClipboardEvent) => {
        const files = pastes ? [...(event.clipboardData?.files ?? [])] : [];
        if (files.length === 0) return;
        event.preventDefault();
        take(files);
      },
    };
    for (const [name, listener] of Object.entries(listeners)) addEventListener(name, listener as EventListener);
    return () => {
      for (const [name, listener] of Object.entries(listeners)) removeEventListener(name, listener as EventListener);
      setOver(false);
    };
  }, [active, take, pastes]);
  return over;
}

const MOST_FILES = 1000; // of a dropped folder; more is no model and no recording

/** The files, and those directly in dropped folders. */
async function filesOf(data: DataTransfer): Promise<File[]> {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry?.() ?? null); // before the first await
  const plain = [...data.files];
  const files: File[] = [];
  for (const [i, entry] of entries.entries()) {
    if (entry?.isDirectory) files.push(...(await filesIn(entry as FileSystemDirectoryEntry).catch(() => [])));
    else if (plain[i]) files.push(plain[i]);
  }
  return entries.length > 0 ? files : plain;
}

async function filesIn(folder: FileSystemDirectoryEntry): Promise<File[]> {
  const reader = folder.createReader();
  const files: File[] = [];
  for (;;) {
    // In portions, until one is empty.
    const portion = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (portion.length === 0 || files.length > MOST_FILES) return files;
    for (const entry of portion) {
      if (!entry.isFile) continue;
      files.push(await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject)));
    }
  }
}
