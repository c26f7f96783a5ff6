// Text to tokens and back in the engine's worker.
import { SottoError } from './errors.js';
import type { Prompt, Role, Turn } from './protocol.js';
import type { Pointer, Wasm } from './wasm.js';

/** SOTTO_TEXT_BOS, SOTTO_TEXT_SPECIAL */
const BOS = 1;
const SPECIAL = 2;
const ROLES: Record<Role, number> = { system: 0, user: 1, assistant: 2 };
const TOO_LONG = -1;

/** Ids of a conversation, and how many of its oldest turns are not in them. */
export interface Fitted {
  ids: number[];
  dropped: number;
}

export class Codec {
  readonly #wasm: Wasm;
  readonly #engine: Pointer;
  readonly #model: Pointer;

  constructor(wasm: Wasm, engine: Pointer, model: Pointer) {
    this.#wasm = wasm;
    this.#engine = engine;
    this.#model = model;
  }

  #fail(status: number): never {
    return this.#wasm.fail(status, this.#engine);
  }

  /** Calls twice: for the number of ids, then for the ids. */
  #list(make: (ids: Pointer, capacity: number, out: Pointer) => number): { ids: number[]; second: number } {
    const wasm = this.#wasm;
    const counted = wasm.row(1, (out) => make(0, 0, out));
    if (counted.result < 0) this.#fail(counted.result);
    const [n] = counted.values;
    const p = wasm.alloc(n * 4);
    try {
      const { values, result } = wasm.row(2, (out) => make(p, n, out));
      if (result < 0) this.#fail(result);
      return { ids: Array.from(new Int32Array(wasm.memory.buffer, p, n)), second: values[1] };
    } finally {
      wasm.free(p);
    }
  }

  /** Of a string, or of bytes as they are. */
  text(text: string | Uint8Array, special: boolean, bos: boolean): number[] {
    const flags = (bos ? BOS : 0) | (special ? SPECIAL : 0);
    return this.#wasm.withText(text, (p, size) =>
      this.#list((ids, capacity, out) =>
        this.#wasm.x.sotto_wasm_tokenize(this.#model, p, size, flags, ids, capacity, out),
      ),
    ).ids;
  }

  #turns<T>(turns: readonly Turn[], use: (p: Pointer, n: number) => T): T {
    const wasm = this.#wasm;
    const held = [wasm.x.sotto_wasm_turns(turns.length)];
    const [p] = held;
    try {
      if (p === 0) throw new SottoError('memory', 'Memory ran out.');
      turns.forEach(({ role, content }, index) => {
        const encoded = new TextEncoder().encode(content);
        const bytes = wasm.alloc(encoded.length);
        held.push(bytes);
        wasm.bytes(bytes, encoded.length).set(encoded);
        wasm.x.sotto_wasm_turn(p, index, ROLES[role], bytes, encoded.length);
      });
      return use(p, turns.length);
    } finally {
      held.forEach((pointer) => wasm.free(pointer));
    }
  }

  /** A prompt whole; as a text with control tokens and the token that begins texts. */
  prompt(prompt: Prompt): number[] {
    if ('text' in prompt) return this.text(prompt.text, true, true);
    const { ids } = this.#turns(prompt.turns, (p, n) =>
      this.#list((list, capacity, out) => this.#wasm.x.sotto_wasm_chat_tokens(this.#model, p, n, list, capacity, out)),
    );
    return ids.concat(this.#prefix(prompt.prefix));
  }

  /** A conversation without its oldest turns, so that at most `most` ids remain. undefined: its last turn alone has more. */
  fit(turns: readonly Turn[], prefix: string, most: number): Fitted | undefined {
    const begun = this.#prefix(prefix);
    const room = most - begun.length;
    if (room < 1) return undefined;
    const { x } = this.#wasm;
    return this.#turns(turns, (p, n) => {
      const fit = (ids: Pointer, capacity: number, out: Pointer): number =>
        x.sotto_wasm_chat_fit(this.#model, p, n, room, ids, capacity, out);
      if (this.#wasm.row(1, (out) => fit(0, 0, out)).result === TOO_LONG) return undefined;
      const { ids, second } = this.#list(fit);
      return { ids: ids.concat(begun), dropped: second };
    });
  }

  #prefix(prefix: string): number[] {
    return prefix === '' ? [] : this.text(prefix, false, false);
  }

  /** The bytes that a token adds to a text, in the engine's memory. */
  piece(id: number, special: boolean): { p: Pointer; size: number } {
    const { values, result } = this.#wasm.row(1, (out) =>
      this.#wasm.x.sotto_wasm_token_piece(this.#model, id, special ? 1 : 0, out),
    );
    return { p: result >>> 0, size: values[0] };
  }

  /** The text of a token; U+FFFD for parts of characters. */
  shown(id: number): string {
    const { p, size } = this.piece(id, true);
    return this.#wasm.text(p, size);
  }

  /** The text of ids. */
  decode(ids: Int32Array, special: boolean): string {
    const decoder = new TextDecoder();
    let text = '';
    for (const id of ids) {
      const { p, size } = this.piece(id, special);
      text += decoder.decode(this.#wasm.bytes(p, size).slice(), { stream: true });
    }
    return text + decoder.decode();
  }

  ends(id: number): boolean {
    return this.#wasm.x.sotto_wasm_token_ends(this.#model, id) !== 0;
  }
}
