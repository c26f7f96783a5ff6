// In the page's audio thread: sound as it comes, its channels mixed to one, in pieces of about a tenth of a second.

declare class AudioWorkletProcessor {
  readonly port: { postMessage(message: Float32Array, transfer: ArrayBuffer[]): void };
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;
declare const sampleRate: number;

const PIECE = Math.round(sampleRate / 10);

class LiveProcessor extends AudioWorkletProcessor {
  #piece = new Float32Array(PIECE);
  #n = 0;

  process([channels]: Float32Array[][]): boolean {
    const length = channels[0]?.length ?? 0;
    for (let i = 0; i < length; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      this.#piece[this.#n++] = sum / channels.length;
      if (this.#n === PIECE) this.#send();
    }
    return true;
  }

  #send(): void {
    const piece = this.#piece;
    this.#piece = new Float32Array(PIECE);
    this.#n = 0;
    this.port.postMessage(piece, [piece.buffer as ArrayBuffer]);
  }
}

registerProcessor('sotto-live', LiveProcessor);
