/* One or two results as what is drawn and tabled: for each metric, a row a place, a bar a result. */

import { rate, whereOf, type Kind, type LanguageRun, type Result, type Run, type SpeechRun, type Spread, type Where } from './result.ts';
import { inMs, runName } from './words.ts';

export interface Bar {
  result: 0 | 1; // the one that is shown, or the one beside it
  name: string; // of its place
  spread: Spread;
}

export interface Panel {
  title: string;
  unit: string;
  better: 'higher' | 'lower';
  rows: { where: Where; bars: Bar[] }[];
}

interface Metric {
  title: string;
  unit: string;
  better: 'higher' | 'lower';
  of: (run: never, result: Result) => Spread;
}

const SPEECH: Metric[] = [
  {
    title: 'Speed',
    unit: '× real time',
    better: 'higher',
    of: (run: SpeechRun, { speech }) => rate(speech!.clip.duration_s, run.whole_s),
  },
  { title: 'Encoder, a window of 30 s', unit: 'ms', better: 'lower', of: (run: SpeechRun) => inMs(run.encode_s) },
  { title: 'Decoder, a token', unit: 'ms', better: 'lower', of: (run: SpeechRun) => inMs(run.step_s) },
];

const LANGUAGE: Metric[] = [
  {
    title: 'Reading a prompt',
    unit: 'tokens/s',
    better: 'higher',
    of: (run: LanguageRun) => rate(run.prefill_tokens, run.prefill_s),
  },
  { title: 'Writing', unit: 'tokens/s', better: 'higher', of: (run: LanguageRun) => rate(1, run.decode_s) },
];

const PLACES: Where[] = ['one', 'all', 'gpu'];

/** The run of a result in a place. */
const runIn = (result: Result | null, kind: Kind, where: Where): Run | undefined =>
  (result?.[kind]?.runs as Run[] | undefined)?.find((run) => whereOf(run) === where);

export function panelsOf(kind: Kind, results: readonly [Result, Result | null]): Panel[] {
  return (kind === 'speech' ? SPEECH : LANGUAGE).map(({ title, unit, better, of }) => ({
    title,
    unit,
    better,
    rows: PLACES.flatMap((where) => {
      const bars = ([0, 1] as const).flatMap((result): Bar[] => {
        const run = runIn(results[result], kind, where);
        return run ? [{ result, name: runName(run), spread: of(run as never, results[result]!) }] : [];
      });
      return bars.length > 0 ? [{ where, bars }] : [];
    }),
  }));
}

/** A row of the table: one run, with the same place in the other result to compare it with. */
export interface TableRow {
  result: 0 | 1;
  run: Run;
  spreads: Spread[]; // as panelsOf has them
  times: (number | undefined)[]; // the second result as a multiple of the first, in speed
}

export function tableOf(kind: Kind, panels: readonly Panel[], results: readonly [Result, Result | null]): TableRow[] {
  return PLACES.flatMap((where) =>
    ([0, 1] as const).flatMap((result): TableRow[] => {
      const run = runIn(results[result], kind, where);
      if (!run) return [];
      const of = (panel: Panel, which: 0 | 1) =>
        panel.rows.find((row) => row.where === where)?.bars.find((bar) => bar.result === which)?.spread;
      const spreads = panels.map((panel) => of(panel, result)!);
      const times = panels.map((panel, i) => {
        const first = result === 1 ? of(panel, 0) : undefined;
        if (!first) return undefined;
        const ratio = spreads[i]!.median / first.median;
        return panel.better === 'higher' ? ratio : 1 / ratio;
      });
      return [{ result, run, spreads, times }];
    }),
  );
}
