/* The section to talk aloud: a button, what is being said, and the conversation. */

import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { change, choices, chosen, isHere as talkerIsHere, work as talkerWork } from '../chat/model-state.ts';
import { addressOf } from '../route.ts';
import { entries, isHere, modelEntry, settings, useModel, work } from '../transcribe/state.ts';
import { Bar } from '../ui/Bar.tsx';
import { MicIcon, StopIcon, WarnIcon } from '../ui/icons.tsx';
import { megabytes } from '../ui/words.ts';
import { SealOffer } from './SealOffer.tsx';
import { Speaker } from './speaker.ts';
import { answer, heard, phase, problem, requests, start, stop, turns, type Phase } from './state.ts';
import '../style/voice.css';

const NOW: Record<Exclude<Phase, 'rest'>, string> = {
  asking: 'Asking for the microphone…',
  opening: 'Listening already: it answers once the models are loaded.',
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
    <div class="voice">
      <div class="hero">
        <h1 tabIndex={-1}>Talk with a model</h1>
        <p>Say something, and a model on this device answers aloud. It listens while it speaks: talk, and it stops.</p>
      </div>
      <section class="card voice-card" aria-label="Conversation">
        <div class="voice-head">
          <button type="button" class="button primary" onClick={() => (on ? stop() : void start())}>
            {on ? <StopIcon /> : <MicIcon />} {on ? 'End the conversation' : 'Start a conversation'}
          </button>
          <p class="voice-now" data-phase={now} role="status">
            {now !== 'rest' && NOW[now]}
          </p>
        </div>
        {problem.value && (
          <p class="notice bad" role="alert">
            <WarnIcon /> <span>{problem}</span>
          </p>
        )}
        {now === 'opening' && <Opening />}
        <Turns list={list} />
        <Choices disabled={on} />
        <p class="hint">
          <VoiceHint /> <span data-testid="requests">Requests of this page since all it needs is here: {requests}.</span>
        </p>
      </section>
      <SealOffer />
    </div>
  );
}

/** How far the model is that is being loaded: the one that hears comes first. */
function Opening() {
  const hears = work.value;
  const answers = talkerWork.value;
  let label = 'Opening the models';
  let fraction: number | undefined;
  if (hears.at === 'download') {
    label = `${hears.cached ? 'Loading' : 'Downloading'} the ${modelEntry()?.label ?? 'chosen'} model, which hears`;
    fraction = hears.loaded / hears.total;
  } else if (answers.at === 'loading') {
    label = `${answers.cached ? 'Loading' : 'Downloading'} ${answers.model.name}, which answers`;
    fraction = answers.loaded / answers.total;
  }
  return (
    <div class="voice-opening">
      <Bar label={label} fraction={fraction} />
      <p class="hint">{label}. The last minute of what is said is kept until then.</p>
    </div>
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

/** Which models hear and answer: those on this device, and what was chosen before. */
function Choices({ disabled }: { disabled: boolean }) {
  const id = useId();
  const { model } = settings.value;
  const hearers = entries.value.filter((m) => m.id === model || isHere(m));
  return (
    <div class="voice-models">
      <div class="field">
        <label for={`${id}-hears`}>Hears</label>
        <select id={`${id}-hears`} value={model} disabled={disabled} onChange={(event) => useModel(event.currentTarget.value)}>
          {hearers.map((m) => (
            <option key={m.id} value={m.id}>
              {m.label}
              {!isHere(m) && ` · ${megabytes(m.bytes)} to download`}
            </option>
          ))}
          {model === 'own' && <option value="own">Your own file</option>}
        </select>
      </div>
      <div class="field">
        <label for={`${id}-answers`}>Answers</label>
        <select id={`${id}-answers`} value={chosen.value.id} disabled={disabled} onChange={(event) => change({ model: event.currentTarget.value })}>
          {choices.value.map((m) => (
            <option key={m.id} value={m.id}>
              {m.name}
              {!talkerIsHere(m) && !m.storyteller && ` · ${megabytes(m.bytes)} to download`}
            </option>
          ))}
        </select>
      </div>
      <a class="link small" href={addressOf('models')}>
        Models on this device
      </a>
    </div>
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
