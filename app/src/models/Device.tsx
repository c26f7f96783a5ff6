/* What is on this device: models that are whole, and those on their way or half made. */

import { useEffect, useRef, useState } from 'preact/hooks';
import type { UnfinishedQuantization } from 'sotto';
import { Bar } from '../ui/Bar.tsx';
import { AgainIcon, BinIcon, CloseIcon, PauseIcon, PlayIcon, WarnIcon } from '../ui/icons.tsx';
import { announcement } from '../ui/say.ts';
import { grouped, megabytes, spoken } from '../ui/words.ts';
import { cancel, downloads, pause, resume, type Download } from './downloads.ts';
import { kept, looked, manifestOf, nameOf, whole, type StoredModel } from './kept.ts';
import { Delete } from './Delete.tsx';
import { KeptRow } from './KeptRow.tsx';
import { getModel } from './Licence.tsx';
import { dropUnfinished, goOn, quantizing, unfinished } from './quantize-state.ts';

/** Downloads that are in the store, but not of this tab: another one's, or left by an earlier visit. */
const strangers = (): StoredModel[] =>
  kept.value.filter(({ complete, origin, id }) => !complete && origin === 'download' && !downloads.value.some((d) => d.id === id));

export function Device() {
  const [doomed, setDoomed] = useState<StoredModel | null>(null);
  const list = useRef<HTMLHeadingElement>(null);
  const went = useRef(false);
  useEffect(() => {
    // The dialog gave the keyboard back to a row that is no more.
    if (went.current && !doomed) list.current!.focus();
    went.current = false;
  }, [doomed]);
  const left = strangers();
  const making = quantizing.value.at === 'work';
  const coming = downloads.value.length + left.length + unfinished.value.length > 0 || making;
  const all = whole.value.toSorted((a, b) => b.used - a.used);
  return (
    <section class="card models-card" aria-labelledby="device-title" data-testid="device">
      <h2 id="device-title" ref={list} tabIndex={-1}>
        On this device
      </h2>
      {coming && (
        <ul class="rows" aria-label="On the way">
          {downloads.value.map((d) => (
            <DownloadRow key={d.input} d={d} />
          ))}
          {left.map((model) => (
            <LeftRow key={model.id} model={model} remove={() => setDoomed(model)} />
          ))}
          {making && <MakingRow />}
          {!making && unfinished.value.map((entry) => <UnfinishedRow key={entry.name} entry={entry} />)}
        </ul>
      )}
      {all.length > 0 ? (
        <ul class="rows" aria-label="Here">
          {all.map((model) => (
            <KeptRow key={model.id} model={model} remove={() => setDoomed(model)} />
          ))}
        </ul>
      ) : (
        looked.value && !coming && <p class="hint">No model yet. The first one comes with the first transcription; or get one below.</p>
      )}
      <Delete
        model={doomed}
        close={(gone) => {
          went.current ||= gone;
          setDoomed(null);
        }}
      />
    </section>
  );
}

/* ---- on the way ---- */

const STATES: Record<Download['state'], string> = {
  waiting: 'Waiting',
  downloading: 'Downloading',
  retrying: 'The connection was lost: trying again',
  checking: 'Checking',
};

const REST: Record<Exclude<Download['at'], 'running'>, string> = { paused: 'Paused', failed: 'Stopped', ending: 'Removing what came' };

function DownloadRow({ d }: { d: Download }) {
  const { input, name, at, state, bytes, size, speed, why } = d;
  const left = size && speed > 0 ? (size - bytes) / speed : 0;
  const figures = [
    at === 'running' ? STATES[state] : REST[at],
    size ? `${megabytes(bytes)} of ${megabytes(size)}` : bytes > 0 && megabytes(bytes),
    at === 'running' && state === 'downloading' && speed > 0 && `${megabytes(speed)}/s`,
    at === 'running' && left >= 1 && `about ${spoken(left)} left`,
  ];
  return (
    <li class="row coming" data-testid="download" data-at={at}>
      <div class="row-what">
        <h3>{name}</h3>
        <p class="hint figures">{figures.filter(Boolean).join(' · ')}</p>
        {at === 'failed' ? (
          <p class="notice bad" role="alert">
            <WarnIcon /> <span>{why}</span>
          </p>
        ) : (
          <Bar label={`Downloading ${name}`} fraction={size ? bytes / size : at === 'paused' ? 0 : undefined} />
        )}
      </div>
      <div class="row-actions" hidden={at === 'ending'}>
        {at === 'running' ? (
          <button type="button" class="button small" aria-label={`Pause ${name}`} onClick={() => pause(input)}>
            <PauseIcon /> Pause
          </button>
        ) : (
          <button type="button" class="button small primary" aria-label={`${at === 'failed' ? 'Try again' : 'Resume'}: ${name}`} onClick={() => void resume(input)}>
            {at === 'failed' ? <AgainIcon /> : <PlayIcon />} {at === 'failed' ? 'Try again' : 'Resume'}
          </button>
        )}
        <button
          type="button"
          class="button quiet icon-only"
          aria-label={`Cancel ${name}`}
          title="Cancel, and remove what came"
          onClick={() => {
            document.getElementById('device-title')?.focus();
            void cancel(input);
          }}
        >
          <CloseIcon />
        </button>
      </div>
    </li>
  );
}

function LeftRow({ model, remove }: { model: StoredModel; remove: () => void }) {
  const { bytes, size, busy, source } = model;
  const name = nameOf(model);
  return (
    <li class="row coming" data-testid="left">
      <div class="row-what">
        <h3>{name}</h3>
        <p class="hint figures">
          {busy ? 'Another tab downloads it' : 'Not finished'} · {size ? `${megabytes(bytes)} of ${megabytes(size)}` : megabytes(bytes)}
        </p>
        <Bar label={`Downloading ${name}`} fraction={size ? bytes / size : undefined} />
      </div>
      {!busy && (
        <div class="row-actions">
          {source !== undefined && (
            <button type="button" class="button small" aria-label={`Resume: ${name}`} onClick={() => getModel(manifestOf(model)?.id ?? source, name)}>
              <PlayIcon /> Resume
            </button>
          )}
          <button type="button" class="button quiet icon-only" aria-label={`Delete ${name}`} title="Delete what came" onClick={remove}>
            <BinIcon />
          </button>
        </div>
      )}
    </li>
  );
}

/* ---- being made ---- */

function MakingRow() {
  const now = quantizing.value;
  if (now.at !== 'work') return null;
  const { name, progress, job } = now;
  const fraction = progress && progress.phase !== 'reading' ? progress.fraction : undefined;
  return (
    <li class="row coming">
      <div class="row-what">
        <h3>{name}</h3>
        <p class="hint figures">{job.paused ? 'Paused' : `Being made${fraction === undefined ? '' : `, ${Math.floor(100 * fraction)} %`}`}</p>
        <div aria-hidden="true">
          <Bar label="" fraction={fraction} />
        </div>
      </div>
      <div class="row-actions">
        <button
          type="button"
          class="button small"
          onClick={() => {
            const title = document.getElementById('bring-title')!;
            title.scrollIntoView({ block: 'start' });
            title.focus();
          }}
        >
          Show
        </button>
      </div>
    </li>
  );
}

function UnfinishedRow({ entry }: { entry: UnfinishedQuantization }) {
  const { name, done, nTensors } = entry;
  return (
    <li class="row coming" data-testid="unfinished">
      <div class="row-what">
        <h3>{name}</h3>
        <p class="hint figures">
          Not finished: {grouped(done)} of {grouped(nTensors)} tensors are done
        </p>
        <Bar label={`Making ${name}`} fraction={done / Math.max(1, nTensors)} />
      </div>
      <div class="row-actions">
        <button
          type="button"
          class="button small"
          aria-label={`Go on: ${name}`}
          onClick={() => {
            announcement.value = `Going on with ${name}.`;
            void goOn(entry, null);
          }}
        >
          <AgainIcon /> Go on
        </button>
        <button
          type="button"
          class="button quiet icon-only"
          aria-label={`Remove what is done of ${name}`}
          title="Remove what is done"
          onClick={() => void dropUnfinished(entry)}
        >
          <BinIcon />
        </button>
      </div>
    </li>
  );
}
