/* A result, alone or with another beside it: charts, a table beneath, facts, and how to share it. */

import { CopyButton } from '../ui/CopyButton.tsx';
import { saveFile } from '../ui/files.ts';
import { SaveIcon, WarnIcon } from '../ui/icons.tsx';
import { elapsed, megabytes } from '../ui/words.ts';
import { Chart } from './Chart.tsx';
import { jsonOf, type Kind, type LanguageRun, type Result, type Run } from './result.ts';
import { panelsOf, tableOf, type TableRow } from './series.ts';
import { other, shown } from './state.ts';
import { dayAndTime, deviceName, figure, figures, fileName, KINDS, runName } from './words.ts';

const NAMES = ['First', 'Second'] as const; // results, where there are two

export function Results() {
  const first = shown.value;
  const second = other.value;
  if (!first) return null;
  return (
    <section class="card bench-card" aria-labelledby="bench-result" data-testid="bench-result">
      <div class="bench-head">
        <h2 id="bench-result" tabIndex={-1}>
          {second ? 'Two results' : 'Result'}
        </h2>
        <p class="bench-actions">
          <CopyButton text={() => jsonOf(first)} name={second ? 'Copy the first' : 'Copy JSON'} />
          <button type="button" class="button" onClick={() => saveFile(new Blob([jsonOf(first)], { type: 'application/json' }), fileName(first))}>
            <SaveIcon /> Download
          </button>
        </p>
      </div>
      <ul class="bench-results" data-two={second !== null}>
        <Facts result={first} index={0} two={second !== null} />
        {second && <Facts result={second} index={1} two />}
      </ul>
      {second && (
        <p class="bench-actions">
          <button type="button" class="button small" onClick={() => (other.value = null)}>
            Show the first alone
          </button>
        </p>
      )}
      {(['speech', 'language'] as const).map((kind) => (
        <Kinds key={kind} kind={kind} results={[first, second]} />
      ))}
    </section>
  );
}

function Facts({ result, index, two }: { result: Result; index: 0 | 1; two: boolean }) {
  const { device, date, rounds } = result;
  const runs: Run[] = [...(result.speech?.runs ?? []), ...(result.language?.runs ?? [])];
  const gpu = runs.find((run) => run.gpu)?.gpu;
  const can = [device.threads ? 'threads' : 'no threads', device.relaxed_simd ? 'relaxed SIMD' : device.simd ? 'SIMD' : 'no SIMD'];
  return (
    <li>
      {two && <span class={`bench-key ${index === 0 ? 'bench-mine' : 'bench-other'}`}>{NAMES[index]}</span>}{' '}
      <strong>{deviceName(result)}</strong>
      <span class="hint">
        {dayAndTime(date)} · sotto {result.sotto} · {rounds === 1 ? 'one round' : `median of ${rounds} rounds`} after one to warm up · {can.join(', ')}
        {gpu && ` · GPU: ${gpu.adapter}${gpu.features.length > 0 ? `, with ${gpu.features.join(', ')}` : ''}`}
        {device.power === 'battery' && ' · on battery'}
      </span>
      {runs.some((run) => run.hidden) && (
        <span class="hint">
          <WarnIcon /> The page was in the background while some of it was measured: those numbers may be too low.
        </span>
      )}
    </li>
  );
}

function Kinds({ kind, results }: { kind: Kind; results: readonly [Result, Result | null] }) {
  const parts = results.flatMap((result) => result?.[kind] ?? []);
  const panels = panelsOf(kind, results);
  const rows = tableOf(kind, panels, results);
  if (rows.length === 0) return null;
  const ids = new Set(parts.map(({ model }) => model.sha256 ?? `${model.id} ${model.bytes}`));
  const two = results[1] !== null;
  const failed = parts.flatMap((part) => part.failed);
  return (
    <section class="bench-kind" aria-labelledby={`bench-${kind}`}>
      <h3 id={`bench-${kind}`}>
        {KINDS[kind]} <span class="hint">{[...new Set(parts.map(({ model }) => `${model.name}, ${megabytes(model.bytes)}`))].join(' / ')}</span>
      </h3>
      {ids.size > 1 && (
        <p class="notice mild">
          <WarnIcon /> <span>The models differ, so these numbers are of different work.</span>
        </p>
      )}
      <div class="bench-charts">
        {panels.map((panel) => (
          <Chart key={panel.title} panel={panel} names={NAMES} />
        ))}
      </div>
      <div class="bench-scroll" role="region" aria-label={`${KINDS[kind]}, numbers`} tabIndex={0}>
        <table>
          <caption>{captionOf(kind, results[0])}</caption>
          <thead>
            <tr>
              {two && <th scope="col">Result</th>}
              <th scope="col">Computes on</th>
              {panels.map(({ title, unit }) => (
                <th key={title} scope="col">
                  {title}, {unit}
                </th>
              ))}
              {kind === 'language' && <th scope="col">Tokens read, written</th>}
              <th scope="col">Loading</th>
              <th scope="col">Memory</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <Row key={`${row.result} ${runName(row.run)}`} row={row} kind={kind} two={two} />
            ))}
          </tbody>
        </table>
      </div>
      {failed.map(({ backend, why }, i) => (
        <p key={i} class="notice mild">
          <WarnIcon />{' '}
          <span>
            {backend === 'webgpu' ? 'The GPU' : 'The processor'} could not be measured. {why}
          </span>
        </p>
      ))}
    </section>
  );
}

function captionOf(kind: Kind, { speech, language, rounds }: Result): string {
  const spread = rounds > 1 ? ', least and most in brackets' : '';
  if (kind === 'speech') return speech ? `${speech.clip.name}, ${elapsed(speech.clip.duration_s)}${spread}` : `Transcription${spread}`;
  return `${language?.model.name ?? 'Language model'}${spread}`;
}

function Row({ row: { result, run, spreads, times }, kind, two }: { row: TableRow; kind: Kind; two: boolean }) {
  return (
    <tr>
      {two && <td>{NAMES[result]}</td>}
      <th scope="row">
        {runName(run)}
        {run.hidden && ' (in the background)'}
      </th>
      {spreads.map((spread, i) => (
        <td key={i}>
          {figures(spread)}
          {times[i] !== undefined && <small> {figure(times[i])}× as fast</small>}
        </td>
      ))}
      {kind === 'language' && (
        <td>
          {(run as LanguageRun).prefill_tokens}, {(run as LanguageRun).decode_tokens}
        </td>
      )}
      <td>{run.load_s === undefined ? '–' : elapsed(run.load_s)}</td>
      <td>{megabytes(run.memory_bytes)}</td>
    </tr>
  );
}
