/* The room that models take: on the device, and in memory. */

import { useState } from 'preact/hooks';
import { modelStore } from 'sotto';
import { inMemory, memoryIsSmall, type Job } from '../ui/memory.ts';
import { LockIcon } from '../ui/icons.tsx';
import { announcement } from '../ui/say.ts';
import { megabytes } from '../ui/words.ts';
import { kept, refreshKept, room } from './kept.ts';

export function Room() {
  return (
    <aside class="card models-room" aria-label="Room">
      <Storage />
      <Memory />
    </aside>
  );
}

function Storage() {
  const now = room.value;
  const models = kept.value.reduce((sum, model) => sum + model.bytes, 0);
  if (!now) {
    return (
      <section aria-labelledby="storage-title">
        <h2 id="storage-title">On this device</h2>
        <p class="hint">{megabytes(models)} of models. This browser does not tell how much room there is.</p>
      </section>
    );
  }
  const { usage, quota } = now;
  const used = Math.max(usage, models); // browsers may round, or lag behind
  const free = Math.max(0, quota - used);
  return (
    <section aria-labelledby="storage-title" data-testid="storage">
      <h2 id="storage-title">Storage</h2>
      <div
        class="storage-meter"
        role="meter"
        aria-labelledby="storage-title"
        aria-valuemin={0}
        aria-valuemax={quota}
        aria-valuenow={Math.min(used, quota)}
        aria-valuetext={`${megabytes(used)} used, ${megabytes(free)} available`}
        data-full={free < quota / 10}
      >
        <i style={{ transform: `scaleX(${Math.min(1, Math.max(used / quota, used > 0 ? 0.01 : 0))})` }} />
      </div>
      <p class="storage-words">
        <span>{megabytes(used)} used</span> <span>{megabytes(free)} available</span>
      </p>
      <Persist persisted={now.persisted} />
    </section>
  );
}

function Persist({ persisted }: { persisted: boolean }) {
  const [refused, setRefused] = useState(false);
  if (persisted) {
    return (
      <p class="hint storage-kept">
        <LockIcon /> <span>Kept: the browser does not clear models away when space gets low.</span>
      </p>
    );
  }
  const ask = async () => {
    const granted = await modelStore.persist().catch(() => false);
    setRefused(!granted);
    announcement.value = granted ? 'These models are kept.' : 'The browser did not agree to keep these models.';
    await refreshKept();
  };
  return (
    <>
      <button type="button" class="button small" onClick={() => void ask()}>
        Keep these models
      </button>
      <p class="hint">
        {refused
          ? 'The browser did not agree. It often does for pages that are installed, or bookmarked and used for a while.'
          : 'When space gets low, the browser may clear them away. Ask it to keep them.'}
      </p>
    </>
  );
}

const NAMES: Record<Job, string> = { speech: 'Hears', language: 'Writes' };

function Memory() {
  const all = Object.entries(inMemory.value) as [Job, NonNullable<(typeof inMemory.value)[Job]>][];
  return (
    <section aria-labelledby="memory-title" data-testid="memory">
      <h2 id="memory-title">In memory</h2>
      {all.length === 0 ? (
        <p class="hint">No model. One is loaded when it is used first.</p>
      ) : (
        <ul class="memory-list">
          {all.map(([job, { name, bytes, where, busy, free }]) => (
            <li key={job}>
              <span>
                <strong>{name}</strong>
                <small>
                  {NAMES[job]} · {megabytes(bytes)} · {where}
                </small>
              </span>
              <button
                type="button"
                class="button small"
                aria-label={`Free the memory of ${name}`}
                onClick={() => {
                  if (busy()) {
                    announcement.value = `${name} is at work: stop it first.`;
                    return;
                  }
                  free();
                  announcement.value = `${name} was unloaded. It stays on this device.`;
                }}
              >
                Free memory
              </button>
            </li>
          ))}
        </ul>
      )}
      {memoryIsSmall && <p class="hint">This device has little memory, so one model is held at a time.</p>}
    </section>
  );
}
