// What the store needs of the disk, in the worker: keeper.browser.ts and keeper.node.ts put it together.
import type { Draft, Earlier, KeptStore, WholeFile } from '../kept.js';
import type { Notes } from '../platform.js';
import type { Tabs } from './tabs.js';

export interface Keeper {
  kept: KeptStore;
  tabs: Tabs;
  notes: Notes;
  /** Takes up, or begins, a file that is written piece by piece. */
  openPieces(key: string): Promise<Draft>;
  /** undefined: there is none. */
  openWhole(key: string): Promise<WholeFile | undefined>;
  /** Makes a whole file one in the making again, with this journal. */
  reopen(key: string, journal: string): Promise<void>;
  /** Notes that a file is being loaded. */
  touch(key: string): Promise<void>;
  openEarlier(key: string, file: string, size: number | undefined): Promise<Earlier | undefined>;
}
