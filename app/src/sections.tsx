/* The sections of the page, in their order. One more is an entry here, a name in route.ts, and a folder. */

import type { ComponentType, JSX } from 'preact';
import type { View } from './route.ts';
import { Start } from './transcribe/Start.tsx';
import { ChartIcon, ChatIcon, MicIcon, ModelIcon, SparkIcon } from './ui/icons.tsx';
import { chatTitle, modelsTitle, transcribeTitle } from './ui/title.ts';

/** What a section shows. It stays, hidden, when another is opened: `active` says whether it is seen. Its heading is an h1 with tabIndex -1. */
export type SectionView = ComponentType<{ active: boolean }>;

export interface Section {
  view: View;
  name: string;
  icon: () => JSX.Element;
  title?: string; // of the window; else the name
  now?: () => string; // what goes on in it, for the title, or ''
  load: () => Promise<SectionView>; // its code, which comes when it is opened first
  meanwhile?: ComponentType; // what is shown until then; else that it is coming
}

export const SECTIONS: readonly Section[] = [
  {
    view: 'transcribe',
    name: 'Transcribe',
    icon: SparkIcon,
    title: 'sotto · speech to text on this device',
    now: () => transcribeTitle.value,
    load: async () => {
      const { begun, Transcribe } = await import('./transcribe/Transcribe.tsx');
      await begun; // what was open is there with it
      return Transcribe;
    },
    meanwhile: Start,
  },
  {
    view: 'chat',
    name: 'Chat',
    icon: ChatIcon,
    now: () => chatTitle.value,
    load: async () => (await import('./chat/Chat.tsx')).Chat,
  },
  {
    view: 'voice',
    name: 'Voice',
    icon: MicIcon,
    load: async () => (await import('./voice/Voice.tsx')).Voice,
  },
  {
    view: 'models',
    name: 'Models',
    icon: ModelIcon,
    now: () => modelsTitle.value,
    load: async () => (await import('./models/Models.tsx')).Models,
  },
  {
    view: 'benchmark',
    name: 'Benchmark',
    icon: ChartIcon,
    load: async () => (await import('./benchmark/Benchmark.tsx')).Benchmark,
  },
];
