import { useEffect, useRef, useState } from 'preact/hooks';
import { announcement, busy, facts, player, recorder, restored, source, takeFile } from '../state.ts';
import { Hero, Intake } from './Intake.tsx';
import { LockIcon, Logo } from './icons.tsx';
import { Player } from './Player.tsx';
import { Progress } from './Progress.tsx';
import { Recording } from './Recording.tsx';
import { Options } from './Options.tsx';
import { Transcript } from './Transcript.tsx';

export function App() {
  const dropping = useDrop();
  const atStart = restored.value && !source.value && !recorder.value;
  useSpaceKey();
  return (
    <div class="page">
      <a class="skip" href="#main">
        Skip to content
      </a>
      <header class="top">
        <p class="brand">
          <Logo /> sotto
        </p>
        <p class="private">
          <LockIcon /> Nothing leaves this device
        </p>
      </header>
      <main id="main" tabIndex={-1} class={atStart ? 'at-start' : undefined}>
        {atStart && <Hero />}
        <div class="stage">{restored.value && <Stage />}</div>
        <Options />
      </main>
      <Foot />
      <div class="sr-only" role="status" aria-live="polite">
        {announcement}
      </div>
      {dropping && (
        <div class="drop-veil" aria-hidden="true">
          <p>Drop to transcribe</p>
        </div>
      )}
    </div>
  );
}

function Stage() {
  useFocusOnChange(recorder.value ? 'recording' : source.value ? 'transcript' : 'start');
  if (recorder.value) return <Recording recorder={recorder.value} />;
  if (!source.value) return <Intake />;
  return (
    <>
      <Player />
      <Progress />
      <Transcript />
    </>
  );
}

/** Which engine runs, with how many threads, and why not more. */
function Foot() {
  const engine = facts.value;
  const threads = engine?.threads ?? 1;
  const isolated = globalThis.crossOriginIsolated;
  return (
    <footer class="foot">
      <p data-testid="engine">
        {engine ? (
          <>
            <span class="dot" /> Engine ready: {engine.variant}, {threads === 1 ? 'single-threaded' : `${threads} threads`}
          </>
        ) : (
          <>
            <span class="dot idle" /> The engine starts with the first recording
            {!isolated && ', single-threaded'}
          </>
        )}
      </p>
      {!isolated && (
        <p>
          Single-threaded, because this page is served without the COOP and COEP headers that let a browser use several
          threads. Everything works, only slower.
        </p>
      )}
    </footer>
  );
}

/** Files dropped or pasted anywhere on the page. Returns whether one hovers over it. */
function useDrop(): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    let depth = 0;
    const holdsFile = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
    const take = (files: FileList | undefined) => {
      const file = files?.[0];
      if (file && !recorder.value) void takeFile(file);
      return Boolean(file);
    };
    const listeners = {
      dragenter: (event: DragEvent) => {
        if (holdsFile(event)) setOver(++depth > 0);
      },
      dragleave: (event: DragEvent) => {
        if (holdsFile(event)) setOver(--depth > 0);
      },
      dragover: (event: DragEvent) => {
        if (holdsFile(event)) event.preventDefault();
      },
      drop: (event: DragEvent) => {
        if (!holdsFile(event)) return;
        event.preventDefault();
        depth = 0;
        setOver(false);
        take(event.dataTransfer?.files);
      },
      paste: (event: ClipboardEvent) => {
        if (take(event.clipboardData?.files)) event.preventDefault();
      },
    };
    for (const [name, listener] of Object.entries(listeners)) addEventListener(name, listener as EventListener);
    return () => {
      for (const [name, listener] of Object.entries(listeners)) removeEventListener(name, listener as EventListener);
    };
  }, []);
  return over;
}

/** Where a button leaves with the view it was in, the keyboard goes on from the heading of the next view. */
function useFocusOnChange(view: string): void {
  const first = useRef(true);
  useEffect(() => {
    if (!first.current && document.activeElement === document.body) document.querySelector('h1')?.focus();
    first.current = false;
  }, [view]);
}

/** Space plays and pauses, unless a control has the keyboard. */
function useSpaceKey(): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const on = event.target as HTMLElement;
      if (event.key !== ' ' || on.closest('button, input, select, textarea, summary, a')) return;
      if (!player.current) return;
      event.preventDefault();
      player.current.toggle();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  useEffect(() => {
    document.title = busy.value ? 'Transcribing… · sotto' : 'sotto · speech to text on this device';
  }, [busy.value]);
}
