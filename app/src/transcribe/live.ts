/* Live transcription as the page has it:
 *
 *   microphone or tab ──> recorder (keeps the sound) ──> engine ──> phrases, the one being spoken ──> a transcript, at the end */

import { effect, signal } from '@preact/signals';
import type { LiveEvent, LiveTranscription, Segment } from './engine.ts';
import { Recorder, type Heard } from './recorder.ts';
import { announceText, hearing, intakeError, modelEntry, openForLive, settings, showLive, work } from './state.ts';
import { announcement } from '../ui/say.ts';
import { sentenceOf } from '../ui/told.ts';

export interface LiveNow {
  what: Heard;
  recorder: Recorder | null; // null: the model is being opened
  phrases: Segment[]; // final
  settled: string; // of the phrase that is being spoken
  tentative: string;
  stopping: boolean;
}

export const live = signal<LiveNow | null>(null);

effect(() => {
  hearing.value = live.value !== null;
});

let running: LiveTranscription | null = null;
let offset = 0; // s from the start of the recording to that of what the engine hears
let code = '';

function update(part: Partial<LiveNow>): void {
  if (live.value) live.value = { ...live.value, ...part };
}

export async function startLive(what: Heard): Promise<void> {
  if (live.value) return;
  if (hearing.value) {
    intakeError.value = 'The voice conversation is listening: end it first.';
    return;
  }
  let recorder: Recorder;
  intakeError.value = '';
  try {
    recorder = await Recorder.start(what); // while the click still counts as one
  } catch (error) {
    intakeError.value = sentenceOf(error);
    return;
  }
  live.value = { what, recorder: null, phrases: [], settled: '', tentative: '', stopping: false };
  const engine = await openForLive();
  if (!engine) {
    recorder.discard();
    live.value = null;
    return;
  }
  offset = -1;
  code = '';
  const { language, prompt, translate } = settings.value;
  running = engine.live(recorder.sound, {
    language: engine.multilingual ? language : 'en',
    translate: translate && engine.multilingual && (modelEntry()?.translates ?? true),
    prompt,
    onEvent: take,
    onLevel: () => {
      if (offset < 0) offset = Math.max(recorder.seconds() - 0.1, 0);
    },
  });
  update({ recorder });
  announcement.value = 'Listening.';
  running.finished.then(
    () => finish(recorder),
    (error: unknown) => {
      announceText(sentenceOf(error));
      void finish(recorder, sentenceOf(error));
    },
  );
}

function take(event: LiveEvent): void {
  if (!live.value) return;
  if (event.type === 'partial') {
    update({ settled: event.settled, tentative: event.text.slice(event.settled.length) });
  } else if (event.type === 'final') {
    code = event.language;
    const phrase: Segment = {
      ...{ start: offset + event.start, end: offset + event.end, text: ` ${event.text}`, tokens: [] },
      ...{ noSpeechProb: 0, temperature: 0, avgLogprob: 0, compressionRatio: 0 },
    };
    update({ phrases: [...live.value.phrases, phrase], settled: '', tentative: '' });
    announceText(event.text);
  }
}

/** Hears no more; what was said becomes a transcript. */
export function stopLive(): void {
  update({ stopping: true });
  void running?.stop().catch(() => {}); // said where it is waited for
}

async function finish(recorder: Recorder, why = ''): Promise<void> {
  const heard = live.value?.phrases ?? [];
  const recording = await recorder.stop();
  running = null;
  if (heard.length > 0) await showLive(heard, code, recording);
  else intakeError.value = why || 'No speech was heard.';
  live.value = null;
  if (why && heard.length > 0) work.value = { at: 'failed', why };
}
