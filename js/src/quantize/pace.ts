// How fast it goes, lately, without the time of pauses.

/** What came longer ago says little of the rest. */
const WINDOW_MS = 8000;
/** Before that, a guess would be wild. */
const LEAST_MS = 300;

export class Pace {
  #marks: { ms: number; bytes: number }[] = [];
  #pausedAt: number | undefined;

  start(bytes: number): void {
    this.#marks = [{ ms: performance.now(), bytes }];
  }

  pause(paused: boolean): void {
    const now = performance.now();
    if (paused) this.#pausedAt ??= now;
    else if (this.#pausedAt !== undefined) {
      const gone = now - this.#pausedAt;
      this.#marks = this.#marks.map(({ ms, bytes }) => ({ ms: ms + gone, bytes }));
      this.#pausedAt = undefined;
    }
  }

  at(bytes: number, total: number): { bytesPerSecond: number; secondsLeft: number | undefined } {
    const ms = performance.now();
    this.#marks.push({ ms, bytes });
    while (this.#marks.length > 2 && this.#marks[1].ms < ms - WINDOW_MS) this.#marks.shift();
    const [first] = this.#marks;
    if (ms - first.ms < LEAST_MS) return { bytesPerSecond: 0, secondsLeft: undefined };
    const bytesPerSecond = ((bytes - first.bytes) / (ms - first.ms)) * 1e3;
    return { bytesPerSecond, secondsLeft: bytesPerSecond > 0 ? (total - bytes) / bytesPerSecond : undefined };
  }
}
