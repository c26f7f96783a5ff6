/* One message or answer, and what can be done with it. */

import { memo } from 'preact/compat';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { CopyButton } from '../ui/CopyButton.tsx';
import { useFit } from '../ui/fit.ts';
import { AgainIcon, LeftIcon, PenIcon, RightIcon, WarnIcon } from '../ui/icons.tsx';
import { grouped } from '../ui/words.ts';
import { Markdown } from './Markdown.tsx';
import { goOn, live, readFraction, regenerate, resend, showBranch, type Phase } from './state.ts';
import type { Turn } from './tree.ts';

interface MessageProps {
  turn: Turn;
  siblings: Turn[];
  last: boolean;
  phase: Phase | null; // of the answer, while it is made
  busy: boolean; // some answer is being made
}

export const MessageView = memo(
  function MessageView(props: MessageProps) {
    return props.turn.role === 'user' ? <Mine {...props} /> : <Theirs {...props} />;
  },
  (a, b) =>
    a.turn === b.turn &&
    a.last === b.last &&
    a.phase === b.phase &&
    a.busy === b.busy &&
    a.siblings.length === b.siblings.length,
);

function Mine({ turn, siblings, busy }: MessageProps) {
  const [editing, setEditing] = useState(false);
  const pen = useRef<HTMLButtonElement>(null);
  const close = () => {
    setEditing(false);
    requestAnimationFrame(() => pen.current?.focus());
  };
  return (
    <li class="message mine">
      <h2 class="sr-only">You</h2>
      {editing ? (
        <EditField turn={turn} close={close} busy={busy} />
      ) : (
        <>
          <p class="bubble" dir="auto">
            {turn.text}
          </p>
          <div class="message-tools">
            <Branches turn={turn} siblings={siblings} busy={busy} />
            <CopyButton text={() => turn.text} class="button quiet icon-only" label="Copy" />
            <button
              ref={pen}
              type="button"
              class="button quiet icon-only"
              aria-label="Edit and send again"
              title="Edit and send again"
              disabled={busy}
              onClick={() => setEditing(true)}
            >
              <PenIcon />
            </button>
          </div>
        </>
      )}
    </li>
  );
}

function EditField({ turn, close, busy }: { turn: Turn; close: () => void; busy: boolean }) {
  const [text, setText] = useState(turn.text);
  const area = useRef<HTMLTextAreaElement>(null);
  useFit(area, text);
  useLayoutEffect(() => {
    area.current!.focus(); // before the next key
    area.current!.setSelectionRange(text.length, text.length);
  }, []);
  const submit = () => {
    if (busy || !text.trim()) return;
    close();
    resend(turn, text);
  };
  return (
    <form
      class="edit-field"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <textarea
        ref={area}
        rows={1}
        dir="auto"
        aria-label="Your message. Enter sends it again, Escape leaves it as it was."
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.isComposing) return;
          if (event.key === 'Escape') {
            event.preventDefault();
            close();
          } else if (event.key === 'Enter' && !event.shiftKey) {
            event.preventDefault();
            submit();
          }
        }}
      />
      <p class="hint">The messages after it stay, on their own branch.</p>
      <div class="edit-actions">
        <button type="button" class="button small" onClick={close}>
          Cancel
        </button>
        <button type="submit" class="button primary small" disabled={busy || !text.trim()}>
          Send
        </button>
      </div>
    </form>
  );
}

const WAITING = { loading: 'Waiting for the model', reading: 'Reading', writing: 'Writing' };

function Theirs({ turn, siblings, last, phase, busy }: MessageProps) {
  const text = phase ? live.value : turn.text;
  const interrupted = !phase && !turn.end;
  return (
    <li class="message theirs" aria-busy={phase !== null} data-last={last}>
      <h2 class="author">{turn.model ?? 'Answer'}</h2>
      {text.trim() ? (
        <Markdown text={text.trimStart()} whole={phase === null} />
      ) : (
        phase && (
          <p class="waiting">
            <i />
            <i />
            <i />
            <span>
              {WAITING[phase]}
              {phase === 'reading' && readFraction.value > 0 && readFraction.value < 1
                ? ` · ${Math.floor(readFraction.value * 100)} %`
                : '…'}
            </span>
          </p>
        )
      )}
      {turn.end === 'failed' && (
        <div class="notice bad">
          <WarnIcon />
          <span>{turn.why}</span>
          <button type="button" class="button" disabled={busy} onClick={() => regenerate(turn)}>
            Try again
          </button>
        </div>
      )}
      {!phase && <Remarks turn={turn} interrupted={interrupted} />}
      {!phase && text && last && (interrupted || ['stopped', 'length', 'failed'].includes(turn.end!)) && (
        <button type="button" class="button small go-on" disabled={busy} onClick={() => goOn(turn)}>
          Go on
        </button>
      )}
      {!phase && (
        <div class="message-tools">
          <Branches turn={turn} siblings={siblings} busy={busy} />
          {text && <CopyButton text={() => turn.text.trim()} class="button quiet icon-only" label="Copy" />}
          <button
            type="button"
            class="button quiet icon-only"
            aria-label="Answer again"
            title="Answer again"
            disabled={busy}
            onClick={() => regenerate(turn)}
          >
            <AgainIcon />
          </button>
          <Pace turn={turn} />
        </div>
      )}
    </li>
  );
}

/** Why an answer is shorter than it might be, or knows less. */
function Remarks({ turn: { end, stats, text }, interrupted }: { turn: Turn; interrupted: boolean }) {
  const remarks = [
    end === 'stopped' && (text ? 'Stopped.' : 'Stopped before the first word.'),
    interrupted && 'Interrupted: the page was closed while this was written.',
    end === 'length' && 'The longest answer that the settings allow ends here.',
    end === 'context' && 'The context is full. Start a new chat, or choose a larger context in the settings.',
    end === 'end' && !text.trim() && 'The model had nothing to say. Try again, or put it in other words.',
    stats?.dropped &&
      `The context is full: the oldest ${stats.dropped === 1 ? 'message' : `${stats.dropped} messages`} no longer ` +
        `${stats.dropped === 1 ? 'fits' : 'fit'} and the model did not see ${stats.dropped === 1 ? 'it' : 'them'}.`,
  ].filter(Boolean);
  return (
    <>
      {remarks.map((remark) => (
        <p key={remark} class="remark">
          {remark}
        </p>
      ))}
    </>
  );
}

function Pace({ turn: { stats } }: { turn: Turn }) {
  if (!stats || stats.tokens === 0 || stats.seconds === 0) return null;
  const { tokens, seconds, promptTokens, promptSeconds } = stats;
  return (
    <small
      class="pace"
      data-testid="pace"
      title={`Read ${grouped(promptTokens)} tokens, first word after ${promptSeconds.toFixed(2)} s; wrote ${grouped(tokens)} in ${seconds.toFixed(1)} s`}
    >
      {(tokens / seconds).toFixed(tokens / seconds < 10 ? 1 : 0)} tokens/s
    </small>
  );
}

/** Other answers, or the message in other words: which of them is shown. */
function Branches({ turn, siblings, busy }: { turn: Turn; siblings: Turn[]; busy: boolean }) {
  if (siblings.length < 2) return null;
  const at = siblings.findIndex((s) => s.id === turn.id);
  const to = (by: number) => () => showBranch(siblings[at + by]!.id);
  return (
    <span class="branches" role="group" aria-label="Versions">
      <button
        type="button"
        class="button quiet icon-only"
        aria-label="Version before"
        disabled={busy || at === 0}
        onClick={to(-1)}
      >
        <LeftIcon />
      </button>
      <span>
        {at + 1}/{siblings.length}
      </span>
      <button
        type="button"
        class="button quiet icon-only"
        aria-label="Version after"
        disabled={busy || at === siblings.length - 1}
        onClick={to(1)}
      >
        <RightIcon />
      </button>
    </span>
  );
}
