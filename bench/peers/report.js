// From runs to tables: medians by model, threads and peer, and how many times faster sotto was in the run beside.
//
// A run: { peer, against, model, kind, threads, round, load_ms, first_ms, measures, peak_bytes, download, error }.

const median = (values) => {
  const sorted = values.filter((x) => Number.isFinite(x)).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
};

/** What the columns of measurements are: by kind, for one run, [title, value, whether more is better, digits]. */
function columnsOf({ kind, measures = [] }) {
  if (kind === 'whisper') {
    return measures.flatMap(({ clip, ms, word_error_rate }) => [
      { title: `${clip} s`, value: ms / 1e3, compared: 'less', digits: 2 },
      { title: `${clip} WER %`, value: 100 * word_error_rate, digits: 1 },
    ]);
  }
  return measures.flatMap(({ prefill, decode, prefill_per_s, decode_per_s }) => [
    { title: `prefill ${prefill}/s`, value: prefill_per_s, compared: 'more', digits: 1 },
    { title: `decode ${decode}/s`, value: decode_per_s, compared: 'more', digits: 1 },
  ]);
}

const key = ({ model, threads }) => `${model} ${threads}`;

/** For each title, the median over pairs of rounds of sotto's gain over the peer. */
function gains(runs, peer) {
  const ratios = {};
  for (const run of runs.filter((r) => r.peer === peer)) {
    const beside = runs.find((r) => r.peer === 'sotto' && r.against === peer && r.round === run.round);
    const ours = Object.fromEntries(columnsOf(beside ?? {}).map((c) => [c.title, c.value]));
    for (const { title, value, compared } of columnsOf(run)) {
      if (!compared || !(ours[title] > 0)) continue;
      (ratios[title] ??= []).push(compared === 'more' ? ours[title] / value : value / ours[title]);
    }
  }
  return Object.fromEntries(Object.entries(ratios).map(([title, values]) => [title, median(values)]));
}

/** One row for each peer of a model and a number of threads. */
function rowsOf(runs, peers) {
  return peers.map((peer) => {
    const own = runs.filter((run) => run.peer === peer);
    const columns = {};
    for (const column of own.flatMap(columnsOf)) (columns[column.title] ??= { ...column, values: [] }).values.push(column.value);
    const of = (name) => median(own.map((run) => run[name]));
    return {
      peer, build: own.find((run) => run.build)?.build, runs: own.filter((run) => !run.error).length,
      load_s: of('load_ms') / 1e3, first_s: of('first_ms') / 1e3, memory_MB: of('peak_bytes') / 1e6,
      download_MB: median(own.map((run) => run.download?.gzip_bytes)) / 1e6,
      loads_each_time: own.some((run) => run.loads_each_time),
      measured: Object.fromEntries(Object.entries(columns).map(([title, { values, digits }]) => [title, { median: median(values), digits }])),
      gain: peer === 'sotto' ? {} : gains(runs, peer),
      errors: [...new Set(own.map((run) => run.error).filter(Boolean))],
    };
  });
}

/** Groups of rows with one head: { model, threads, kind, titles, rows }. */
export function summary(runs) {
  const groups = Map.groupBy ? Map.groupBy(runs, key) : runs.reduce((all, run) => all.set(key(run), [...(all.get(key(run)) ?? []), run]), new Map());
  return [...groups.values()].map((all) => {
    const peers = ['sotto', ...new Set(all.map((run) => run.peer).filter((peer) => peer !== 'sotto'))];
    const titles = [...new Set(all.flatMap(columnsOf).map((c) => c.title))];
    const { model, threads, kind } = all[0];
    return { model, threads, kind, titles, rows: rowsOf(all, peers) };
  });
}

const shown = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits) : '-');

/** Cells of a group's table, the head first: a peer's value, and after it sotto's gain. */
export function cellsOf({ kind, titles, rows }) {
  const first = kind === 'whisper' ? 'jfk at first s' : 'first prefill s';
  const head = ['', ...titles, 'load s', first, 'memory MB', 'download MB', ''];
  const body = rows.map((row) => [
    row.build ? `${row.peer} (${row.build})` : row.peer,
    ...titles.map((title) => {
      const { median: value, digits } = row.measured[title] ?? {};
      return row.gain[title] === undefined ? shown(value, digits) : `${shown(value, digits)} (${shown(row.gain[title], 1)} x)`;
    }),
    shown(row.load_s, 2), shown(row.first_s, 2), shown(row.memory_MB, 0), shown(row.download_MB, 2),
    [...row.errors, ...(row.loads_each_time ? ['loads the model in every transcription'] : [])].join('; '),
  ]);
  return [head, ...body];
}

/** The report as Markdown: { about: { date, machine, ... }, versions, runs }. */
export function markdown({ about, versions, runs }) {
  const line = (cells) => `| ${cells.map((cell) => String(cell).replace(/\|/g, '/')).join(' | ')} |`;
  const parts = [
    '# sotto beside others\n',
    `${about.date}, ${about.machine}, ${about.cores} cores, ${about.browser}. ${Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(', ')}.\n`,
    'Medians; in brackets how many times faster sotto was in the run beside (median of rounds). Speeds are tokens a second. Rows that begin with native are no pages but programs of the system.',
  ];
  for (const group of summary(runs)) {
    const [head, ...body] = cellsOf(group);
    parts.push(`\n## ${group.model}, ${group.threads} ${group.threads === 1 ? 'thread' : 'threads'}\n`);
    parts.push([line(head), line(head.map((_, i) => (i === 0 || i === head.length - 1 ? '---' : '--:'))), ...body.map(line)].join('\n'));
  }
  return parts.join('\n') + '\n';
}
