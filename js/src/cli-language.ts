// What the commands on language models share: the options that say which model and how, and the model, loaded.
//
//   -m MODEL ─> a path, an address, or a name of the manifest ─> LanguageModel, with its progress on a terminal
import { fileURLToPath } from 'node:url';
import { integer, UsageError, type OptionSpec } from './args.js';
import { accessOf, accessOption, findModelPlace, type AccessArgs } from './cli-access.js';
import { gpuOption, type GpuOptions } from './cli-gpu.js';
import { mb, problemOf, ProgressLine } from './cli-common.js';
import { QuotaExceededError, SottoError } from './errors.js';
import { LanguageModel } from './language-model.js';
import { findModel } from './models.js';
import type { LanguageModelCreateOptions } from './prompt.js';

// ---- options ----

export interface LanguageOptions {
  model?: string;
  ctx?: number;
  threads?: number;
  kv?: 'f16' | 'q8_0';
  draft?: string;
  draftTokens?: number;
  gpu: GpuOptions;
  access?: AccessArgs;
}

export const MODEL_SPEC: OptionSpec = { letter: 'm', value: true };
export const THREADS_SPEC: OptionSpec = { letter: 't', value: true };
export const CONTEXT_SPEC: OptionSpec = { value: true };
export const KV_SPEC: OptionSpec = { value: true };
export const HELP_SPEC: OptionSpec = { letter: 'h' };

export const MODEL_HELP = `  -m, --model MODEL       GGUF file (of a split one, any part), folder as on Hugging Face, address, model there
                          such as hf:OWNER/REPO:Q4_0 or hf:OWNER/REPO/FILE.gguf, or name such as
                          gemma-3-270m-q4_0 (sotto models lists them); by default what
                          SOTTO_LANGUAGE_MODEL says, else the small story teller that comes with sotto`;
export const THREADS_HELP = '  -t, --threads N         threads to use (default: one for each core, at most 8)';
export const KV_HELP =
  '      --kv TYPE           of the stored keys and values: f16 (default), or q8_0: about half the memory';

export const DRAFT_SPECS: Record<string, OptionSpec> = { draft: { value: true }, 'draft-tokens': { value: true } };
export const DRAFT_HELP = `      --draft MODEL       a smaller model with the same vocabulary guesses tokens, and several are checked at
                          once; lookup: what followed the same words earlier in the text is guessed. The
                          text stays the same
      --draft-tokens N    most tokens guessed at once, 1 to 15 (default: 4)`;

/** Tokens that can be asked for. */
export const MOST_TOKENS = 2 ** 31 - 1;

/** Takes an option that is one of these. */
export function languageOption(o: LanguageOptions, name: string, shown: string, value: string): boolean {
  switch (name) {
    case 'model':
      o.model = value;
      return true;
    case 'ctx':
      o.ctx = integer(shown, value, 1, MOST_TOKENS);
      return true;
    case 'threads':
      o.threads = integer(shown, value, 1, 64);
      return true;
    case 'kv':
      if (value !== 'f16' && value !== 'q8_0')
        throw new UsageError(`option '${shown}' needs f16 or q8_0, not '${value}'`);
      o.kv = value;
      return true;
    case 'draft':
      o.draft = value;
      return true;
    case 'draft-tokens':
      o.draftTokens = integer(shown, value, 1, 15);
      return true;
    default:
      return gpuOption(o.gpu, name, shown, value) || accessOption((o.access ??= {}), name, shown, value);
  }
}

const MOST_STOPS = 64;
const MOST_STOP_BYTES = 1024;

/** A stop string as an option. */
export function stopOption(stops: string[], shown: string, value: string): void {
  if (value === '') throw new UsageError(`option '${shown}' needs a string that is not empty`);
  if (Buffer.byteLength(value) > MOST_STOP_BYTES || stops.length === MOST_STOPS)
    throw new UsageError(`at most ${MOST_STOPS} stop strings of ${MOST_STOP_BYTES} bytes each can be given`);
  stops.push(value);
}

// ---- which model ----

/** A model that was named, or that counts where none was. */
export function namedModel({ model }: Pick<LanguageOptions, 'model'>): string {
  if (model !== undefined) return model;
  const said = process.env['SOTTO_LANGUAGE_MODEL'];
  if (said) return said;
  return fileURLToPath(new URL(`./${findModel('default', 'language')!.file}`, import.meta.url));
}

/** For commands that check a model: it has to be named. */
export function requiredModel({ model }: Pick<LanguageOptions, 'model'>): string {
  if (model === undefined) throw new UsageError('no model: give one with --model');
  return model;
}

/** A path where there is one; else an address, a model on a hub, or a name of a manifest. */
export function findModelFile(given: string, access: AccessArgs = {}): string | URL {
  const place = findModelPlace(given, access);
  if (place !== undefined) return place;
  throw new SottoError('argument', 'No such file or directory');
}

/** As findModelFile, with the draft's name in the error. */
function findDraft(given: string, access?: AccessArgs): string | URL {
  try {
    return findModelFile(given, access);
  } catch (error) {
    throw modelError(given, error);
  }
}

/** What went wrong with a model, by its name; what could not be fetched is named already. */
export function modelError(model: string, error: unknown): unknown {
  if (!(error instanceof SottoError) || error.code === 'network') return error;
  return new Error(`${model}: ${problemOf(error).replace(/\.$/, '')}`, { cause: error });
}

/** What went wrong with a prompt, in the commands' words. */
export function explained(error: unknown): unknown {
  if (!(error instanceof QuotaExceededError)) return error;
  const { requested, quota } = error;
  return new SottoError(
    'context',
    `${requested} tokens do not fit in a context of ${quota}: shorten the text, or take a larger one`,
  );
}

// ---- the model ----

/** How far a model is: what is here loads, anything else may be fetched. */
export function showLoading(line: ProgressLine, model: string | URL, loaded: number, total: number): void {
  if (model instanceof URL) line.percent('loading', loaded, total);
  else line.percent(`${model}, ${mb(total, 0)} MB`, loaded, total);
}

export type OpenOptions = Pick<LanguageModelCreateOptions, 'signal' | 'onOverflow'>;

/** What does not go together. */
export function checkLanguage({ draft, draftTokens }: LanguageOptions): void {
  if (draftTokens !== undefined && draft === undefined) throw new UsageError('--draft-tokens goes with --draft');
}

/** Loads the model; its download is shown on a terminal. */
export async function openLanguage(o: LanguageOptions, more: OpenOptions): Promise<LanguageModel> {
  const name = namedModel(o);
  const line = new ProgressLine();
  try {
    const model = findModelFile(name, o.access);
    return await LanguageModel.create({
      ...more,
      ...accessOf(o.access ?? {}, name),
      model,
      contextWindow: o.ctx,
      kvType: o.kv,
      draft: o.draft === undefined || o.draft === 'lookup' ? o.draft : findDraft(o.draft, o.access),
      draftTokens: o.draftTokens,
      threads: o.threads,
      ...o.gpu,
      monitor: (m) =>
        m.addEventListener('downloadprogress', ({ loaded, total }) => showLoading(line, model, loaded, total)),
    });
  } catch (error) {
    throw modelError(name, error);
  } finally {
    line.hide();
  }
}
