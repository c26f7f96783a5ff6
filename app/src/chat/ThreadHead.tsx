/* The conversation's name, and what can be done with it as a whole. */

import { useEffect, useRef, useState } from 'preact/hooks';
import { Menu } from '../ui/Menu.tsx';
import { BinIcon, ListIcon, MoreIcon, PenIcon, SaveIcon, TuneIcon } from '../ui/icons.tsx';
import { focusComposer } from './Composer.tsx';
import { panel } from './panel.ts';
import { current, deleteConversation, exportAs, rename } from './state.ts';

export function ThreadHead() {
  const [naming, setNaming] = useState(false);
  const { id, title, turns } = current.value;
  useEffect(() => setNaming(false), [id]);
  const finish = (name: string | null) => {
    if (name !== null) rename(id, name);
    setNaming(false);
    requestAnimationFrame(() => document.getElementById('thread-title')?.focus());
  };
  return (
    <header class="thread-head">
      <button
        type="button"
        class="button quiet icon-only only-narrow"
        aria-label="Conversations"
        title="Conversations"
        onClick={() => (panel.value = 'list')}
      >
        <ListIcon />
      </button>
      {naming ? (
        <NameField title={title} finish={finish} />
      ) : (
        <h1 id="thread-title" tabIndex={-1} title={title}>
          {title || 'New chat'}
        </h1>
      )}
      <button
        type="button"
        class="button quiet icon-only"
        aria-label="Settings"
        title="Settings"
        onClick={() => (panel.value = 'settings')}
      >
        <TuneIcon />
      </button>
      {turns.length > 0 && (
        <Menu label="More" icon={<MoreIcon />}>
          <button type="button" onClick={() => setNaming(true)}>
            <PenIcon /> Rename
          </button>
          <button type="button" onClick={() => exportAs('md', current.value)}>
            <SaveIcon /> Export as Markdown
          </button>
          <button type="button" onClick={() => exportAs('json', current.value)}>
            <SaveIcon /> Export as JSON
          </button>
          <button
            type="button"
            class="bad"
            onClick={() => {
              void deleteConversation(id);
              focusComposer();
            }}
          >
            <BinIcon /> Delete
          </button>
        </Menu>
      )}
    </header>
  );
}

function NameField({ title, finish }: { title: string; finish: (name: string | null) => void }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    // After the menu gave the focus back.
    requestAnimationFrame(() => input.current?.select());
  }, []);
  return (
    <input
      ref={input}
      id="thread-title"
      class="name-field"
      aria-label="Name of the conversation. Enter keeps it, Escape leaves it as it was."
      defaultValue={title}
      maxLength={200}
      onBlur={(event) => finish(event.currentTarget.value)}
      onKeyDown={(event) => {
        if (event.isComposing) return;
        if (event.key === 'Enter') event.currentTarget.blur();
        if (event.key === 'Escape') {
          event.preventDefault();
          event.currentTarget.value = title;
          event.currentTarget.blur();
        }
      }}
    />
  );
}
