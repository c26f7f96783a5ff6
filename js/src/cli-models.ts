// sotto models: those that can be named, and which of them are here.
import { parse, UsageError } from './args.js';
import { accessOf, accessOption, ACCESS_HELP, ACCESS_SPECS, type AccessArgs } from './cli-access.js';
import { attempt, EXIT_DONE, interruptSignal, mb, write } from './cli-common.js';
import { HELP_SPEC } from './cli-language.js';
import { availabilityOf, removeModel } from './engine.js';
import { SottoError } from './errors.js';
import type { ModelKind } from './kind.js';
import { readManifest } from './manifest.js';
import type { ModelOptions } from './model-input.js';
import { findModel, models as known, type ManifestModel } from './models.js';

const HELP = `Usage: sotto models [--json] [--manifest FILE] [--remove NAME]...
Lists the models that --model can name: their size, their licence, and whether they are here. The others are
fetched when they are first used, checked, and kept in $XDG_CACHE_HOME/sotto or ~/.cache/sotto.

      --remove NAME       removes a model that is kept there; can be given several times
      --json              a JSON array
${ACCESS_HELP}
  -h, --help              this help

Exit status: 0 done, 1 it could not be done, 2 wrong usage.
`;

const kindOf = ({ kind }: ManifestModel): ModelKind => (kind === 'whisper' ? 'speech' : 'language');

/** A model, and whether it is here. */
type Listed = ManifestModel & { here: boolean };

const looked = async (model: ManifestModel, options: ModelOptions): Promise<Listed> => ({
  ...model,
  here: (await availabilityOf(model.id, options, kindOf(model))) === 'available',
});

function asTable(all: readonly Listed[]): string {
  const row = (cells: readonly string[]): string =>
    `${cells[0].padEnd(24)} ${cells[1].padStart(9)}  ${cells[2].padEnd(20)} ${cells[3]}`.trimEnd() + '\n';
  const part = (heading: string, kind: ModelKind): string[] => {
    const rows = all.filter((m) => kindOf(m) === kind).map((m) => row([m.id, `${mb(m.size_bytes)} MB`, m.license, m.here ? 'here' : '']));
    return rows.length > 0 ? [`${heading}\n${rows.join('')}`] : [];
  };
  return [...part('Speech', 'speech'), ...part('Text', 'language')].join('\n');
}

function asJson(all: readonly Listed[]): string {
  const objects = all.map(({ id, name, kind, weights, size_bytes, sha256, license, here }) => ({
    ...{ id, name, kind, weights, size_bytes, sha256, license, here },
  }));
  return JSON.stringify(objects) + '\n';
}

export async function models(argv: readonly string[]): Promise<number> {
  const { options, operands } = parse(argv, { help: HELP_SPEC, remove: { value: true }, json: {}, ...ACCESS_SPECS });
  const has = (wanted: string): boolean => options.some(({ name }) => name === wanted);
  if (has('help')) {
    await write(HELP);
    return EXIT_DONE;
  }
  if (operands.length > 0) throw new UsageError(`unexpected argument '${operands[0]}'`);
  const args: AccessArgs = {};
  for (const { name, shown, value } of options) accessOption(args, name, shown, value);
  const removed = options.filter(({ name }) => name === 'remove').map(({ value }) => value);
  const unknown = args.manifest === undefined ? removed.find((name) => !findModel(name)) : undefined;
  if (unknown !== undefined) throw new UsageError(`no model has the name '${unknown}'`);
  const signal = interruptSignal();
  return attempt(signal, async () => {
    const access = accessOf(args, '');
    const manifest = access.manifest === undefined ? undefined : await readManifest(access.manifest, { ...access, signal });
    for (const name of removed) {
      const model = findModel(name, undefined, manifest);
      if (!model) throw new SottoError('argument', `no model has the name '${name}'`);
      await removeModel(model.id, { ...access, manifest }, kindOf(model));
    }
    if (removed.length > 0) return;
    const all = await Promise.all((manifest?.models ?? known).map((model) => looked(model, { ...access, manifest })));
    await write((has('json') ? asJson : asTable)(all));
  });
}
