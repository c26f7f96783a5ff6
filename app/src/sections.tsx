/* The sections of the page, in their order. One more is an entry here, a name in route.ts, and a folder. */

import type { ComponentType, JSX } from 'preact';
import type { View } from './route.ts';
import { busy } from './transcribe/state.ts';
import { Transcribe } from './transcribe/Transcribe.tsx';
import { ChartIcon, ChatIcon, MicIcon, SparkIcon } from './ui/icons.tsx';
import { chatTitle } from './ui/title.ts';

/** What a section shows. It stays, hidden, when another is opened: `active` says whether it is seen. Its heading is an h1 with tabIndex -1. */
export type SectionView = ComponentType<{ active: boolean }>;

export interface Section {
  view: View;
  name: string;
  icon: () => JSX.Element;
  title?: string; // of the window; else the name
  now?: () => string; // what goes on in it, for the title, or ''
  part: { is: SectionView } | { load: () => Promise<SectionView> }; // what is loaded comes when it is opened first
}

export const SECTIONS: readonly Section[] = [
  {
    view: 'transcribe',
    name: 'Transcribe',
    icon: SparkIcon,
    title: 'sotto · speech to text on this device',
    now: () => (busy.value ? 'Transcribing…' : ''),
    part: { is: Transcribe },
  },
  {
    view: 'chat',
    name: 'Chat',
    icon: ChatIcon,
    now: () => chatTitle.value,
    part: { load: async () => (await import('./chat/Chat.tsx')).Chat },
  },
  {
    view: 'voice',
    name: 'Voice',
    icon: MicIcon,
    part: { load: async () => (await import('./voice/Voice.tsx')).Voice },
  },
  {
    view: 'benchmark',
    name: 'Benchmark',
    icon: ChartIcon,
    part: { load: async () => (await import('./benchmark/Benchmark.tsx')).Benchmark },
  },
];
