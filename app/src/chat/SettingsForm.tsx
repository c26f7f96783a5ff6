/* What the model is told before a conversation, and how it chooses its words. */

import { useId } from 'preact/hooks';
import { BackendField } from '../ui/BackendField.tsx';
import { change, chosen, settings, work } from './model-state.ts';
import { allowed, DEFAULTS, LIMITS, type NumberName, type Sampling } from './settings.ts';
import { current, setSystem } from './state.ts';

const FIELDS: { name: NumberName & keyof Sampling; label: string; hint: string; step: number; high?: number }[] = [
  { name: 'temperature', label: 'Temperature', hint: '0: always the likeliest word. Higher: more surprising.', step: 0.05 },
  { name: 'topP', label: 'Top-p', hint: 'Among the likeliest words with this much probability together.', step: 0.01 },
  { name: 'topK', label: 'Top-k', hint: 'Among so many of the likeliest words; 0: all.', step: 1, high: 200 },
  { name: 'minP', label: 'Min-p', hint: 'Among words with this share of the likeliest one’s probability.', step: 0.01 },
];
const PENALTIES: typeof FIELDS = [
  { name: 'repetitionPenalty', label: 'Repetition', hint: 'Above 1, words that were used become less likely.', step: 0.01 },
  { name: 'presencePenalty', label: 'Presence', hint: 'Above 0, used words become less likely, once.', step: 0.05 },
  { name: 'frequencyPenalty', label: 'Frequency', hint: 'Above 0, used words become less likely each time.', step: 0.05 },
];
const SAMPLING = [...FIELDS, ...PENALTIES].map(({ name }) => name);

export function SettingsForm() {
  const now = settings.value;
  const model = work.value;
  const names: (keyof typeof DEFAULTS)[] = [...SAMPLING, 'seed', 'maxTokens', 'contextWindow', 'chat', 'backend'];
  const changed = names.some((name) => now[name] !== DEFAULTS[name]);
  return (
    <div class="settings">
      <div class="field">
        <label for="system">System text</label>
        <textarea
          id="system"
          rows={4}
          dir="auto"
          value={current.value.system}
          disabled={!now.chat}
          placeholder="e.g. You are a patient teacher. Answer in two sentences."
          aria-describedby="system-hint"
          onInput={(event) => setSystem(event.currentTarget.value)}
        />
        <small id="system-hint">
          What the model is told before this conversation.
          {chosen.value.storyteller && ' Teller was not trained for this: it tells its stories all the same.'}
        </small>
      </div>
      <fieldset>
        <legend>Choice of words</legend>
        {FIELDS.map((field) => (
          <Slider key={field.name} {...field} />
        ))}
        <OptionalNumber name="seed" label="Seed" empty="another each time" hint="The same seed, the same answer." />
      </fieldset>
      <details>
        <summary>Against repetition</summary>
        <div class="settings-more">
          {PENALTIES.map((field) => (
            <Slider key={field.name} {...field} />
          ))}
        </div>
      </details>
      <fieldset>
        <legend>Length</legend>
        <OptionalNumber
          name="maxTokens"
          label="Longest answer"
          empty="as long as fits"
          hint="In tokens; a token is about three quarters of an English word."
        />
        <OptionalNumber
          name="contextWindow"
          label="Context"
          empty="what suits the model"
          hint="Tokens that the model sees at once. More takes more memory; the model is loaded again."
        />
      </fieldset>
      <fieldset>
        <legend>Engine</legend>
        <BackendField
          value={now.backend}
          place={model.at === 'ready' && model.backend === now.backend ? model.place : null}
          onChange={(backend) => change({ backend })}
        />
      </fieldset>
      <label class="check">
        <input
          type="checkbox"
          role="switch"
          checked={!now.chat}
          onChange={(event) => change({ chat: !event.currentTarget.checked })}
        />
        <span>
          Continue plain text
          <small>For models that were not trained to talk: they go on with the text as it is, without turns.</small>
        </span>
      </label>
      <button
        type="button"
        class="button wide"
        disabled={!changed}
        onClick={() => change({ ...DEFAULTS, model: now.model })}
      >
        Back to the defaults
      </button>
    </div>
  );
}

function Slider({ name, label, hint, step, high }: (typeof FIELDS)[number]) {
  const id = useId();
  const value = settings.value[name] as number;
  const [low, top] = LIMITS[name];
  const decimals = step < 1 ? 2 : 0;
  return (
    <div class="field slider">
      <label for={id}>{label}</label>
      <output for={id}>{value.toFixed(decimals)}</output>
      <input
        id={id}
        type="range"
        min={low}
        max={high ?? top}
        step={step}
        value={value}
        aria-describedby={`${id}-hint`}
        onInput={(event) => change({ [name]: allowed(name, event.currentTarget.valueAsNumber) })}
      />
      <small id={`${id}-hint`}>{hint}</small>
    </div>
  );
}

interface OptionalNumberProps {
  name: 'seed' | 'maxTokens' | 'contextWindow';
  label: string;
  empty: string; // what no number means
  hint: string;
}

function OptionalNumber({ name, label, empty, hint }: OptionalNumberProps) {
  const id = useId();
  const [low, high] = LIMITS[name];
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="number"
        inputMode="numeric"
        min={low}
        max={high}
        value={settings.value[name] ?? ''}
        placeholder={empty}
        aria-describedby={`${id}-hint`}
        onChange={(event) => {
          const { value, valueAsNumber } = event.currentTarget;
          const next = value === '' ? null : allowed(name, valueAsNumber);
          change({ [name]: next });
          event.currentTarget.value = next === null ? '' : String(next);
        }}
      />
      <small id={`${id}-hint`}>{hint}</small>
    </div>
  );
}
