// What the engine says of a model whose weights it has not seen: whether it runs it, its vocabulary and chat template, and the
// memory that contexts need.
import { platform } from '@platform';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import path from 'node:path';
import { Codec } from './codec.js';
import { Feeder } from './cli-engine.js';
import { startEngine } from './engine-start.js';
import { SottoError } from './errors.js';
import { describeModel } from './model-info.js';
import { sessionBytes, type SessionContext } from './session.js';
import type { ModelInfo } from './protocol.js';

export interface EngineAnswers {
  /** Why it does not run the model; "": it does. */
  problem: string;
  /** It knows the chat template. */
  chats: boolean;
  /** Tokens that end a text or a turn. */
  ends: { id: number; text: string }[];
  contexts: { n_ctx: number; f16_bytes: number; q8_0_bytes: number }[];
}

const USUAL = [2048, 8192];
const MOST_ENDS = 8;
const PIECE_BYTES = 1 << 20;

function askMemory(c: SessionContext, trained: number, ctx: number | undefined): EngineAnswers['contexts'] {
  const wanted = ctx !== undefined ? [ctx] : [...USUAL.filter((n) => n < trained), trained];
  const bytes = (n: number, kv: number): number =>
    sessionBytes(c, [
      ['n_ctx', n],
      ['kv_type', kv],
    ]);
  const contexts = wanted.map((n) => ({ n_ctx: n, f16_bytes: bytes(n, 0), q8_0_bytes: bytes(n, 1) }));
  return contexts.filter(({ f16_bytes }) => f16_bytes > 0);
}

function askTemplate(codec: Codec): boolean {
  try {
    codec.prompt({ turns: [{ role: 'user', content: '' }], prefix: '' });
    return true;
  } catch {
    return false; // it has none that is known
  }
}

const sentenceOf = (error: unknown): string => {
  if (!(error instanceof SottoError)) throw error;
  return error.message;
};

/** Feeds a model by `feed`, and asks. */
async function ask(ctx: number | undefined, feed: (feeder: Feeder) => void): Promise<EngineAnswers> {
  const { wasm, engine } = await startEngine(platform, { threads: 1 });
  const answers: EngineAnswers = { problem: '', chats: false, ends: [], contexts: [] };
  let feeder: Feeder;
  try {
    feeder = new Feeder({ wasm, engine });
    feed(feeder);
  } catch (error) {
    return { ...answers, problem: sentenceOf(error) };
  }
  const { model } = feeder;
  const info = describeModel(wasm, model);
  const codec = new Codec(wasm, engine, model);
  for (let id = 0; id < info.nVocab && answers.ends.length < MOST_ENDS; id++)
    if (codec.ends(id)) answers.ends.push({ id, text: codec.shown(id) });
  answers.chats = askTemplate(codec);
  answers.contexts = askMemory({ wasm, engine, model }, info.nTextCtx, ctx);
  return answers;
}

/** The bytes of a file from its beginning, in pieces: at most `most`. */
function* piecesOf(file: string, most = Infinity, size = PIECE_BYTES): Generator<Buffer> {
  const fd = openSync(file, 'r');
  try {
    for (let at = 0; at < most;) {
      const piece = Buffer.alloc(Math.min(size, most - at));
      const n = readSync(fd, piece, 0, piece.length, at);
      if (n === 0) return;
      yield piece.subarray(0, n);
      at += n;
    }
  } finally {
    closeSync(fd);
  }
}

/** The bytes of a GGUF file before its weights. */
export const askOfGguf = (file: string, headBytes: number, ctx: number | undefined): Promise<EngineAnswers> =>
  ask(ctx, (feeder) => {
    for (const piece of piecesOf(file, headBytes)) feeder.feed(piece);
  });

export const askOfFolder = (
  config: string,
  tokenizer: string | undefined,
  ctx: number | undefined,
): Promise<EngineAnswers> =>
  ask(ctx, (feeder) => {
    for (const file of [config, ...(tokenizer === undefined ? [] : [tokenizer])]) {
      feeder.begin(path.basename(file));
      feeder.feed(readFileSync(file));
    }
    feeder.begin('model.safetensors'); // ends the file before it
  });

/** Why the engine does not take a file; undefined: it takes it. */
export async function engineProblem(file: string): Promise<string | undefined> {
  const feeder = new Feeder(await startEngine(platform, { threads: 1 }));
  try {
    for (const piece of piecesOf(file)) feeder.feed(piece);
    feeder.finish();
    return undefined;
  } catch (error) {
    return sentenceOf(error);
  }
}

/** What the engine says of the header of a Whisper model. */
export async function describeHeader(file: string): Promise<ModelInfo> {
  const started = await startEngine(platform, { threads: 1 });
  const feeder = new Feeder(started);
  for (const piece of piecesOf(file, 4096, 64)) {
    feeder.feed(piece);
    const info = describeModel(started.wasm, feeder.model);
    if (info.architecture !== '') return info;
  }
  feeder.finish();
  throw new SottoError('format', 'the file ends inside its header: it is truncated; download it again');
}
