/* The first view, while the code that transcribes is on its way: what is chosen here is done as soon as that has come. */

import { useState } from 'preact/hooks';
import { Hero, IntakeCard, type Ways } from './IntakeCard.tsx';
import { LAST_OPEN } from './last-open.ts';

export function Start() {
  const [waiting, setWaiting] = useState(false);
  const later = <W extends keyof Ways>(way: W) =>
    ((...given: Parameters<Ways[W]>) => {
      setWaiting(true);
      // Where the code does not come, the section says so.
      void import('./Intake.tsx').then(({ ways }) => (ways[way] as (...all: Parameters<Ways[W]>) => void)(...given)).catch(() => {});
    }) as Ways[W];
  // What was open is opened again, and takes a moment; the ways to begin would only flash up before it.
  if (LAST_OPEN) return null;
  return (
    <div class="transcribe at-start">
      <Hero />
      <div class="stage">
        <IntakeCard
          ways={{ takeFile: later('takeFile'), startRecording: later('startRecording'), startLive: later('startLive'), takeSample: later('takeSample') }}
          waiting={waiting}
        />
      </div>
    </div>
  );
}
