/* A conversation by voice, all of it on this device; it listens from the start, and answers once both models are there:
 *
 *   microphone ──> live transcription ──> a phrase ──> the model of the chat ──> its answer, sentence by sentence ──> a voice
 *                        └─> words while it answers: it is stopped, and listens */

import { signal } from '@preact/signals';
import type { Message } from 'sotto';
import { ready, settings as chatSettings } from '../chat/model-state.ts';
import type { Writer } from '../chat/engine.ts';
import { listen, type Engine, type Listening, type LiveEvent, type LiveTranscription } from '../transcribe/engine.ts';
import { Recorder } from '../transcribe/recorder.ts';
import { hearing, intakeError, openForLive, settings } from '../transcribe/state.ts';
import { together } from '../ui/memory.ts';
import { announcement } from '../ui/say.ts';
import { sentenceOf } from '../ui/told.ts';
import { Speaker } from './speaker.ts';

export type Phase = 'rest' | 'asking' | 'opening' | 'listening' | 'thinking' | 'speaking';

export const phase = signal<Phase>('rest');
export const turns = signal<Message[]>([]);
export const heard = signal(''); // what is being said
export const answer = signal(''); // what is being answered
export const problem = signal('');
export const requests = signal(0); // of this page, since all that is needed is here

const LONGEST_ANSWER = 200; // tokens

let recorder: Recorder | null = null;
let running: LiveTranscription | null = null;
let writer: Writer | null = null;
let speaker: Speaker | null = null;
let opening = new AbortController();
let answering = new AbortController();

const watch = new PerformanceObserver((list) => {
  requests.value += list.getEntries().length;
});

export async function start(): Promise<void> {
  if (phase.value !== 'rest') return;
  problem.value = hearing.value ? 'Live transcription is listening: stop it first.' : '';
  if (problem.value) return;
  phase.value = 'asking'; // for the microphone
  hearing.value = true;
  together.value = true;
  requests.value = 0;
  const { signal } = (opening = new AbortController());
  try {
    const from = await Recorder.start();
    if (signal.aborted) return from.discard(); // stop() could not let it go yet
    recorder = from;
    const sound = await listen(from.sound, { signal });
    signal.throwIfAborted();
    phase.value = 'opening';
    const engine = await openForLive(signal);
    signal.throwIfAborted();
    if (!engine) throw new Error(intakeError.value || 'Stopped.');
    writer = await ready(signal);
    signal.throwIfAborted();
    converse(engine, sound);
  } catch (error) {
    if (signal.aborted) return; // stop() has ended it
    problem.value = sentenceOf(error);
    opening.abort();
    end();
  }
}

function converse(engine: Engine, sound: Listening): void {
  const { language, prompt } = settings.value;
  phase.value = 'listening';
  announcement.value = 'Listening.';
  const options = { language: engine.multilingual ? language : 'en', translate: false, prompt, onEvent: take };
  running = engine.live(sound, options);
  running.finished.then(end, (error: unknown) => {
    problem.value = sentenceOf(error);
    end();
  });
}

export function stop(): void {
  opening.abort();
  quiet();
  if (running) void running.stop().catch(() => {}); // said where it is waited for
  else end();
}

function end(): void {
  quiet();
  recorder?.discard();
  watch.disconnect();
  recorder = running = null;
  hearing.value = false;
  together.value = false;
  heard.value = '';
  phase.value = 'rest';
}

/** Stops the answer that is under way; what was said of it stays. */
function quiet(): void {
  answering.abort();
  speaker?.cancel();
  speaker = null;
  if (answer.value) turns.value = [...turns.value, { role: 'assistant', content: answer.value }];
  answer.value = '';
  if (phase.value === 'thinking' || phase.value === 'speaking') phase.value = 'listening';
}

function take(event: LiveEvent): void {
  if (event.type === 'speech-start') watch.observe({ type: 'resource' }); // all that is needed is here
  if (event.type === 'partial' && event.text !== '') {
    quiet(); // who speaks is heard
    heard.value = event.text;
  } else if (event.type === 'final') {
    heard.value = '';
    quiet();
    void ask(event.text, event.language);
  }
}

/** Phrases without an answer between them are one turn. */
function add(text: string): void {
  const last = turns.value.at(-1);
  turns.value =
    last?.role === 'user'
      ? [...turns.value.slice(0, -1), { role: 'user', content: `${last.content as string} ${text}` }]
      : [...turns.value, { role: 'user', content: text }];
}

async function ask(text: string, language: string): Promise<void> {
  if (!writer) return;
  add(text);
  answering = new AbortController();
  const { signal: mine } = answering;
  const voice = new Speaker(language, () => {
    if (!mine.aborted) phase.value = 'listening';
  });
  speaker = voice;
  phase.value = 'thinking';
  try {
    await writer.answer({
      ...{ messages: turns.value, begun: '', chat: true, sampling: chatSettings.value, maxTokens: LONGEST_ANSWER },
      ...{ signal: mine, onRead: () => {} },
      onText: (piece) => {
        if (mine.aborted) return;
        if (Speaker.canSpeak) phase.value = 'speaking';
        answer.value += piece;
        voice.add(piece);
      },
    });
    if (mine.aborted) return;
    turns.value = [...turns.value, { role: 'assistant', content: answer.value }];
    answer.value = '';
    voice.end();
  } catch (error) {
    if (mine.aborted) return;
    problem.value = sentenceOf(error);
    quiet();
  }
}
