/* Where the next message is written, with the model that will answer and the room that is left for it. */

import { useEffect, useRef } from 'preact/hooks';
import { Bar } from '../ui/Bar.tsx';
import { useFit } from '../ui/fit.ts';
import { DownIcon, ModelIcon, SendIcon, StopIcon, WarnIcon } from '../ui/icons.tsx';
import { grouped, megabytes } from '../ui/words.ts';
import { draftOf, setDraft } from './drafts.ts';
import { panel } from './panel.ts';
import { cancelLoading, choose, chosen, settings, work } from './model-state.ts';
import { answering, conversations, current, path, send, stop } from './state.ts';

const area: { current: HTMLTextAreaElement | null } = { current: null };

/** Puts the keyboard into the composer, once what is going on is drawn. */
export function focusComposer(): void {
  requestAnimationFrame(() => area.current?.focus());
}

/** Phones have no Shift + Enter, so Enter is a new line there. */
const byFinger = matchMedia('(hover: none) and (pointer: coarse)');

export function Composer() {
  const { id } = current.value;
  const draft = conversations.value.some((c) => c.id === id) ? id : '';
  const text = draftOf(draft);
  const setText = (value: string) => setDraft(draft, value);
  const field = useRef<HTMLTextAreaElement>(null);
  useFit(field, text);
  useEffect(() => {
    area.current = field.current;
    return () => {
      area.current = null;
    };
  }, []);
  const now = answering.value;
  const elsewhere = now !== null && now.conversation !== id;
  const submit = () => {
    if (now || !text.trim()) return;
    setText('');
    send(text);
  };
  return (
    <form
      class="composer-area"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <ModelWork />
      {elsewhere && (
        <p class="notice mild">
          <span>An answer is being written in another conversation.</span>
          <button type="button" class="button" onClick={stop}>
            Stop it
          </button>
        </p>
      )}
      <div class="composer card">
        <textarea
          ref={field}
          rows={1}
          dir="auto"
          aria-label="Message"
          aria-describedby="composer-keys"
          placeholder={chosen.value.storyteller && settings.value.chat ? 'Tell me a story about…' : 'Write a message'}
          enterkeyhint={byFinger.matches ? 'enter' : 'send'}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== 'Enter' || event.shiftKey || event.isComposing || byFinger.matches) return;
            event.preventDefault();
            submit();
          }}
        />
        <div class="composer-bar">
          <button type="button" class="button quiet small model-chip" onClick={() => (panel.value = 'models')}>
            <ModelIcon />
            <span>
              <span class="sr-only">Model: </span>
              {chosen.value.name}
            </span>
            <DownIcon />
          </button>
          <Meter />
          {now && !elsewhere ? (
            <button type="button" class="button round send" aria-label="Stop" title="Stop (Esc)" onClick={stop}>
              <StopIcon />
            </button>
          ) : (
            <button
              type="submit"
              class="button round send"
              aria-label="Send"
              title="Send (Enter)"
              disabled={!text.trim() || now !== null}
            >
              <SendIcon />
            </button>
          )}
        </div>
      </div>
      <p class="hint composer-hint" id="composer-keys">
        {chosen.value.storyteller ? 'Teller makes things up: these are stories.' : 'Models make mistakes: check what matters.'}
        <span class="where-mouse">
          {' '}
          <kbd>Enter</kbd> sends, <kbd>Shift</kbd> <kbd>Enter</kbd> new line, <kbd>Esc</kbd> stops.
        </span>
      </p>
    </form>
  );
}

/** How much of the context the branch takes, as of its last answer. */
function Meter() {
  const stats = path.value.findLast((turn) => turn.stats)?.stats;
  if (!stats) return <span class="meter" />;
  const window = work.value.at === 'ready' ? work.value.window : stats.window;
  const used = Math.min(stats.promptTokens + stats.tokens, window);
  const share = window > 0 ? used / window : 0;
  return (
    <span
      class="meter"
      role="meter"
      aria-label="Context in use"
      aria-valuemin={0}
      aria-valuemax={window}
      aria-valuenow={used}
      aria-valuetext={`${grouped(used)} of ${grouped(window)} tokens`}
      title={`Context in use: ${grouped(used)} of ${grouped(window)} tokens`}
      data-full={share > 0.85}
    >
      <i>
        <b style={{ transform: `scaleX(${share})` }} />
      </i>
      <small>
        {grouped(used)} / {grouped(window)}
      </small>
    </span>
  );
}

/** The model on its way, or why it is not here. */
function ModelWork() {
  const now = work.value;
  if (now.at === 'loading') {
    const { model, loaded, total, cached, from } = now;
    const verb = cached ? 'Loading' : 'Downloading';
    const amount = `${megabytes(loaded)} of ${megabytes(total)}`;
    const resumed = from > 0 ? ` · goes on from ${megabytes(from)}` : '';
    return (
      <section class="card progress" aria-label="Progress" data-testid="model-progress">
        <div class="progress-head">
          <p>
            <strong>
              {verb} {model.name}
            </strong>
            <span>
              {amount}
              {resumed}
              {!cached && !resumed && ' · only this once, it is kept on this device'}
            </span>
          </p>
          <button type="button" class="button" onClick={cancelLoading}>
            Cancel
          </button>
        </div>
        <Bar label={`${verb} ${model.name}`} fraction={total ? loaded / total : undefined} />
      </section>
    );
  }
  if (now.at === 'cancelled' && now.loaded > 0) {
    const { model, loaded } = now;
    return (
      <div class="notice mild" data-testid="model-notice">
        <WarnIcon />
        <span>
          {model.name} stopped at {megabytes(loaded)} of {megabytes(model.bytes)}. What came is kept; the download goes on from
          there.
        </span>
        <button type="button" class="button" onClick={() => void choose(model)}>
          Continue
        </button>
      </div>
    );
  }
  // An answer that failed says so itself.
  if (now.at === 'failed' && path.value.at(-1)?.end !== 'failed') {
    const { model, why } = now;
    return (
      <div class="notice bad" role="alert" data-testid="model-notice">
        <WarnIcon />
        <span>{why}</span>
        <button type="button" class="button" onClick={() => void choose(model)}>
          Try again
        </button>
      </div>
    );
  }
  return null;
}
