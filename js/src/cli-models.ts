// sotto models: those that can be named, and which of them are here.
import { parse, UsageError } from './args.js';
import { attempt, EXIT_DONE, interruptSignal, mb, write } from './cli-common.js';
import { HELP_SPEC } from './cli-language.js';
import { availabilityOf, removeModel } from './engine.js';
import type { ModelKind } from './kind.js';
import { findModel, models as all, type ManifestModel } from './models.js';

const HELP = `Usage: sotto models [--json] [--remove NAME]...
Lists the models that --model can name: their size, their licence, and whether they are here. The others are
fetched when they are first used, checked, and kept in $XDG_CACHE_HOME/sotto or ~/.cache/sotto.

      --remove NAME  removes a model that is kept there; can be given several times
      --json         a JSON array
  -h, --help         this help

Exit status: 0 done, 1 it could not be done, 2 wrong usage.
`;

const kindOf = ({ kind }: ManifestModel): ModelKind => (kind === 'whisper' ? 'speech' : 'language');

const isHere = async (model: ManifestModel): Promise<boolean> =>
  (await availabilityOf(model.id, {}, kindOf(model))) === 'available';

function asTable(here: readonly boolean[]): string {
  const row = (cells: readonly string[]): string =>
    `${cells[0].padEnd(24)} ${cells[1].padStart(9)}  ${cells[2].padEnd(20)} ${cells[3]}`.trimEnd() + '\n';
  const rows = all.map((m, i) => row([m.id, `${mb(m.size_bytes)} MB`, m.license, here[i] ? 'here' : '']));
  const begin = all.findIndex((m) => kindOf(m) === 'language');
  return `Speech\n${rows.slice(0, begin).join('')}\nText\n${rows.slice(begin).join('')}`;
}

function asJson(here: readonly boolean[]): string {
  const objects = all.map(({ id, name, kind, weights, size_bytes, sha256, license }, i) => ({
    ...{ id, name, kind, weights, size_bytes, sha256, license },
    here: here[i],
  }));
  return JSON.stringify(objects) + '\n';
}

export async function models(argv: readonly string[]): Promise<number> {
  const { options, operands } = parse(argv, { help: HELP_SPEC, remove: { value: true }, json: {} });
  const has = (wanted: string): boolean => options.some(({ name }) => name === wanted);
  if (has('help')) {
    await write(HELP);
    return EXIT_DONE;
  }
  if (operands.length > 0) throw new UsageError(`unexpected argument '${operands[0]}'`);
  const removed = options
    .filter(({ name }) => name === 'remove')
    .map(({ value }) => {
      const model = findModel(value);
      if (!model) throw new UsageError(`no model has the name '${value}'`);
      return model;
    });
  return attempt(interruptSignal(), async () => {
    for (const model of removed) await removeModel(model.id, kindOf(model));
    if (removed.length > 0) return;
    const here = await Promise.all(all.map(isHere));
    await write((has('json') ? asJson : asTable)(here));
  });
}
