/* The conversations that this device keeps. */

import { useRef } from 'preact/hooks';
import { addressOf } from '../route.ts';
import { BinIcon, PlusIcon, SaveIcon, UploadIcon } from '../ui/icons.tsx';
import { when } from '../ui/words.ts';
import { focusComposer } from './Composer.tsx';
import { answering, current, deleteConversation, exportAll, importFile, listed } from './state.ts';

export function Sidebar({ onPick }: { onPick?: () => void }) {
  const input = useRef<HTMLInputElement>(null);
  const all = listed.value;
  return (
    <nav class="conversations" aria-label="Conversations">
      <a
        class="button new-chat"
        href={addressOf('chat')}
        onClick={() => {
          onPick?.();
          focusComposer();
        }}
      >
        <PlusIcon /> New chat
      </a>
      {all.length === 0 && <p class="hint">Conversations are kept here, on this device alone.</p>}
      <ul>
        {all.map(({ id, title, changed }) => (
          <li key={id}>
            <a href={addressOf('chat', id)} aria-current={current.value.id === id ? 'true' : undefined} onClick={onPick}>
              <span class="conversation-title">{title}</span>
              <small>{answering.value?.conversation === id ? 'writing…' : when(changed)}</small>
            </a>
            <button
              type="button"
              class="button quiet icon-only"
              aria-label={`Delete “${title}”`}
              title="Delete"
              onClick={() => {
                void deleteConversation(id);
                focusComposer();
              }}
            >
              <BinIcon />
            </button>
          </li>
        ))}
      </ul>
      <p class="conversations-foot">
        <button type="button" class="button quiet small" onClick={() => input.current!.click()}>
          <UploadIcon /> Import
        </button>
        {all.length > 0 && (
          <button type="button" class="button quiet small" onClick={exportAll}>
            <SaveIcon /> Export all
          </button>
        )}
      </p>
      <input
        ref={input}
        type="file"
        accept=".json,application/json"
        hidden
        data-testid={onPick ? undefined : 'import'}
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          event.currentTarget.value = '';
          if (!file) return;
          onPick?.();
          void importFile(file);
        }}
      />
    </nav>
  );
}
