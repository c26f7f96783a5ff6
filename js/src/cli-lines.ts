// Messages typed by a person, or lines of standard input.
//
//     terminal ─> readline: cursor keys, history, Tab ─┐
//     pipe, file ─> a line ────────────────────────────┴─> lines that belong together ─> message
//
// A line that ends with a backslash goes on in the next one; lines between """ and """ belong together, and so do lines pasted at once.
import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { createInterface, type Interface } from 'node:readline/promises';

const MOST_ENTRIES = 1000;
/** Nobody types the next line this fast, in ms. */
const PASTE_MS = 20;
const PROMPT = '> ';
const CONTINUED = '. ';
const MARKS = '"""';

/** What there is instead of a line: Ctrl-C, or the end of the input. */
export type LineEnd = 'interrupted' | 'end';
export type Line = { text: string } | LineEnd;

/** Where lines come from. */
interface Source {
  read(prompt: string, initial: string): Promise<Line>;
  /** Whether more came at once with the line before. */
  pasted(): Promise<boolean>;
  remember(message: string): void;
  /** While something else goes on: Ctrl-C is a signal then. */
  rest(): void;
  close(): void;
}

// ---- a pipe or a file ----

class PlainSource implements Source {
  readonly #pieces: AsyncIterator<string>;
  readonly #interrupted: Promise<Line>;
  #held = '';
  #ended = false;

  constructor(signal: AbortSignal) {
    this.#pieces = process.stdin.setEncoding('utf8')[Symbol.asyncIterator]() as AsyncIterator<string>;
    this.#interrupted = new Promise((resolve) => signal.addEventListener('abort', () => resolve('interrupted')));
  }

  read(): Promise<Line> {
    return Promise.race([this.#line(), this.#interrupted]);
  }

  async #line(): Promise<Line> {
    for (;;) {
      const at = this.#held.indexOf('\n');
      if (at < 0 && !this.#ended) {
        const { done, value } = await this.#pieces.next();
        if (done) this.#ended = true;
        else this.#held += value;
        continue;
      }
      if (this.#held === '') return 'end';
      const text = at < 0 ? this.#held : this.#held.slice(0, at);
      this.#held = at < 0 ? '' : this.#held.slice(at + 1);
      return { text: text.replace(/\r$/, '') };
    }
  }

  pasted = async (): Promise<boolean> => false;
  remember(): void {}
  rest(): void {}
  close(): void {
    process.stdin.destroy();
  }
}

// ---- a terminal ----

/** Messages of this and earlier chats in a file, one a line, newlines as \n: as the native command keeps them. */
class History {
  readonly #file: string | undefined;
  /** The newest first. */
  readonly entries: string[] = [];

  constructor(file: string | undefined) {
    this.#file = file;
    if (file === undefined) return;
    mkdirSync(path.dirname(path.resolve(file)), { recursive: true, mode: 0o700 });
    let lines: string[];
    try {
      lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
    } catch {
      return; // there is none yet
    }
    const newest = lines.slice(-MOST_ENTRIES);
    this.entries = newest.map((line) =>
      line.replace(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c === 'r' ? '\r' : c)),
    );
    this.entries.reverse();
    if (lines.length > 2 * MOST_ENTRIES) this.#replace(newest);
  }

  #replace(lines: string[]): void {
    const temporary = `${this.#file}.${process.pid}.tmp`;
    try {
      writeFileSync(temporary, lines.join('\n') + '\n', { flag: 'wx', mode: 0o600 });
      renameSync(temporary, this.#file!);
    } catch {
      rmSync(temporary, { force: true }); // the long one will do
    }
  }

  add(entry: string): void {
    if (entry === this.entries[0]) return;
    this.entries.unshift(entry);
    this.entries.splice(MOST_ENTRIES);
    if (this.#file === undefined) return;
    const escaped = entry.replace(/[\\\n\r]/g, (c) => (c === '\n' ? '\\n' : c === '\r' ? '\\r' : '\\\\'));
    try {
      appendFileSync(this.#file, escaped + '\n', { mode: 0o600 });
    } catch {
      // a history that cannot be kept is no reason to stop
    }
  }
}

class TerminalSource implements Source {
  readonly #history: History;
  readonly #rl: Interface;
  /** readline's own list, of which the documentation says that it can be changed. */
  #recalled: string[];
  /** Lines that came before they were wanted. */
  readonly #lines: string[] = [];
  #waiting: ((line: Line) => void) | undefined;
  #closed = false;

  constructor(history: string | undefined, words: readonly string[]) {
    this.#history = new History(history);
    this.#recalled = [...this.#history.entries];
    this.#rl = createInterface({
      ...{ input: process.stdin, output: process.stdout, terminal: true },
      ...{ history: this.#recalled, historySize: MOST_ENTRIES + 2 },
      completer: (line: string): [string[], string] => [
        line.startsWith('/') ? words.filter((word) => word.startsWith(line)) : [],
        line,
      ],
    });
    // A message of several lines comes with carriage returns between them from Node 24 on.
    this.#rl.on('line', (text) => this.#give({ text: text.replaceAll('\r', '\n') }));
    this.#rl.on('SIGINT', () => this.#give('interrupted'));
    this.#rl.on('close', () => {
      this.#closed = true;
      this.#give('end');
    });
    this.#rl.on('history', (list) => {
      this.#recalled = list;
      this.#recall(); // messages are remembered, not the lines that readline adds of its own
    });
    this.rest();
  }

  /** What the cursor keys go through: `newest`, where it is not "", before the messages. */
  #recall(newest = ''): void {
    this.#recalled.splice(0, this.#recalled.length, ...(newest === '' ? [] : [newest]), ...this.#history.entries);
  }

  #give(line: Line): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) waiting(line);
    else if (typeof line === 'object') this.#lines.push(line.text);
  }

  async read(prompt: string, initial: string): Promise<Line> {
    const ready = this.#lines.shift();
    if (ready !== undefined) return { text: ready };
    if (this.#closed) return 'end';
    const line = new Promise<Line>((resolve) => (this.#waiting = resolve));
    process.stdin.setRawMode(true);
    this.#rl.setPrompt(prompt);
    this.#rl.prompt(true); // resumes too; what was typed meanwhile stays
    if (initial !== '') {
      this.#recall(initial);
      this.#rl.write(null, { name: 'up' });
    }
    const found = await line;
    this.#recall();
    if (found === 'interrupted') {
      this.#rl.write(null, { ctrl: true, name: 'e' });
      this.#rl.write(null, { ctrl: true, name: 'u' });
    }
    if (typeof found === 'string') process.stdout.write('\n');
    return found;
  }

  async pasted(): Promise<boolean> {
    const more = (): boolean => this.#lines.length > 0 || this.#rl.line !== '';
    if (!more()) await new Promise((resolve) => setTimeout(resolve, PASTE_MS));
    return more();
  }

  remember(message: string): void {
    if (message.trim() === '') return;
    this.#history.add(message);
    this.#recall();
  }

  rest(): void {
    if (this.#closed) return;
    this.#rl.pause();
    process.stdin.setRawMode(false);
  }

  close(): void {
    this.#rl.close();
  }
}

// ---- messages ----

export interface MessagesOptions {
  /** A file; "": the default one; undefined: none is kept. */
  history: string | undefined;
  /** What Tab completes at the start of a line. */
  words: readonly string[];
  /** Ends the reading of a pipe. */
  signal: AbortSignal;
}

/** sotto/chat_history in $XDG_STATE_HOME or ~/.local/state. */
function defaultHistory(): string {
  const state = process.env['XDG_STATE_HOME'] ?? '';
  return path.join(state.startsWith('/') ? state : path.join(homedir(), '.local/state'), 'sotto/chat_history');
}

export class Messages {
  /** Standard input and output are a terminal that can be edited on. */
  readonly onTerminal: boolean = process.stdin.isTTY && process.stdout.isTTY && process.env['TERM'] !== 'dumb';
  readonly #source: Source;

  constructor({ history, words, signal }: MessagesOptions) {
    const file = history === '' ? defaultHistory() : history;
    this.#source = this.onTerminal ? new TerminalSource(file, words) : new PlainSource(signal);
  }

  /** Reads one message. `initial` is there to be edited, on a terminal. */
  async read(initial = ''): Promise<Line> {
    try {
      return await this.#read(initial);
    } finally {
      this.#source.rest();
    }
  }

  async #read(initial: string): Promise<Line> {
    const source = this.#source;
    const line = await source.read(PROMPT, initial);
    if (typeof line === 'string') return line;
    let { text } = line;
    if (text.startsWith(MARKS)) return this.#block(text.slice(MARKS.length));
    for (;;) {
      if (text.endsWith('\\')) text = text.slice(0, -1) + '\n';
      else if (await source.pasted()) text += '\n';
      else return { text };
      const next = await source.read(CONTINUED, '');
      if (next === 'interrupted') return next;
      if (next === 'end') return { text };
      text += next.text;
    }
  }

  /** The lines after one that begins with """, up to one that ends so. */
  async #block(text: string): Promise<Line> {
    for (let last = text; !last.endsWith(MARKS);) {
      const next = await this.#source.read(CONTINUED, '');
      if (next === 'interrupted') return next;
      if (next === 'end') return { text: text.replace(/^\n/, '') }; // what there is counts
      last = next.text;
      text += '\n' + last;
    }
    return { text: text.slice(0, -MARKS.length).replace(/\n$/, '').replace(/^\n/, '') };
  }

  remember(message: string): void {
    this.#source.remember(message);
  }

  close(): void {
    this.#source.close();
  }
}
