// Language models in the engine's worker: sessions, and texts generated in them.
//
//   messages ─> chat tokens ─> sync, step ─> logits ─> sampler ─> token ─> whole characters, no stop string ─> text {id}
//                                 └──────────────── until something ends it ────┘
import { abortError, SottoError } from './errors.js';
import type { Platform } from './platform.js';
import type { GenerateMessage, Generation, LanguageMessage, Prompt, Role } from './protocol.js';
import type { Pointer, Wasm } from './wasm.js';

const DONE = 4;
/** SOTTO_TEXT_BOS | SOTTO_TEXT_SPECIAL */
const PROMPT_FLAGS = 3;
/** How long the worker may be deaf between two steps, in ms. */
const BREATH_MS = 8;
const ROLES: Record<Role, number> = { system: 0, user: 1, assistant: 2 };

export class Language {
  readonly #wasm: Wasm;
  readonly #engine: Pointer;
  readonly #model: Pointer;
  readonly #platform: Platform;
  readonly #sessions = new Map<number, Pointer>();
  #breathed = 0;

  constructor(wasm: Wasm, engine: Pointer, model: Pointer, platform: Platform) {
    this.#wasm = wasm;
    this.#engine = engine;
    this.#model = model;
    this.#platform = platform;
  }

  async run(message: LanguageMessage, cancelled: () => boolean): Promise<void> {
    const { id } = message;
    if (message.type === 'open') {
      const s = this.#wasm.x.sotto_wasm_session_open(this.#model, message.context);
      if (s === 0) this.#fail(-1);
      this.#sessions.set(message.session, s);
      const contextWindow = this.#wasm.x.sotto_wasm_session_capacity(s);
      this.#platform.post({ type: 'opened', id, contextWindow });
    } else if (message.type === 'count') {
      const n = 'text' in message.prompt ? this.#textIds(message.prompt.text, 0).length : this.#ids(message.prompt).length;
      this.#platform.post({ type: 'counted', id, n });
    } else {
      const generation = await this.#generate(message, cancelled);
      this.#platform.post({ type: 'generated', id, generation });
    }
  }

  closeSession(session: number): void {
    this.#wasm.x.sotto_wasm_session_close(this.#sessions.get(session) ?? 0);
    this.#sessions.delete(session);
  }

  #fail(status: number): never {
    return this.#wasm.fail(status, this.#engine);
  }

  // ---- tokens ----

  /** Calls twice: for the number of ids, then for the ids. */
  #list(make: (ids: Pointer, capacity: number, out: Pointer) => number): number[] {
    const wasm = this.#wasm;
    const counted = wasm.row(1, (out) => make(0, 0, out));
    if (counted.result < 0) this.#fail(counted.result);
    const [n] = counted.values;
    const p = wasm.alloc(n * 4);
    try {
      const { result } = wasm.row(1, (out) => make(p, n, out));
      if (result < 0) this.#fail(result);
      return Array.from(new Int32Array(wasm.memory.buffer, p, n));
    } finally {
      wasm.free(p);
    }
  }

  #textIds(text: string, flags: number): number[] {
    const wasm = this.#wasm;
    const encoded = new TextEncoder().encode(text);
    const p = wasm.alloc(encoded.length);
    try {
      wasm.bytes(p, encoded.length).set(encoded);
      return this.#list((ids, capacity, out) =>
        wasm.x.sotto_wasm_tokenize(this.#model, p, encoded.length, flags, ids, capacity, out),
      );
    } finally {
      wasm.free(p);
    }
  }

  #ids(prompt: Prompt): number[] {
    if ('text' in prompt) return this.#textIds(prompt.text, PROMPT_FLAGS);
    const wasm = this.#wasm;
    const held: Pointer[] = [];
    const hold = (size: number): Pointer => {
      const p = wasm.alloc(size);
      held.push(p);
      return p;
    };
    try {
      const { messages } = prompt;
      const turns = wasm.x.sotto_wasm_turns(messages.length);
      if (turns === 0) throw new SottoError('memory', 'Memory ran out.');
      held.push(turns);
      messages.forEach(({ role, content }, index) => {
        const encoded = new TextEncoder().encode(content);
        const p = hold(encoded.length);
        wasm.bytes(p, encoded.length).set(encoded);
        wasm.x.sotto_wasm_turn(turns, index, ROLES[role], p, encoded.length);
      });
      return this.#list((ids, capacity, out) =>
        wasm.x.sotto_wasm_chat_tokens(this.#model, turns, messages.length, ids, capacity, out),
      );
    } finally {
      held.forEach((p) => wasm.free(p));
    }
  }

  // ---- generation ----

  #openSampler(sampling: [string, number][]): Pointer {
    const { x } = this.#wasm;
    const options = x.sotto_wasm_sampler_options();
    if (options === 0) throw new SottoError('memory', 'Memory ran out.');
    try {
      for (const [name, value] of sampling) {
        const p = this.#wasm.put(name);
        const known = x.sotto_wasm_sampler_option(options, p, value);
        this.#wasm.free(p);
        if (!known) throw new SottoError('argument', `There is no option ${name}.`);
      }
      const sampler = x.sotto_wasm_sampler_open(this.#model, options);
      if (sampler === 0) this.#fail(-1);
      return sampler;
    } finally {
      this.#wasm.free(options);
    }
  }

  #openStream(stop: string[]): Pointer {
    const p = this.#wasm.put(stop.map((s) => s + '\0').join(''));
    const stream = this.#wasm.x.sotto_wasm_text_stream_open(p, stop.length);
    this.#wasm.free(p);
    if (stream === 0) throw new SottoError('argument', 'At most 64 stop strings of 1 to 1024 bytes each can be given.');
    return stream;
  }

  /** Brings a session up to the ids. */
  async #evaluate(session: Pointer, ids: Pointer, n: number, cancelled: () => boolean): Promise<void> {
    const { x } = this.#wasm;
    let status = x.sotto_wasm_session_sync(session, ids, n);
    while (status >= 0 && status !== DONE) {
      if (performance.now() - this.#breathed >= BREATH_MS) {
        await this.#platform.breathe();
        this.#breathed = performance.now();
      }
      if (cancelled()) throw abortError();
      status = x.sotto_wasm_session_step(session);
    }
    if (status < 0) this.#fail(status);
  }

  async #generate(message: GenerateMessage, cancelled: () => boolean): Promise<Generation> {
    const { x } = this.#wasm;
    const session = this.#sessions.get(message.session)!;
    const capacity = x.sotto_wasm_session_capacity(session);
    const promptTokens = this.#ids(message.prompt);
    const nPrompt = promptTokens.length;
    if (nPrompt > capacity) {
      throw new SottoError(
        'context',
        `The context of ${capacity} tokens is full: this would make it ${nPrompt}; shorten the text, or create a LanguageModel with a larger contextWindow.`,
      );
    }
    const open: [close: (p: Pointer) => void, p: Pointer][] = [];
    const hold = (close: (p: Pointer) => void, p: Pointer): Pointer => (open.push([close, p]), p);
    try {
      const sampler = hold(x.sotto_wasm_sampler_close, this.#openSampler(message.sampling));
      const stream = hold(x.sotto_wasm_text_stream_close, this.#openStream(message.stop));
      const ids = hold(x.sotto_wasm_free, this.#wasm.alloc((capacity + 1) * 4)); // what is held, and one more
      return await this.#write(message, { session, capacity, promptTokens, sampler, stream, ids }, cancelled);
    } finally {
      for (const [close, p] of open) close(p);
    }
  }

  async #write(
    { id, maxTokens }: GenerateMessage,
    g: { session: Pointer; capacity: number; promptTokens: number[]; sampler: Pointer; stream: Pointer; ids: Pointer },
    cancelled: () => boolean,
  ): Promise<Generation> {
    const wasm = this.#wasm;
    const { x } = wasm;
    const { promptTokens, sampler, stream } = g;
    const nPrompt = promptTokens.length;
    const tokens: number[] = [];
    let text = '';
    const push = (bytes: Pointer, size: number): boolean => {
      const { values, result } = wasm.row(2, (out) => x.sotto_wasm_text_stream_push(stream, bytes, size, out));
      if (result < 0) throw new SottoError('memory', 'Memory ran out.');
      const shown = wasm.text(values[0], values[1]);
      if (shown !== '') this.#platform.post({ type: 'text', id, text: shown });
      text += shown;
      return result === 1;
    };
    const begin = performance.now();
    new Int32Array(wasm.memory.buffer, g.ids, nPrompt).set(promptTokens);
    for (const token of promptTokens) x.sotto_wasm_sampler_accept(sampler, token);
    await this.#evaluate(g.session, g.ids, nPrompt, cancelled);
    const prefilled = performance.now();
    let nDecode = 0;
    let stopReason: Generation['stopReason'] | undefined = maxTokens === 0 ? 'length' : undefined;
    while (stopReason === undefined) {
      const token = x.sotto_wasm_sampler_sample(sampler, x.sotto_wasm_session_logits(g.session));
      if (token < 0) this.#fail(token);
      x.sotto_wasm_sampler_accept(sampler, token);
      new Int32Array(wasm.memory.buffer, g.ids, g.capacity + 1)[nPrompt + tokens.length] = token;
      tokens.push(token);
      const { values, result: piece } = wasm.row(1, (out) => x.sotto_wasm_token_piece(this.#model, token, out));
      if (x.sotto_wasm_token_ends(this.#model, token)) stopReason = 'end';
      else if (push(piece, values[0])) stopReason = 'stop';
      else if (tokens.length >= maxTokens) stopReason = 'length';
      else if (nPrompt + tokens.length > g.capacity) stopReason = 'context';
      else {
        await this.#evaluate(g.session, g.ids, nPrompt + tokens.length, cancelled);
        nDecode++;
      }
    }
    push(0, 0);
    const timings = {
      prefillMs: prefilled - begin,
      nPrefill: nPrompt,
      decodeMs: performance.now() - prefilled,
      nDecode,
    };
    return { text, promptTokens, tokens, stopReason, timings, memoryBytes: wasm.memory.buffer.byteLength };
  }
}
