/* The section that transcribes: what goes in, what comes out, how. */

import { useEffect, useRef } from 'preact/hooks';
import { useDrop } from '../ui/drop.ts';
import { Intake } from './Intake.tsx';
import { Hero } from './IntakeCard.tsx';
import { live } from './live.ts';
import { Live } from './Live.tsx';
import { Options } from './Options.tsx';
import { Player } from './Player.tsx';
import { Progress } from './Progress.tsx';
import { Recording } from './Recording.tsx';
import { facts, player, recorder, restored, source, takeFile, type EngineFacts } from './state.ts';
import { Transcript } from './Transcript.tsx';

export { begun } from './state.ts';

const takeDropped = (files: File[]) => {
  if (!recorder.value && !live.value) void takeFile(files[0]!);
};

export function Transcribe({ active }: { active: boolean }) {
  const dropping = useDrop(active, takeDropped, true);
  const atStart = restored.value && !source.value && !recorder.value && !live.value;
  useSpaceKey(active);
  return (
    <>
      <div class={atStart ? 'transcribe at-start' : 'transcribe'}>
        {atStart && <Hero />}
        <div class="stage">{restored.value && <Stage active={active} />}</div>
        <Options />
      </div>
      <Foot />
      {dropping && (
        <div class="drop-veil" aria-hidden="true">
          <p>Drop to transcribe</p>
        </div>
      )}
    </>
  );
}

function Stage({ active }: { active: boolean }) {
  useFocusOnChange(live.value ? 'live' : recorder.value ? 'recording' : source.value ? 'transcript' : 'start', active);
  if (live.value) return <Live now={live.value} />;
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

function engineInWords({ variant, place: { gpu, threads } }: EngineFacts): string {
  if (gpu) return `GPU, ${gpu.adapter}`;
  return `${variant}, ${threads === 1 ? 'single-threaded' : `${threads} threads`}`;
}

/** Which engine runs, with how many threads, and why not more. */
function Foot() {
  const engine = facts.value;
  const isolated = globalThis.crossOriginIsolated;
  return (
    <footer class="foot">
      <p data-testid="engine">
        {engine ? (
          <>
            <span class="dot" /> Engine ready: {engineInWords(engine)}
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

/** Where a button leaves with the view it was in, the keyboard goes on from the heading of the next view. */
function useFocusOnChange(view: string, active: boolean): void {
  const first = useRef(true);
  useEffect(() => {
    if (active && !first.current && document.activeElement === document.body) {
      document.querySelector<HTMLElement>('#transcribe h1')?.focus();
    }
    first.current = false;
  }, [view]);
}

/** Space plays and pauses, unless a control has the keyboard. */
function useSpaceKey(active: boolean): void {
  useEffect(() => {
    if (!active) return;
    const onKey = (event: KeyboardEvent) => {
      const on = event.target as HTMLElement;
      if (event.key !== ' ' || on.closest('button, input, select, textarea, summary, a')) return;
      if (!player.current) return;
      event.preventDefault();
      player.current.toggle();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [active]);
}
