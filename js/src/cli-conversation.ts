// A conversation with a model, and its file.
//
//     {"model":"gemma-3-1b-it-Q4_0.gguf","messages":[
//     {"role":"system","content":"..."},
//     {"role":"user","content":"..."},
//     {"role":"assistant","content":"..."}
//     ]}
//
// A file may also be the array of messages alone.
import { FileError, Output, readInput } from './cli-common.js';
import type { Turn } from './protocol.js';

export class Conversation {
  /** What the model is told first; "": nothing. */
  system = '';
  /** What was said, the user's first, then by turns. */
  #said: string[] = [];
  /** The model sees what was said from here on: what came before did not fit in its context. */
  first = 0;

  get nTurns(): number {
    return this.#said.length;
  }

  get awaitsAnswer(): boolean {
    return this.#said.length % 2 === 1;
  }

  /** Of the user. */
  get lastMessage(): string {
    return this.#said[this.#said.length - (this.awaitsAnswer ? 1 : 2)];
  }

  /** Adds the turn that comes next. */
  add(content: string): void {
    this.#said.push(content);
  }

  /** Takes the last turn away. */
  drop(): void {
    this.#said.pop();
    if (this.first >= this.#said.length) this.first = 0; // what was left out comes back where there is room again
  }

  dropAnswer(): void {
    if (this.#said.length > 0 && !this.awaitsAnswer) this.drop();
  }

  clear(): void {
    this.#said = [];
    this.first = 0;
  }

  /** The system's turn, where there is one, and all from `first` on. */
  turns(first = 0): Turn[] {
    const system: Turn[] = this.system === '' ? [] : [{ role: 'system', content: this.system }];
    const said = this.#said.map((content, i): Turn => ({ role: i % 2 === 0 ? 'user' : 'assistant', content }));
    return [...system, ...said.slice(first)];
  }

  async save(file: string, model: string): Promise<void> {
    const messages = this.turns()
      .map((turn) => JSON.stringify(turn))
      .join(',\n');
    await using out = await Output.open(file);
    await out.write(`{"model":${JSON.stringify(model)},"messages":[\n${messages}${messages === '' ? '' : '\n'}]}\n`);
    await out.commit();
  }

  static async load(file: string): Promise<Conversation> {
    const text = (await readInput(file)).toString('utf8');
    const c = new Conversation();
    try {
      messagesOf(text).forEach((message, index) => c.#take(message, index));
    } catch (error) {
      throw new FileError(file, error);
    }
    return c;
  }

  #take(message: { role?: unknown; content?: unknown } | null, index: number): void {
    const { role, content } = message ?? {};
    if (typeof content !== 'string') throw new Error(`message ${index + 1} has no text as its "content"`);
    if (index === 0 && role === 'system') {
      this.system = content;
      return;
    }
    const due = this.awaitsAnswer ? 'assistant' : 'user';
    if ((role === 'model' ? 'assistant' : role) !== due)
      throw new Error(`message ${index + 1} has to be the ${due}'s: messages go by turns, "user" first`);
    this.add(content);
  }
}

function messagesOf(text: string): ({ role?: unknown; content?: unknown } | null)[] {
  let whole: { messages?: unknown } | unknown[] | null;
  try {
    whole = JSON.parse(text) as typeof whole;
  } catch {
    throw new Error('this is no conversation: it is no JSON text');
  }
  const messages = Array.isArray(whole) ? whole : whole?.messages;
  if (!Array.isArray(messages)) throw new Error('this is no conversation: it has no array of "messages"');
  return messages as ({ role?: unknown } | null)[];
}
