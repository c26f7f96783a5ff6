/* Text aloud, a sentence as soon as it is whole, by the voices of this device alone: those of a network would send it the text. */

const END = /^[^]*?[.!?…。！？]+["'”’)\]]*(?=\s)|^[^]*?\n/;

export class Speaker {
  #text = '';
  #pending = 0;
  readonly #language: string;
  /** Told when all that was given has been spoken. */
  readonly #onIdle: () => void;
  #ended = false;

  constructor(language: string, onIdle: () => void) {
    this.#language = language;
    this.#onIdle = onIdle;
  }

  /** Whether this device has a voice of its own. */
  static get canSpeak(): boolean {
    return 'speechSynthesis' in window && speechSynthesis.getVoices().some((voice) => voice.localService);
  }

  add(piece: string): void {
    this.#text += piece;
    for (let match; (match = END.exec(this.#text)); ) {
      this.#text = this.#text.slice(match[0].length);
      this.#say(match[0]);
    }
  }

  /** No more text comes. */
  end(): void {
    this.#say(this.#text);
    this.#text = '';
    this.#ended = true;
    if (this.#pending === 0) this.#onIdle();
  }

  /** Says nothing more. */
  cancel(): void {
    this.#ended = false;
    this.#text = '';
    if (this.#pending > 0) speechSynthesis.cancel();
  }

  #say(sentence: string): void {
    const text = sentence.trim();
    if (text === '' || !Speaker.canSpeak) return;
    const said = new SpeechSynthesisUtterance(text);
    const own = speechSynthesis.getVoices().filter((voice) => voice.localService);
    said.voice = own.find(({ lang }) => lang.startsWith(this.#language)) ?? own.find((voice) => voice.default) ?? own[0]!;
    said.onend = said.onerror = () => {
      if (--this.#pending === 0 && this.#ended) this.#onIdle();
    };
    this.#pending++;
    speechSynthesis.speak(said);
  }
}
