// A language model writes: the loop of an answer, in the engine's worker.
//
//   prompt ─> ids, that fit ─> sync ─> next ─> token ─> whole characters, no stop string ─> text {id}
//                                       └─────────┘ until something ends it
//
// Where log-probabilities are wanted, the next token comes by step ─> logits ─> sampler instead.
//
// When tokens come fast, several share a message to the page; the worker listens to the page only every few steps.
import { abortError, QuotaExceededError, SottoError } from './errors.js';
import { AGAIN, settled, type LanguageContext, type Task } from './session.js';
import type { GenerateMessage, Generation, Prompt, Sampling, TokenLogprob } from './protocol.js';
import type { Pointer, Wasm } from './wasm.js';

/** Text is sent at once if so long ago some was sent, else with the next token. In ms. */
const POST_MS = 16;
/** Share of the context that is kept for the answer, at most; and the share that is kept when turns are left out. */
const ROOM = 1 / 8;
const KEPT = 1 / 2;

function openSampler({ wasm, engine, model }: LanguageContext, { options, logitBias = [] }: Sampling): Pointer {
  const { x } = wasm;
  const o = x.sotto_wasm_sampler_options();
  const biases = x.sotto_wasm_logit_biases(logitBias.length) >>> 0;
  try {
    if (o === 0 || biases === 0) throw new SottoError('memory', 'Memory ran out.');
    logitBias.forEach(([id, bias], index) => x.sotto_wasm_logit_bias(biases, index, id, bias));
    const all: [string, number][] = [...options, ['logit_bias', biases], ['n_logit_bias', logitBias.length]];
    wasm.setOptions(all, (name, value) => x.sotto_wasm_sampler_option(o, name, value));
    const sampler = x.sotto_wasm_sampler_open(model, o);
    if (sampler === 0) wasm.fail(-1, engine);
    return sampler;
  } finally {
    wasm.free(biases);
    wasm.free(o);
  }
}

function openStream(wasm: Wasm, stop: string[]): Pointer {
  const p = wasm.put(stop.map((s) => s + '\0').join(''));
  const stream = wasm.x.sotto_wasm_text_stream_open(p, stop.length);
  wasm.free(p);
  if (stream === 0) throw new SottoError('argument', 'At most 64 stop strings of 1 to 1024 bytes each can be given.');
  return stream;
}

// ---- what fits ----

interface Fitting {
  ids: number[];
  dropped: number;
}

/** The ids of the prompt; where they leave no room for an answer, without the oldest turns. */
function fit(c: LanguageContext, { prompt, drop, maxTokens }: GenerateMessage, capacity: number): Fitting {
  const ids = c.codec.prompt(prompt);
  const room = Math.min(maxTokens, Math.floor(capacity * ROOM));
  if (ids.length <= (drop ? capacity - room : capacity)) return { ids, dropped: 0 };
  if (drop) {
    const shorter = refit(c, prompt, capacity, Math.floor(capacity * KEPT)) ?? refit(c, prompt, capacity, capacity);
    if (shorter) return shorter;
  }
  throw new QuotaExceededError(
    `The context of ${capacity} tokens is full: this would make it ${ids.length}; shorten the text, or create a LanguageModel with a larger contextWindow.`,
    ids.length,
    capacity,
  );
}

function refit({ codec }: LanguageContext, prompt: Prompt, capacity: number, most: number): Fitting | undefined {
  if (most > capacity || 'text' in prompt) return undefined;
  return codec.fit(prompt.turns, prompt.prefix, most);
}

// ---- writing ----

interface Tools {
  session: Pointer;
  sampler: Pointer;
  stream: Pointer;
  /** [capacity + 1]: prompt and answer. */
  ids: Pointer;
}

export class Writer {
  readonly #c: LanguageContext;
  readonly #message: GenerateMessage;
  readonly #task: Task;
  #t!: Tools;
  /** Most tokens of the session; 0 until it is known. */
  #capacity = 0;
  readonly #tokens: number[] = [];
  readonly #logprobs: TokenLogprob[] = [];
  #prompt: number[] = [];
  #dropped = 0;
  #text = '';
  #waiting = '';
  #posted = -Infinity;
  #nReused = 0;
  #nDecode = 0;
  readonly #begin = performance.now();
  /** When the prompt was evaluated. */
  #prefilled = 0;

  constructor(c: LanguageContext, message: GenerateMessage, task: Task) {
    this.#c = c;
    this.#message = message;
    this.#task = task;
  }

  /** After it threw it can be run again, in a session of an engine that was started anew: it goes on where it was. */
  async run(session: Pointer): Promise<Generation> {
    const { wasm } = this.#c;
    const { x } = wasm;
    if (this.#capacity === 0) this.#fit(session);
    const open: [close: (p: Pointer) => void, p: Pointer][] = [];
    const hold = (close: (p: Pointer) => void, p: Pointer): Pointer => (open.push([close, p]), p);
    try {
      const sampler = hold(x.sotto_wasm_sampler_close, openSampler(this.#c, this.#message.sampling));
      const stream = hold(x.sotto_wasm_text_stream_close, openStream(wasm, this.#message.stop));
      const ids = hold(x.sotto_wasm_free, wasm.alloc((this.#capacity + 1) * 4)); // what is held, and one more
      this.#t = { session, sampler, stream, ids };
      return await this.#write();
    } finally {
      for (const [close, p] of open) close(p);
    }
  }

  #fit(session: Pointer): void {
    const capacity = this.#c.wasm.x.sotto_wasm_session_capacity(session);
    ({ ids: this.#prompt, dropped: this.#dropped } = fit(this.#c, this.#message, capacity));
    this.#capacity = capacity;
    if (this.#dropped > 0) this.#tellOverflow();
  }

  async #write(): Promise<Generation> {
    const { x, memory } = this.#c.wasm;
    const { session, sampler } = this.#t;
    const { maxTokens } = this.#message;
    const tokens = this.#tokens;
    this.#hold(0, [...this.#prompt, ...tokens]);
    for (const token of this.#prompt) x.sotto_wasm_sampler_accept(sampler, token);
    this.#rewrite();
    const before = this.#guesses();
    let stopReason: Generation['stopReason'] | undefined = maxTokens === 0 ? 'length' : undefined;
    const scored = this.#message.logprobs !== undefined;
    this.#sync();
    if (this.#prefilled === 0) this.#nReused = x.sotto_wasm_session_length(session);
    if (scored || stopReason !== undefined) await this.#evaluate();
    while (stopReason === undefined) {
      const token = scored ? this.#sample(x.sotto_wasm_session_logits(session, 0)) : await this.#next();
      if (this.#c.codec.ends(token)) stopReason = 'end';
      else if (this.#push(token)) stopReason = 'stop';
      else if (tokens.length >= maxTokens) stopReason = 'length';
      else if (this.#prompt.length + tokens.length > this.#capacity && !this.#shorten()) stopReason = 'context';
      else {
        if (scored) await this.#evaluate();
        this.#nDecode++;
      }
    }
    this.#finish();
    const timings = {
      ...{ prefillMs: this.#prefilled - this.#begin, nPrefill: this.#prompt.length, nReused: this.#nReused },
      ...{ decodeMs: performance.now() - this.#prefilled, nDecode: this.#nDecode },
    };
    const guesses = this.#guesses();
    for (const key of ['checks', 'tokens', 'accepted'] as const) guesses[key] -= before[key];
    return {
      ...{ text: this.#text, promptTokens: this.#prompt, tokens, stopReason },
      ...(this.#message.logprobs !== undefined && { logprobs: this.#logprobs }),
      ...(guesses.checks > 0 && { guesses }),
      ...{ timings, memoryBytes: memory.buffer.byteLength },
    };
  }

  /** So far, of the session. */
  #guesses(): NonNullable<Generation['guesses']> {
    const { wasm } = this.#c;
    const [checks, tokens, accepted] = wasm.row(3, (out) => wasm.x.sotto_wasm_session_speculation(this.#t.session, out)).values;
    return { checks, tokens, accepted };
  }

  /** Brings a new sampler and a new stream to where those before were: the page has their text already. */
  #rewrite(): void {
    if (this.#tokens.length === 0) return;
    const { wasm, codec, nVocab } = this.#c;
    const { sampler, stream } = this.#t;
    const certain = wasm.alloc(nVocab * 4);
    wasm.floats(certain, nVocab).fill(-Infinity)[0] = 0;
    for (const token of this.#tokens) {
      wasm.x.sotto_wasm_sampler_sample(sampler, certain, 0); // draws, as it did before
      wasm.x.sotto_wasm_sampler_accept(sampler, token);
      const { p, size } = codec.piece(token, false);
      wasm.row(2, (out) => wasm.x.sotto_wasm_text_stream_push(stream, p, size, out));
    }
    wasm.free(certain);
  }

  /** Writes ids down for sync. */
  #hold(at: number, ids: readonly number[]): void {
    new Int32Array(this.#c.wasm.memory.buffer, this.#t.ids + at * 4, ids.length).set(ids);
  }

  /** The session is to hold prompt and answer. */
  #sync(): void {
    const { wasm, engine } = this.#c;
    const { session, ids } = this.#t;
    const status = wasm.x.sotto_wasm_session_sync(session, ids, this.#prompt.length + this.#tokens.length);
    if (status < 0) wasm.fail(status, engine);
  }

  /** Steps until it gives what it is to give; tells the page how far the prompt is. */
  async #steps(step: () => number): Promise<void> {
    const { wasm, engine, platform } = this.#c;
    const total = this.#prompt.length + this.#tokens.length;
    let status = AGAIN;
    while (status === AGAIN) {
      await this.#c.breathe();
      if (this.#task.cancelled()) throw abortError();
      status = step();
      if (this.#prefilled === 0 && status >= 0) {
        const done = wasm.x.sotto_wasm_session_length(this.#t.session);
        platform.post({ type: 'evaluated', id: this.#message.id, done: Math.min(done, total), total });
      }
      if (status === AGAIN) await settled(wasm);
    }
    if (status < 0) wasm.fail(status, engine);
    this.#prefilled ||= performance.now();
  }

  /** Brings the session up to prompt and answer, with logits. */
  async #evaluate(): Promise<void> {
    this.#sync();
    await this.#steps(() => this.#c.wasm.x.sotto_wasm_session_step(this.#t.session));
  }

  /** The next token, which the session evaluates by itself. */
  async #next(): Promise<number> {
    const { wasm } = this.#c;
    let token = -1;
    await this.#steps(() => {
      const { values, result } = wasm.row(1, (out) =>
        wasm.x.sotto_wasm_session_next(this.#t.session, this.#t.sampler, out),
      );
      token = values[0];
      return result;
    });
    return this.#take(token);
  }

  /** The next token by logits, with what is to be told of its likelihood. */
  #sample(logits: Pointer): number {
    const { wasm, engine, codec } = this.#c;
    const { x } = wasm;
    const { sampler } = this.#t;
    const nTop = this.#message.logprobs ?? 0;
    const { values, result: token } = wasm.row(1, (out) => x.sotto_wasm_sampler_sample(sampler, logits, out));
    if (token < 0) wasm.fail(token, engine);
    const likeliest = wasm.row(2 * nTop, (out) =>
      nTop > 0 ? x.sotto_wasm_sampler_top(sampler, logits, nTop, out) : 0,
    );
    this.#logprobs.push({
      ...{ id: token, text: codec.shown(token), logprob: values[0] },
      top: Array.from({ length: likeliest.result }, (_, i) => {
        const [id, logprob] = likeliest.values.slice(2 * i);
        return { id, text: codec.shown(id), logprob };
      }),
    });
    x.sotto_wasm_sampler_accept(sampler, token);
    return this.#take(token);
  }

  #take(token: number): number {
    this.#hold(this.#prompt.length + this.#tokens.length, [token]);
    this.#tokens.push(token);
    return token;
  }

  /** The context is full in the middle of the answer: without more of the oldest turns it may go on. */
  #shorten(): boolean {
    const { prompt, drop } = this.#message;
    const capacity = this.#capacity;
    if (!drop) return false;
    const upTo = (share: number): Fitting | undefined =>
      refit(this.#c, prompt, capacity, Math.floor(capacity * share) - this.#tokens.length);
    const shorter = upTo(KEPT) ?? upTo(1 - ROOM);
    if (!shorter || shorter.ids.length >= this.#prompt.length) return false;
    this.#prompt = shorter.ids;
    this.#dropped = shorter.dropped;
    this.#hold(0, [...this.#prompt, ...this.#tokens]);
    this.#sync();
    this.#tellOverflow();
    return true;
  }

  #tellOverflow(): void {
    this.#c.platform.post({ type: 'overflow', id: this.#message.id, dropped: this.#dropped });
  }

  // ---- text ----

  /** Adds a token to the text; says whether a stop string ends it. */
  #push(token: number): boolean {
    const { p, size } = this.#c.codec.piece(token, false);
    return this.#add(p, size);
  }

  #add(p: Pointer, size: number): boolean {
    const { wasm } = this.#c;
    const { values, result } = wasm.row(2, (out) => wasm.x.sotto_wasm_text_stream_push(this.#t.stream, p, size, out));
    if (result < 0) throw new SottoError('memory', 'Memory ran out.');
    this.#waiting += wasm.text(values[0], values[1]);
    const now = performance.now();
    if (now - this.#posted >= POST_MS) this.#post(now);
    return result === 1;
  }

  #post(now: number): void {
    if (this.#waiting === '') return;
    this.#c.platform.post({ type: 'text', id: this.#message.id, text: this.#waiting });
    this.#text += this.#waiting;
    this.#waiting = '';
    this.#posted = now;
  }

  #finish(): void {
    this.#add(0, 0);
    this.#post(performance.now());
  }
}
