/* Live transcription as the page has it:
 *
 *   microphone or tab ──> recorder (keeps the sound) ──> listening ──> engine ──> phrases, the one being spoken ──> a transcript, at the end
 *                                                            └── keeps the last minute, until the engine has its model */

import { effect, signal } from '@preact/signals';
import { listen, type Listening, type LiveEvent, type Segment } from './engine.ts';
import { Recorder, type Heard } from './recorder.ts';
import { announceText, hearing, intakeError, modelEntry, openForLive, settings, showLive, work } from './state.ts';
import { announcement } from '../ui/say.ts';
import { sentenceOf } from '../ui/told.ts';

export interface LiveNow {
  what: Heard;
  recorder: Recorder;
  ready: boolean; // false: the model is being opened, and what is said waits
  phrases: Segment[]; // final
  settled: string; // of the phrase that is being spoken
  tentative: string;
  stopping: boolean;
}

export const live = signal<LiveNow | null>(null);

effect(() => {
  hearing.value = live.value !== null;
});

let beginning = false; // the microphone is being asked for
let sound: Listening | null = null;
let offset = 0; // s from the start of the recording to that of what is listened to
let code = '';

function update(part: Partial<LiveNow>): void {
  if (live.value) live.value = { ...live.value, ...part };
}

export async function startLive(what: Heard): Promise<void> {
  if (live.value || beginning) return;
  if (hearing.value) {
    intakeError.value = 'The voice conversation is listening: end it first.';
    return;
  }
  let recorder: Recorder | undefined;
  intakeError.value = '';
  beginning = true;
  try {
    recorder = await Recorder.start(what); // while the click still counts as one
    sound = await hear(recorder);
  } catch (error) {
    recorder?.discard();
    intakeError.value = sentenceOf(error);
    return;
  } finally {
    beginning = false;
  }
  live.value = { what, recorder, ready: false, phrases: [], settled: '', tentative: '', stopping: false };
  announcement.value = 'Listening.';
  const engine = await openForLive();
  if (!engine) {
    sound.stop();
    recorder.discard();
    live.value = null;
    return;
  }
  update({ ready: true });
  const { language, prompt, translate } = settings.value;
  const running = engine.live(sound, {
    language: engine.multilingual ? language : 'en',
    translate: translate && engine.multilingual && (modelEntry()?.translates ?? true),
    prompt,
    onEvent: take,
  });
  await running.finished.then(
    () => finish(recorder),
    (error: unknown) => {
      announceText(sentenceOf(error));
      return finish(recorder, sentenceOf(error));
    },
  );
}

function hear(recorder: Recorder): Promise<Listening> {
  code = '';
  offset = -1;
  const onLevel = () => {
    if (offset < 0) offset = Math.max(recorder.seconds() - 0.1, 0);
  };
  return listen(recorder.sound, { onLevel });
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

/** Hears no more; what was said becomes a transcript, as soon as the model is there. */
export function stopLive(): void {
  update({ stopping: true });
  sound?.stop();
  live.value?.recorder.discard();
}

async function finish(recorder: Recorder, why = ''): Promise<void> {
  const heard = live.value?.phrases ?? [];
  const recording = await recorder.stop();
  if (heard.length > 0) await showLive(heard, code, recording);
  else intakeError.value = why || 'No speech was heard.';
  live.value = null;
  if (why && heard.length > 0) work.value = { at: 'failed', why };
}
