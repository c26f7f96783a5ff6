import { kept, openDraft, openEarlier, openWhole, reopen, touch } from '../kept.node.js';
import { notes } from '../notes.node.js';
import type { Keeper } from './keeper.js';
import { tabs } from './tabs.node.js';

export const keeper: Keeper = { kept, tabs, notes, openPieces: openDraft, openWhole, reopen, touch, openEarlier };
