import { kept, openPieces, openWhole, reopen, touch } from '../kept.browser.js';
import { openEarlier } from '../kept-cache.browser.js';
import { notes } from '../notes.browser.js';
import type { Keeper } from './keeper.js';
import { tabs } from './tabs.browser.js';

export const keeper: Keeper = { kept, tabs, notes, openPieces, openWhole, reopen, touch, openEarlier };
