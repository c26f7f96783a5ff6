/* How far a benchmark is. */

import { useEffect, useRef } from 'preact/hooks';
import { Bar } from '../ui/Bar.tsx';
import { CheckIcon, StopIcon, WarnIcon } from '../ui/icons.tsx';
import { megabytes } from '../ui/words.ts';
import { choices, fraction, running, steps, stop, stopping, wasHidden, type Step } from './state.ts';
import { KINDS, placeName } from './words.ts';

export function Running() {
  const on = running.value;
  const button = useRef<HTMLButtonElement>(null);
  const was = useRef(false);
  useEffect(() => {
    if (on) button.current?.focus();
    // The button that had the focus is gone.
    else if (was.current && document.activeElement === document.body) document.getElementById('bench-result')?.focus();
    was.current = on;
  }, [on]);
  if (steps.value.length === 0) return null;
  const incomplete = steps.value.some(({ now }) => now.at === 'failed' || now.at === 'stopped');
  if (!on && !incomplete) return null;
  return (
    <section class="card bench-card" aria-labelledby="bench-running" data-testid="bench-running">
      <div class="bench-head">
        <h2 id="bench-running">{on ? 'Measuring' : 'Not all was measured'}</h2>
        {on && (
          <button ref={button} type="button" class="button" disabled={stopping.value} onClick={stop}>
            <StopIcon /> {stopping.value ? 'Stopping…' : 'Stop'}
          </button>
        )}
      </div>
      {on && <Bar label="The benchmark" fraction={fraction.value} />}
      <ol class="bench-steps">
        {steps.value.map((step) => (
          <li key={`${step.kind} ${step.where}`} data-at={step.now.at}>
            <span>
              {KINDS[step.kind]} · {placeName(step.where)}
            </span>
            <span class="bench-now">{nowInWords(step)}</span>
          </li>
        ))}
      </ol>
      {on && <p class="hint">Leave this page in front and the device alone until it is done: other work makes the numbers worse.</p>}
      {wasHidden.value && (
        <p class="notice mild" role="alert">
          <WarnIcon />
          <span>This page is or was in the background, where browsers slow pages down: the numbers may be too low. Stay here, or measure again.</span>
        </p>
      )}
    </section>
  );
}

function nowInWords({ now }: Step) {
  const { rounds } = choices.value;
  switch (now.at) {
    case 'waiting':
      return 'Waits';
    case 'loading':
      return `Loading, ${megabytes(now.loaded)} of ${megabytes(Math.max(now.total, now.loaded))}`;
    case 'round':
      return now.done === 0 ? 'Warming up' : `Round ${now.done} of ${rounds}`;
    case 'done':
      return (
        <>
          <CheckIcon /> Done
        </>
      );
    case 'failed':
      return (
        <>
          <WarnIcon /> {now.why}
        </>
      );
    case 'stopped':
      return 'Stopped';
  }
}
