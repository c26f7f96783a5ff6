/* What is going on, how far it is, and what went wrong. */

import { cancel, facts, modelEntry, segments, source, summary, transcribe, work } from './state.ts';
import { placeInShort } from '../ui/place.ts';
import { elapsed, megabytes } from '../ui/words.ts';
import { Bar } from '../ui/Bar.tsx';
import { CheckIcon, WarnIcon } from '../ui/icons.tsx';

export function Progress() {
  const now = work.value;
  const some = segments.value.length > 0;
  switch (now.at) {
    case 'rest':
      if (summary.value) {
        return (
          <p class="done" data-testid="summary">
            <CheckIcon /> <span>{summary}</span>
          </p>
        );
      }
      // The page was closed while it worked.
      return some ? <Notice kind="mild" text="This transcript is not complete." action="Start again" /> : null;
    case 'cancelled': {
      const text = some ? 'Cancelled. What was transcribed so far is kept.' : 'Cancelled.';
      return <Notice kind="mild" text={text} action="Start again" />;
    }
    case 'failed':
      return <Notice kind="bad" text={now.why} action="Try again" />;
    case 'reading':
      return <Step title="Reading the sound" detail={source.value?.name ?? ''} />;
    case 'download': {
      const title = `${now.cached ? 'Loading' : 'Downloading'} the ${modelEntry()?.label ?? 'chosen'} model`;
      const amount = `${megabytes(now.loaded)} of ${megabytes(now.total)}`;
      const once = now.cached ? '' : ' · only this once, it is kept for next time';
      return <Step title={title} detail={amount + once} fraction={now.total ? now.loaded / now.total : 0} />;
    }
    case 'transcribing': {
      const parts = [
        now.speed > 0 && `${now.speed.toFixed(1)}× real time`,
        now.left > 3 && `about ${elapsed(now.left)} left`,
        facts.value && placeInShort(facts.value.place),
      ];
      return <Step title="Transcribing" detail={parts.filter(Boolean).join(' · ')} fraction={now.fraction} />;
    }
  }
}

function Step({ title, detail, fraction }: { title: string; detail: string; fraction?: number }) {
  return (
    <section class="card progress" aria-label="Progress" data-testid="progress">
      <div class="progress-head">
        <p>
          <strong>
            {title}
            {fraction === undefined ? '…' : ` · ${Math.min(100, Math.floor(fraction * 100))} %`}
          </strong>
          <span>{detail}</span>
        </p>
        <button type="button" class="button" onClick={cancel}>
          Cancel
        </button>
      </div>
      <Bar label={title} fraction={fraction} />
    </section>
  );
}

function Notice({ kind, text, action }: { kind: 'mild' | 'bad'; text: string; action: string }) {
  return (
    <div class={`notice ${kind}`} role={kind === 'bad' ? 'alert' : undefined} data-testid="notice">
      <WarnIcon />
      <span>{text}</span>
      <button type="button" class="button" onClick={() => void transcribe()} disabled={!source.value?.file}>
        {action}
      </button>
    </div>
  );
}
