/* The section to talk aloud: a button, what is being said, and the conversation. */

import { useEffect, useRef, useState } from 'preact/hooks';
import { chosen } from '../chat/model-state.ts';
import { LockIcon, MicIcon, StopIcon, WarnIcon } from '../ui/icons.tsx';
import { Speaker } from './speaker.ts';
import { answer, heard, phase, problem, requests, start, stop, turns, type Phase } from './state.ts';
import '../style/voice.css';

const NOW: Record<Phase, string> = {
  rest: 'Say something, and a model on this device answers aloud. It listens while it speaks: talk, and it stops.',
  opening: 'Opening the models…',
  listening: 'Listening. A pause ends what you say.',
  thinking: 'Thinking…',
  speaking: 'Speaking. Talk to stop it.',
};

export function Voice() {
  const now = phase.value;
  const on = now !== 'rest';
  const list = useRef<HTMLOListElement>(null);
  useEffect(() => {
    list.current?.lastElementChild?.scrollIntoView({ block: 'nearest' });
  }, [turns.value, heard.value, answer.value]);
  return (
    <section class="card voice" aria-labelledby="voice-title">
      <h1 id="voice-title" tabIndex={-1}>
        Voice
      </h1>
      <p role="status">{NOW[now]}</p>
      <button type="button" class="button primary" onClick={() => (on ? stop() : void start())}>
        {on ? <StopIcon /> : <MicIcon />} {on ? 'End the conversation' : 'Start a conversation'}
      </button>
      {problem.value && (
        <p class="notice bad" role="alert">
          <WarnIcon /> <span>{problem}</span>
        </p>
      )}
      <Turns list={list} />
      <p class="hint">
        <LockIcon /> <span data-testid="requests">Requests of this page since it listens: {requests}.</span> Answers come from{' '}
        {chosen.value.name}; another model is chosen in the chat. <VoiceHint />
      </p>
    </section>
  );
}

function Turns({ list }: { list: preact.RefObject<HTMLOListElement | null> }) {
  const said = [...turns.value];
  if (answer.value) said.push({ role: 'assistant', content: answer.value });
  return (
    <ol ref={list} class="voice-turns" aria-label="Conversation">
      {said.map(({ role, content }, i) => (
        <li key={i} class={role}>
          <span class="sr-only">{role === 'user' ? 'You: ' : 'Answer: '}</span>
          {content as string}
        </li>
      ))}
      {heard.value && <li class="user tentative">{heard}</li>}
    </ol>
  );
}

/** Voices come some time after the page. */
function VoiceHint() {
  const [speaks, setSpeaks] = useState(Speaker.canSpeak);
  useEffect(() => {
    const look = () => setSpeaks(Speaker.canSpeak);
    globalThis.speechSynthesis?.addEventListener?.('voiceschanged', look);
    return () => globalThis.speechSynthesis?.removeEventListener?.('voiceschanged', look);
  }, []);
  return speaks ? null : <>This browser has no voice of its own, so answers are written only.</>;
}
