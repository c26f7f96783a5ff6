/* The start: a file, the microphone, or the sample. */

import { IntakeCard, type Ways } from './IntakeCard.tsx';
import { intakeError, openPrevious, previous, startRecording, takeFile, takeSample } from './state.ts';
import { startLive } from './live.ts';
import { clock } from '../ui/words.ts';
import { BackIcon, WarnIcon } from '../ui/icons.tsx';

export const ways: Ways = {
  takeFile: (file) => void takeFile(file),
  startRecording: () => void startRecording(),
  startLive: (what) => void startLive(what),
  takeSample: () => void takeSample(),
};

export function Intake() {
  const before = previous.value;
  return (
    <>
      <IntakeCard ways={ways} />
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
