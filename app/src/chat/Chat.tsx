/* The section to talk with a model: conversations, the one that is shown, what is written next. */

import { useEffect } from 'preact/hooks';
import { takeModelFiles } from '../models/incoming.ts';
import { useDrop } from '../ui/drop.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { WarnIcon } from '../ui/icons.tsx';
import { Composer } from './Composer.tsx';
import { Picker } from './Picker.tsx';
import { closePanel, panel } from './panel.ts';
import { SettingsForm } from './SettingsForm.tsx';
import { Sidebar } from './Sidebar.tsx';
import { answering, begin, bringBack, importFile, kept, loaded, notice, stop, undo } from './state.ts';
import { Thread } from './Thread.tsx';
import { ThreadHead } from './ThreadHead.tsx';
import '../style/chat.css';
import '../style/markdown.css';

void begin();

const take = (files: File[]) => {
  const [first] = files;
  if (files.length === 1 && /\.json$/i.test(first!.name)) void importFile(first!);
  else takeModelFiles(files);
};

export function Chat({ active }: { active: boolean }) {
  const dropping = useDrop(active, take, false);
  useEffect(() => {
    if (!active) closePanel(); // Back left this section
  }, [active]);
  useEscape(active);
  if (!loaded.value) return null;
  return (
    <>
      <div class="chat">
        <div class="chat-side">
          <Sidebar />
        </div>
        <section class="chat-main" aria-labelledby="thread-title">
          <ThreadHead />
          {notice.value && (
            <p class="notice bad" role="alert">
              <WarnIcon /> <span>{notice}</span>
            </p>
          )}
          {!kept.value && (
            <p class="notice mild">
              <WarnIcon />
              <span>
                This browser does not keep conversations: the window is private, or there is no room. Export what you
                want to have later.
              </span>
            </p>
          )}
          <Thread />
          <Composer />
        </section>
      </div>
      {undo.value && (
        <div class="toast">
          <span>Deleted “{undo.value.title}”</span>
          <button type="button" class="link" onClick={bringBack}>
            Undo
          </button>
        </div>
      )}
      <Dialog open={panel.value === 'list'} close={closePanel} title="Conversations" side="left">
        <Sidebar onPick={closePanel} />
      </Dialog>
      <Dialog open={panel.value === 'settings'} close={closePanel} title="Settings" side="right">
        <SettingsForm />
      </Dialog>
      <Dialog open={panel.value === 'models'} close={closePanel} title="Model">
        <Picker />
      </Dialog>
      {dropping && (
        <div class="drop-veil" aria-hidden="true">
          <p>Drop a model, or an exported conversation</p>
        </div>
      )}
    </>
  );
}

/** Escape stops the answer, unless it closes something first. */
function useEscape(active: boolean): void {
  useEffect(() => {
    if (!active) return;
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== 'Escape' || event.defaultPrevented || event.isComposing) return;
      if (document.querySelector('dialog[open]') || !answering.value) return;
      stop();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [active]);
}
