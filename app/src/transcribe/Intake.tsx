/* The start: a file, the microphone, or the sample. */

import { useRef } from 'preact/hooks';
import { intakeError, openPrevious, previous, startRecording, takeFile, takeSample } from './state.ts';
import { startLive } from './live.ts';
import { clock } from '../ui/words.ts';
import { BackIcon, FolderIcon, LiveIcon, MicIcon, SparkIcon, WarnIcon } from '../ui/icons.tsx';

export function Intake() {
  const input = useRef<HTMLInputElement>(null);
  const before = previous.value;
  return (
    <>
      <section class="card intake" aria-labelledby="intake-title">
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
          <button type="button" class="button primary" onClick={() => input.current!.click()}>
            <FolderIcon /> Choose a file
          </button>
          <button type="button" class="button" onClick={() => void startRecording()}>
            <MicIcon /> Record
          </button>
          <button type="button" class="button" onClick={() => void startLive('microphone')}>
            <LiveIcon /> Live
          </button>
          <button type="button" class="button" onClick={() => void takeSample()}>
            <SparkIcon /> Try the sample
          </button>
        </div>
        {'getDisplayMedia' in (navigator.mediaDevices ?? {}) && (
          <button type="button" class="link small" onClick={() => void startLive('tab')}>
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
            if (file) void takeFile(file);
            event.currentTarget.value = '';
          }}
        />
      </section>
      {intakeError.value && (
        <p class="notice bad" role="alert">
          <WarnIcon /> <span>{intakeError}</span>
        </p>
      )}
      {before && (
        <button type="button" class="card again" onClick={() => void openPrevious()}>
          <BackIcon />
          <span>
            <strong>Open the last transcript</strong>
            <span>
              {before.name} · {clock(before.duration)}
            </span>
          </span>
        </button>
      )}
    </>
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
