/* Bars of one metric: a line of words, and under it the bar with its spread; so that it fits any width without being measured.
 *
 *   Processor, 1 thread          12.3
 *   ████████████████|--|
 *
 * The table beneath the charts has the same numbers, and is what is read aloud in full. */

import { useId } from 'preact/hooks';
import type { Panel } from './series.ts';
import { figure, figures } from './words.ts';

const ROW = 42; // px
const BAR = 12;
const TEXT = 15; // baseline of the words
const TOP = 22; // of the bar

export function Chart({ panel, names }: { panel: Panel; names: readonly string[] }) {
  const { title, unit, better, rows } = panel;
  const id = useId();
  const bars = rows.flatMap((row) => row.bars);
  const most = Math.max(...bars.map(({ spread }) => spread.max));
  const percent = (x: number) => `${(100 * x) / most}%`;
  const both = new Set(bars.map(({ result }) => result)).size > 1;
  const said = bars.map(({ result, name, spread }) => `${both ? `${names[result]}, ` : ''}${name}: ${figures(spread)} ${unit}`).join('. ');
  return (
    <figure class="bench-chart">
      <figcaption id={id}>
        <strong>{title}</strong>{' '}
        <span>
          {unit}, {better} is better
        </span>
      </figcaption>
      <svg width="100%" height={bars.length * ROW} role="img" aria-labelledby={id} aria-describedby={`${id}-said`}>
        <desc id={`${id}-said`}>{said}.</desc>
        {bars.map(({ result, name, spread: { median, min, max } }, i) => {
          const y = i * ROW;
          const middle = y + TOP + BAR / 2;
          return (
            <g key={`${result} ${name}`} class={result === 0 ? 'bench-mine' : 'bench-other'}>
              <text x="0" y={y + TEXT}>
                {name}
              </text>
              <text class="bench-figure" x="100%" y={y + TEXT} text-anchor="end">
                {figure(median)}
              </text>
              <rect class="bench-back" x="0" y={y + TOP} width="100%" height={BAR} rx="3" />
              <rect class="bench-bar" x="0" y={y + TOP} width={percent(median)} height={BAR} rx="3" data-value={median} />
              {min < max && <line class="bench-spread" x1={percent(min)} x2={percent(max)} y1={middle} y2={middle} />}
            </g>
          );
        })}
      </svg>
    </figure>
  );
}
