/* The frame: brand, sections, and the one live region. A section that was opened stays, hidden, with all that it does. */

import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { addressOf, place, type View } from './route.ts';
import { busy } from './transcribe/state.ts';
import { Transcribe } from './transcribe/Transcribe.tsx';
import { ChatIcon, LockIcon, Logo, MicIcon, SparkIcon, WarnIcon } from './ui/icons.tsx';
import { announcement } from './ui/say.ts';
import { chatTitle } from './ui/title.ts';

const SECTIONS: { view: View; name: string; icon: () => preact.JSX.Element; title: string }[] = [
  { view: 'transcribe', name: 'Transcribe', icon: SparkIcon, title: 'sotto · speech to text on this device' },
  { view: 'chat', name: 'Chat', icon: ChatIcon, title: 'Chat · sotto' },
  { view: 'voice', name: 'Voice', icon: MicIcon, title: 'Voice · sotto' },
];

export function App() {
  const { view } = place.value;
  useTitle(view);
  return (
    <div class={`page ${view}-page`}>
      <a
        class="skip"
        href="#main"
        onClick={(event) => {
          event.preventDefault(); // the address says which section is open
          document.getElementById('main')!.focus();
        }}
      >
        Skip to content
      </a>
      <header class="top">
        <p class="brand">
          <Logo /> sotto
        </p>
        <nav class="sections" aria-label="Sections">
          {SECTIONS.map(({ view: to, name, icon: Icon }) => (
            <a key={to} href={addressOf(to)} aria-current={view === to ? 'page' : undefined}>
              <Icon /> {name}
            </a>
          ))}
        </nav>
        <p class="private">
          <LockIcon /> <span>Nothing leaves this device</span>
        </p>
      </header>
      <main id="main" tabIndex={-1}>
        <div id="transcribe" class="section" hidden={view !== 'transcribe'}>
          <Transcribe active={view === 'transcribe'} />
        </div>
        <ChatSection active={view === 'chat'} />
        <VoiceSection active={view === 'voice'} />
      </main>
      <Live />
    </div>
  );
}

/** Says what is announced, each time once: `announcement` itself in the tree would be written a second time with the frame. */
function Live() {
  return (
    <div class="sr-only" role="status" aria-live="polite">
      {announcement.value}
    </div>
  );
}

/* ---- the chat: its code comes when it is opened first ---- */

type ChatModule = typeof import('./chat/Chat.tsx');
const chat = signal<ChatModule | 'wanted' | 'failed' | null>(null);

async function fetchChat(): Promise<void> {
  chat.value = 'wanted';
  try {
    chat.value = await import('./chat/Chat.tsx');
  } catch {
    chat.value = 'failed';
  }
}

function ChatSection({ active }: { active: boolean }) {
  const now = chat.value;
  useEffect(() => {
    if (active && now === null) void fetchChat();
  }, [active, now]);
  if (now === null) return null;
  return (
    <div id="chat" class="section" hidden={!active}>
      {now === 'failed' ? (
        <div class="notice bad" role="alert">
          <WarnIcon />
          <span>The chat could not be fetched. Check the connection, then reload the page.</span>
          <button type="button" class="button" onClick={() => location.reload()}>
            Reload
          </button>
        </div>
      ) : now === 'wanted' ? (
        <p class="hint">Opening…</p>
      ) : (
        <now.Chat active={active} />
      )}
    </div>
  );
}

/* ---- the voice: its code comes when it is opened first, too ---- */

const voice = signal<typeof import('./voice/Voice.tsx') | 'failed' | null>(null);

function VoiceSection({ active }: { active: boolean }) {
  const now = voice.value;
  useEffect(() => {
    if (!active || now !== null) return;
    import('./voice/Voice.tsx').then(
      (module) => (voice.value = module),
      () => (voice.value = 'failed'),
    );
  }, [active, now]);
  return (
    <div id="voice" class="section" hidden={!active}>
      {now === 'failed' ? (
        <p class="notice bad" role="alert">
          <WarnIcon /> <span>This section could not be fetched. Check the connection, then reload the page.</span>
        </p>
      ) : (
        now && <now.Voice />
      )}
    </div>
  );
}

function useTitle(view: View): void {
  const own = view === 'chat' ? chatTitle.value : busy.value ? 'Transcribing…' : '';
  const title = own ? `${own} · sotto` : SECTIONS.find((s) => s.view === view)!.title;
  useEffect(() => {
    document.title = title;
  }, [title]);
}
