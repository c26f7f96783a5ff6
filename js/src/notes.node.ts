// What was measured once, in $XDG_CACHE_HOME/sotto/notes.
import fs from 'node:fs/promises';
import path from 'node:path';
import { cacheFolder } from './folder.node.js';
import type { Notes } from './platform.js';

const noteOf = (name: string): string => path.join(cacheFolder(), 'notes', name.replace(/[^\w.-]/g, '_'));

export const notes: Notes = {
  read: (name) => fs.readFile(noteOf(name), 'utf8').catch(() => undefined),
  async write(name, text) {
    const file = noteOf(name);
    const unfinished = `${file}.${process.pid}`; // others may be reading it
    try {
      await fs.mkdir(path.dirname(file), { recursive: true });
      await fs.writeFile(unfinished, text);
      await fs.rename(unfinished, file);
    } catch {
      // a disk that takes nothing: it is measured again the next time
    }
  },
};
