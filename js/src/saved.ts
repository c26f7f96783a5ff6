// A conversation as bytes: what was said, and what the engine computed of it.
//
//   "SOTTOLM1"   size of the JSON (u32, little endian)   JSON { turns, usage, contextWindow }   keys and values, as sotto.h says
import { SottoError } from './errors.js';
import { turnsOf } from './prompt.js';
import type { Turn } from './protocol.js';

const MAGIC = 'SOTTOLM1';
const HEAD_BYTES = MAGIC.length + 4;

export interface Saved {
  turns: Turn[];
  usage: number;
  contextWindow: number;
  /** Of the engine. */
  session: Uint8Array;
}

export function pack({ session, ...rest }: Saved): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(rest));
  const bytes = new Uint8Array(HEAD_BYTES + json.length + session.length);
  bytes.set(new TextEncoder().encode(MAGIC));
  new DataView(bytes.buffer).setUint32(MAGIC.length, json.length, true);
  bytes.set(json, HEAD_BYTES);
  bytes.set(session, HEAD_BYTES + json.length);
  return bytes;
}

/** Bytes of strangers: checked here as far as JSON goes, and by the engine from there on. */
export function unpack(given: Uint8Array | ArrayBuffer): Saved {
  const wrong = new SottoError('format', 'These bytes are no saved conversation: give those that save() gave.');
  if (!(given instanceof Uint8Array || given instanceof ArrayBuffer)) throw wrong;
  const bytes = given instanceof Uint8Array ? given : new Uint8Array(given);
  if (bytes.length < HEAD_BYTES || new TextDecoder().decode(bytes.subarray(0, MAGIC.length)) !== MAGIC) throw wrong;
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC.length, true);
  if (size > bytes.length - HEAD_BYTES) throw wrong;
  let rest: Omit<Saved, 'session'>;
  try {
    rest = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(HEAD_BYTES, HEAD_BYTES + size)));
    rest.turns = turnsOf(rest.turns).turns;
  } catch {
    throw wrong;
  }
  const { turns, usage, contextWindow } = rest;
  if (!(Number.isInteger(contextWindow) && contextWindow >= 1 && Number.isInteger(usage) && usage >= 0)) throw wrong;
  return { turns, usage: Math.min(usage, contextWindow), contextWindow, session: bytes.subarray(HEAD_BYTES + size) };
}
