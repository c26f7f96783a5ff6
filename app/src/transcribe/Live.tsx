/* Words as they are spoken: what is final, what has settled, what may still change. */

import { useEffect, useRef } from 'preact/hooks';
import { stopLive, type LiveNow } from './live.ts';
import { Progress } from './Progress.tsx';
import { Levels, useLevels } from './Recording.tsx';
import { clock, spoken } from '../ui/words.ts';
import { StopIcon } from '../ui/icons.tsx';

export function Live({ now }: { now: LiveNow }) {
  return (
    <>
      <Listening now={now} />
      {!now.ready && <Progress />}
    </>
  );
}

function titleOf({ stopping, what }: LiveNow): string {
  if (stopping) return 'Finishing';
  return what === 'tab' ? 'Listening to a tab' : 'Listening';
}

function hintOf({ ready, stopping }: LiveNow): string {
  if (stopping) return ready ? 'What was said is being written down.' : 'What was said is written down as soon as the model is loaded.';
  if (ready) return 'Speak; words appear here.';
  return 'Speak already: words appear as soon as the model is loaded. Until then the last minute is kept.';
}

function Listening({ now }: { now: LiveNow }) {
  const { recorder } = now;
  const levels = useLevels(recorder);
  const stop = useRef<HTMLButtonElement>(null);
  const text = useRef<HTMLDivElement>(null);
  useEffect(() => stop.current!.focus(), []);
  useEffect(() => {
    text.current!.scrollTop = text.current!.scrollHeight;
  }, [now.phrases, now.settled, now.tentative]);
  const seconds = recorder.seconds();
  return (
    <section class="card live" aria-labelledby="live-title">
      <div class="live-head">
        <h1 id="live-title" tabIndex={-1}>
          {!now.stopping && <span class="rec-dot" aria-hidden="true" />} {titleOf(now)}
        </h1>
        <p class="timer" role="timer" aria-label={`Heard: ${spoken(seconds)}`}>
          {clock(seconds)}
        </p>
        <button ref={stop} type="button" class="button primary" disabled={now.stopping} onClick={stopLive}>
          <StopIcon /> {now.stopping ? 'Finishing…' : 'Stop'}
        </button>
      </div>
      <Levels levels={levels} />
      {/* Final phrases are announced; to read the rest aloud while it changes would only disturb. */}
      <div ref={text} class="live-text" tabIndex={0} role="group" aria-label="What was said" data-testid="live-text">
        {now.phrases.map(({ text: phrase }, i) => (
          <p key={i} class="phrase">
            {phrase.trim()}
          </p>
        ))}
        {(now.settled || now.tentative) && (
          <p class="speaking" data-testid="speaking">
            <span class="settled">{now.settled}</span>
            <span class="tentative">{now.tentative}</span>
          </p>
        )}
        {now.phrases.length === 0 && !now.settled && !now.tentative && <p class="hint">{hintOf(now)}</p>}
      </div>
    </section>
  );
}
