/* What computes: chosen here, and told here. */

import { useId } from 'preact/hooks';
import { placeInWords, type BackendChoice, type Place } from './place.ts';

const CHOICES: Record<BackendChoice, [name: string, hint: string]> = {
  auto: ['GPU where there is one', 'The GPU where the browser offers one, else the processor.'],
  webgpu: ['GPU', 'The GPU by WebGPU, whichever the browser offers.'],
  cpu: ['Processor', 'The processor alone.'],
};

interface Props {
  value: BackendChoice;
  place: Place | null; // where the engine runs, once it does
  disabled?: boolean;
  onChange: (value: BackendChoice) => void;
}

export function BackendField({ value, place, disabled, onChange }: Props) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>Computes on</label>
      <select
        id={id}
        value={value}
        disabled={disabled}
        aria-describedby={`${id}-hint`}
        onChange={(event) => onChange(event.currentTarget.value as BackendChoice)}
      >
        {(Object.keys(CHOICES) as BackendChoice[]).map((choice) => (
          <option key={choice} value={choice}>
            {CHOICES[choice][0]}
          </option>
        ))}
      </select>
      <small id={`${id}-hint`} data-testid="place">
        {place ? placeInWords(place) : CHOICES[value][1]}
      </small>
    </div>
  );
}
