// How tokens are chosen: options of the commands that write text, and settings of a chat.
import { integer, number, UsageError, type OptionSpec } from './args.js';
import { SAMPLING, type SamplingOptions } from './prompt.js';

const MOST_ID = 2 ** 31 - 1;
const MOST_BIASES = 1024;

type Key = (typeof SAMPLING)[number][0];

/** What a setting is unless said. */
const USUAL: Record<Key, number> = {
  temperature: 1,
  topK: 64,
  topP: 0.95,
  minP: 0,
  typicalP: 1,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  penaltyWindow: 256,
  seed: 0,
};

/** By what a user calls them: "top-k". */
const SETTINGS = new Map(
  SAMPLING.map(([key, name, low, high, whole]) => [name.replaceAll('_', '-'), { key, low, high, whole }]),
);

export const SAMPLING_SPECS: Record<string, OptionSpec> = Object.fromEntries(
  [...SETTINGS.keys(), 'logit-bias'].map((name) => [name, { value: true }]),
);

export const SAMPLING_HELP = `Sampling
      --temperature F     0: always the likeliest token (default: 1)
      --top-k N           among the N likeliest tokens; 0: all (default: 64)
      --top-p F           among the likeliest with this much probability together (0.95)
      --min-p F           among those with this share of the likeliest one's probability (0)
      --typical-p F       among the most typical with this much probability together (1: all)
      --repetition-penalty F  divides logits of tokens that were there (default: 1, none)
      --presence-penalty F    is taken from logits of tokens that were there (0)
      --frequency-penalty F   the same, for each time that they were there (0)
      --penalty-window N  the penalties look at the last N tokens (256)
      --logit-bias ID=F[,ID=F]...  is added to the logit of a token; -inf: never chosen`;

/** ID=F[,ID=F]..., added to those given before; of one id the last counts. */
function readBiases(s: SamplingOptions, shown: string, list: string): void {
  const biases = new Map(s.logitBias as Map<number, number> | undefined);
  for (const pair of list.split(',')) {
    const [, id, value] = /^(\d+)=(\S+)$/.exec(pair) ?? [];
    const bias = /^-inf(inity)?$/i.test(value) ? -Infinity : Number(value ?? NaN);
    if (!(Number(id) <= MOST_ID) || !(bias <= 1e4))
      throw new UsageError(`option '${shown}' needs ID=NUMBER, several with commas between, not '${list}'`);
    biases.set(Number(id), bias);
  }
  if (biases.size > MOST_BIASES) throw new UsageError(`option '${shown}' takes ${MOST_BIASES} tokens at most`);
  s.logitBias = biases;
}

/** Takes an option that is one of these. */
export function samplingOption(s: SamplingOptions, name: string, shown: string, value: string): boolean {
  if (name === 'logit-bias') {
    readBiases(s, shown, value);
    return true;
  }
  const setting = SETTINGS.get(name);
  if (!setting) return false;
  const { key, low, high, whole } = setting;
  s[key] = (whole ? integer : number)(shown, value, low, high);
  return true;
}

/** The name of a setting as it is written here: "top_k" is "top-k". undefined: there is none. */
export function findSetting(name: string): string | undefined {
  const plain = name.replaceAll('_', '-');
  return Object.hasOwn(SAMPLING_SPECS, plain) ? plain : undefined;
}

/** A line "name value" for each setting. */
export function listSettings(s: SamplingOptions): string {
  const lines = [...SETTINGS].map(([name, { key }]): [string, string] => [name, String(s[key] ?? USUAL[key])]);
  const biases = [...((s.logitBias as Map<number, number> | undefined) ?? [])].map(([id, bias]): [string, string] => [
    'logit-bias',
    `${id}=${bias === -Infinity ? '-inf' : bias}`,
  ]);
  lines.splice(-1, 0, ...biases); // the seed is last
  return lines.map(([name, value]) => `  ${name.padEnd(20)} ${value}\n`).join('');
}
