/* The ways to begin, as they are drawn: in the first view, which comes before the code that transcribes, and with it. */

import { useEffect, useRef } from 'preact/hooks';
import { FolderIcon, LiveIcon, MicIcon, SparkIcon } from '../ui/icons.tsx';

export interface Ways {
  takeFile: (file: File) => void;
  startRecording: () => void;
  startLive: (what: 'microphone' | 'tab') => void;
  takeSample: () => void;
}

/** Which of the buttons had the keyboard, so that it is there again when the card is drawn anew. */
let focused = '';

export function IntakeCard({ ways, waiting = false }: { ways: Ways; waiting?: boolean }) {
  const input = useRef<HTMLInputElement>(null);
  const card = useRef<HTMLElement>(null);
  useEffect(() => {
    if (focused && document.activeElement === document.body) card.current!.querySelector<HTMLElement>(`[name=${focused}]`)?.focus();
  }, []);
  return (
    <section
      ref={card}
      class="card intake"
      aria-labelledby="intake-title"
      aria-busy={waiting}
      onFocusIn={({ target }) => (focused = (target as HTMLElement).getAttribute('name') ?? '')}
      onFocusOut={({ relatedTarget }) => relatedTarget && (focused = '')}
    >
      <h2 id="intake-title" class="sr-only">
        Choose what to transcribe
      </h2>
      <div class="intake-art" aria-hidden="true">
        {[22, 40, 64, 36, 78, 100, 58, 84, 46, 70, 34, 52, 24].map((height) => (
          <i style={{ height: `${height}%` }} />
        ))}
      </div>
      <p class="intake-lead">
        <strong class="where-mouse">Drop audio or video here</strong>
        <strong class="where-touch">Audio or video</strong>
        <span>MP3, M4A, WAV, OGG, FLAC, MP4, WebM</span>
      </p>
      <div class="intake-actions">
        <button type="button" name="file" class="button primary" onClick={() => input.current!.click()}>
          <FolderIcon /> Choose a file
        </button>
        <button type="button" name="record" class="button" onClick={ways.startRecording}>
          <MicIcon /> Record
        </button>
        <button type="button" name="live" class="button" onClick={() => ways.startLive('microphone')}>
          <LiveIcon /> Live
        </button>
        <button type="button" name="sample" class="button" onClick={ways.takeSample}>
          <SparkIcon /> Try the sample
        </button>
      </div>
      {'getDisplayMedia' in (navigator.mediaDevices ?? {}) && (
        <button type="button" name="tab" class="link small" onClick={() => ways.startLive('tab')}>
          Live captions of a tab
        </button>
      )}
      <input
        ref={input}
        type="file"
        accept="audio/*,video/*"
        hidden
        data-testid="file"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          if (file) ways.takeFile(file);
          event.currentTarget.value = '';
        }}
      />
    </section>
  );
}

export function Hero() {
  return (
    <div class="hero">
      <h1 tabIndex={-1}>Speech to text, right here</h1>
      <p>
        Drop in a recording or speak. The recognizer runs inside this page: no upload, no account, and it works offline
        once its model is here.
      </p>
    </div>
  );
}
