/* The text: a row a segment. Enter or a click plays it, F2 or the pen edits it, the arrows walk.
 * Only the row that the keyboard is on can be reached by Tab, so a long text is one stop. */

import { useSignal, type Signal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { memo } from 'preact/compat';
import type { Segment } from './engine.ts';
import { FORMATS, textOf, writeAs } from './save.ts';
import { tagOf } from './languages.ts';
import {
  busy,
  edit,
  edited,
  language,
  openPrevious,
  player,
  playing,
  previous,
  segments,
  source,
  work,
} from './state.ts';
import { clock, stem } from '../ui/words.ts';
import { CopyButton } from '../ui/CopyButton.tsx';
import { saveFile } from '../ui/files.ts';
import { PenIcon, SaveIcon } from '../ui/icons.tsx';

export function Transcript() {
  const all = segments.value;
  const row = useSignal(0); // the one that Tab reaches
  const list = useRef<HTMLOListElement>(null);
  const goTo = (index: number) => {
    const to = Math.max(0, Math.min(segments.value.length - 1, index));
    row.value = to;
    list.current?.querySelectorAll<HTMLButtonElement>('.seg-time')[to]?.focus();
  };
  useFollow(list);
  const replaced = previous.value?.edited && previous.value.name === source.value?.name && !edited.value;
  const lang = language.value.code ? tagOf(language.value.code) : undefined;
  return (
    <section class="card transcript" aria-labelledby="transcript-title">
      <div class="transcript-head">
        <h2 id="transcript-title">Transcript</h2>
        {all.length > 0 && <SaveBar />}
      </div>
      {replaced && all.length > 0 && (
        <p class="hint replaced">
          This replaced a transcript that you had edited.{' '}
          <button type="button" class="link" onClick={() => void openPrevious()}>
            Bring it back
          </button>
        </p>
      )}
      {all.length === 0 ? (
        <Empty />
      ) : (
        <ol ref={list} class="segments" lang={lang} aria-busy={busy.value}>
          {all.map((segment, index) => (
            <Row key={index} segment={segment} index={index} row={row} goTo={goTo} />
          ))}
        </ol>
      )}
      {all.length > 0 && !busy.value && (
        <p class="hint keys">
          Click a line to hear it, double-click to edit. Keys: <kbd>↑</kbd> <kbd>↓</kbd> walk, <kbd>Enter</kbd> plays,{' '}
          <kbd>F2</kbd> edits, <kbd>Space</kbd> on the page pauses.
        </p>
      )}
    </section>
  );
}

function Empty() {
  if (busy.value) {
    return (
      <div class="ghosts" aria-hidden="true">
        <i />
        <i />
        <i />
      </div>
    );
  }
  if (work.value.at !== 'rest') return <p class="hint">There is no text yet.</p>;
  return <p class="hint">No speech was found in this recording.</p>;
}

interface RowProps {
  segment: Segment;
  index: number;
  row: Signal<number>;
  goTo: (index: number) => void;
}

const Row = memo(function Row({ segment, index, row, goTo }: RowProps) {
  const [editing, setEditing] = useState(false);
  const time = useRef<HTMLButtonElement>(null);
  const current = playing.value === index;
  const tab = row.value === index ? 0 : -1;
  const play = () => {
    row.value = index;
    player.current?.playFrom(segment.start);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const to = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: Infinity }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      goTo(to);
    } else if (event.key === 'F2') {
      event.preventDefault();
      setEditing(true);
    }
  };
  const finish = (byKey: boolean) => {
    setEditing(false);
    if (byKey) time.current?.focus({ preventScroll: true });
  };
  return (
    <li class="seg" aria-current={current ? 'true' : undefined}>
      <button
        ref={time}
        type="button"
        class="seg-time"
        tabIndex={tab}
        aria-label={`Play from ${clock(segment.start)}`}
        aria-describedby={`text-${index}`}
        aria-keyshortcuts="F2"
        onClick={play}
        onFocus={() => (row.value = index)}
        onKeyDown={onKeyDown}
      >
        {clock(segment.start)}
      </button>
      {editing ? (
        <Editor text={segment.text.trim()} index={index} finish={finish} />
      ) : (
        <p
          id={`text-${index}`}
          class="seg-text"
          dir="auto"
          onClick={() => getSelection()?.isCollapsed !== false && play()}
          onDblClick={() => setEditing(true)}
        >
          {segment.text.trim() || <em>(empty)</em>}
        </p>
      )}
      <button
        type="button"
        class="seg-edit"
        tabIndex={tab}
        hidden={editing}
        aria-label={`Edit the text at ${clock(segment.start)}`}
        title="Edit (F2)"
        onClick={() => setEditing(true)}
      >
        <PenIcon />
      </button>
    </li>
  );
});

function Editor({ text, index, finish }: { text: string; index: number; finish: (byKey: boolean) => void }) {
  const area = useRef<HTMLTextAreaElement>(null);
  const before = useRef(text);
  const fit = () => {
    const element = area.current!;
    element.style.height = 'auto';
    element.style.height = `${element.scrollHeight}px`;
  };
  useLayoutEffect(() => {
    fit();
    area.current!.focus(); // before the next key
    area.current!.setSelectionRange(text.length, text.length);
  }, []);
  return (
    <textarea
      ref={area}
      id={`text-${index}`}
      class="seg-editor"
      rows={1}
      dir="auto"
      aria-label="Text of the segment. Enter keeps it, Escape leaves it as it was."
      defaultValue={before.current}
      onInput={(event) => {
        fit();
        edit(index, event.currentTarget.value);
      }}
      onBlur={() => finish(false)}
      onKeyDown={(event) => {
        if (event.isComposing) return;
        if (event.key === 'Escape') {
          edit(index, before.current);
          finish(true);
        } else if (event.key === 'Enter') {
          event.preventDefault();
          finish(true);
        }
      }}
    />
  );
}

function SaveBar() {
  const name = stem(source.value!.name);
  return (
    <div class="save-bar">
      <CopyButton text={() => textOf(segments.value)} />
      <div class="formats" role="group" aria-label="Save as">
        <SaveIcon />
        {FORMATS.map((format) => (
          <button
            key={format}
            type="button"
            aria-label={`Save as ${format.toUpperCase()}`}
            onClick={() => saveFile(writeAs(format), `${name}.${format}`)}
          >
            {format.toUpperCase()}
          </button>
        ))}
      </div>
    </div>
  );
}

/** Keeps the row that is playing in view, unless the person works in the list. */
function useFollow(list: { current: HTMLOListElement | null }): void {
  const at = playing.value;
  useEffect(() => {
    if (at < 0 || list.current?.contains(document.activeElement)) return;
    const row = list.current?.children[at];
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    row?.scrollIntoView({ block: 'nearest', behavior: calm ? 'auto' : 'smooth' });
  }, [at]);
}
