/* The section to talk with a model: conversations, the one that is shown, what is written next. */

import { useEffect, useState } from 'preact/hooks';
import { useDrop } from '../ui/drop.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { AgainIcon, WarnIcon } from '../ui/icons.tsx';
import { Composer } from './Composer.tsx';
import { chooseFiles, refreshStored } from './model-state.ts';
import { Models } from './Models.tsx';
import { closePanel, panel } from './panel.ts';
import { goOn, quantizing, refreshUnfinished, take as takeModel, unfinished } from './quantize-state.ts';
import { SettingsForm } from './SettingsForm.tsx';
import { Sidebar } from './Sidebar.tsx';
import { answering, begin, bringBack, importFile, kept, loaded, notice, stop, undo } from './state.ts';
import { Thread } from './Thread.tsx';
import { ThreadHead } from './ThreadHead.tsx';
import '../style/chat.css';
import '../style/markdown.css';

void begin();
void refreshStored();
void refreshUnfinished();

const take = (files: File[]) => {
  const [first] = files;
  if (files.length === 1 && /\.json$/i.test(first!.name)) void importFile(first!);
  else {
    panel.value = 'models';
    // Weights as they were published are rather made smaller first; other files are used as they are.
    if (files.some(({ name }) => /\.(safetensors|bin)$/i.test(name) || /(^|[^a-z0-9])(bf16|f16|f32|fp16|fp32)[^a-z0-9]/i.test(name))) takeModel(files);
    else void chooseFiles(files);
  }
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
          <HalfMade />
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
      <Dialog open={panel.value === 'models'} close={closePanel} title="Models">
        <Models />
      </Dialog>
      <Making />
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

/** A model whose making ended with the page is offered when it opens again. */
function HalfMade() {
  const [hidden, setHidden] = useState(false);
  const [entry] = unfinished.value;
  if (!entry || hidden || quantizing.value.at !== 'rest' || panel.value === 'models') return null;
  return (
    <p class="notice mild half-made" data-testid="half-made">
      <AgainIcon />
      <span>
        {entry.name} is not finished: {entry.done} of {entry.nTensors} tensors are done.
      </span>
      <button
        type="button"
        class="button small"
        onClick={() => {
          panel.value = 'models';
          void goOn(entry, null);
        }}
      >
        Go on
      </button>
      <button type="button" class="button quiet small" onClick={() => setHidden(true)}>
        Not now
      </button>
    </p>
  );
}

/** What goes on behind the conversation. */
function Making() {
  const now = quantizing.value;
  if (panel.value === 'models' || (now.at !== 'work' && now.at !== 'done' && now.at !== 'failed')) return null;
  const told =
    now.at === 'done'
      ? `${now.model.name} is made`
      : now.at === 'failed'
        ? 'A model could not be made'
        : `${now.name}: ${now.job.paused ? 'paused' : `${Math.floor(100 * (now.progress?.fraction ?? 0))} %`}`;
  return (
    <div class="toast">
      <span>{told}</span>
      <button type="button" class="link" onClick={() => (panel.value = 'models')}>
        Show
      </button>
    </div>
  );
}
