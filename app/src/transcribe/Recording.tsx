/* The microphone at work: how long, how loud, stop. */

import { useEffect, useRef, useState } from 'preact/hooks';
import type { Recorder } from './recorder.ts';
import { discardRecording, stopRecording } from './state.ts';
import { clock, spoken } from '../ui/words.ts';
import { StopIcon } from '../ui/icons.tsx';

const N_BARS = 48; // the last levels, a bar each
const BAR_MS = 80;
const QUIET = 0.12; // level under which nobody speaks
const QUIET_BARS = 48; // how many of them before the page asks

/** The last levels, the newest at the end. */
export function useLevels(recorder: Recorder): number[] {
  const [levels, setLevels] = useState<number[]>(() => new Array<number>(N_BARS).fill(0));
  useEffect(() => {
    const timer = setInterval(() => setLevels((old) => [...old.slice(1), recorder.level()]), BAR_MS);
    return () => clearInterval(timer);
  }, [recorder]);
  return levels;
}

export function Levels({ levels }: { levels: number[] }) {
  return (
    <div
      class="levels"
      role="meter"
      aria-label="Level of the sound"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(levels.at(-1)! * 100)}
    >
      {levels.map((level, i) => (
        <i key={i} style={{ transform: `scaleY(${Math.max(0.04, level)})` }} />
      ))}
    </div>
  );
}

export function Recording({ recorder }: { recorder: Recorder }) {
  const levels = useLevels(recorder);
  const stop = useRef<HTMLButtonElement>(null);
  useEffect(() => stop.current!.focus(), [recorder]);

  const seconds = recorder.seconds();
  const quiet = seconds * 1000 > QUIET_BARS * BAR_MS && levels.slice(-QUIET_BARS).every((level) => level < QUIET);
  return (
    <section class="card recording" aria-labelledby="recording-title">
      <h1 id="recording-title" tabIndex={-1}>
        <span class="rec-dot" aria-hidden="true" /> Recording
      </h1>
      <p class="timer" role="timer" aria-label={`Recorded: ${spoken(seconds)}`}>
        {clock(seconds)}
      </p>
      <Levels levels={levels} />
      <p class="hint" role="status">
        {quiet ? 'Nothing is heard. Is the right microphone chosen, and not muted?' : 'Speak; stop when you are done.'}
      </p>
      <div class="intake-actions">
        <button ref={stop} type="button" class="button primary" onClick={() => void stopRecording()}>
          <StopIcon /> Stop and transcribe
        </button>
        <button type="button" class="button" onClick={discardRecording}>
          Discard
        </button>
      </div>
    </section>
  );
}
