// Two models side by side on the same tokens: how far the distributions of one are from those of the other.
//
//   model ─> rows [n, n_vocab] ─┐
//   base  ─> rows [n, n_vocab] ─┴─> perplexities, divergence, same likeliest token: sums over the tokens that are predicted

/** Sums over predictions. */
export class Comparison {
  readonly #nVocab: number;
  #nll = 0;
  #baseNll = 0;
  #divergence = 0;
  #same = 0;
  #n = 0;

  constructor(nVocab: number) {
    this.#nVocab = nVocab;
  }

  /** Logits [n, n_vocab] of both, and the tokens that come after each; there are none after the last token of a text. */
  add(model: Float32Array, base: Float32Array, next: readonly number[]): void {
    const width = this.#nVocab;
    for (let row = 0; row < model.length / width && row < next.length; row++) {
      const [a, b] = [model, base].map((logits) => distribution(logits.subarray(row * width, (row + 1) * width)));
      for (let i = 0; i < width; i++) {
        const logP = b.logits[i] - b.total;
        this.#divergence += Math.exp(logP) * (logP - (a.logits[i] - a.total));
      }
      this.#nll += a.total - a.logits[next[row]];
      this.#baseNll += b.total - b.logits[next[row]];
      this.#same += Number(a.likeliest === b.likeliest);
      this.#n++;
    }
  }

  /** One line, numbers to seven digits behind the point. */
  json(): string {
    const n = this.#n;
    const numbers = {
      perplexity: Math.exp(this.#nll / n),
      nll_by_token: this.#nll / n,
      base_perplexity: Math.exp(this.#baseNll / n),
      base_nll_by_token: this.#baseNll / n,
      divergence: this.#divergence / n,
      same_argmax: this.#same / n,
      n_tokens: n,
    };
    return JSON.stringify(numbers, (_, x) => (typeof x === 'number' ? Math.round(x * 1e7) / 1e7 : x)) + '\n';
  }

  text(): string {
    const n = this.#n;
    return [
      `perplexity     ${Math.exp(this.#nll / n).toFixed(4)}`,
      `of the base    ${Math.exp(this.#baseNll / n).toFixed(4)}`,
      `divergence     ${(this.#divergence / n).toFixed(6)}`,
      `same argmax    ${((100 * this.#same) / n).toFixed(3)} %\n`,
    ].join('\n');
  }
}

/** `total`: log of the sum of exponentials, which makes a log-probability of a logit. */
function distribution(logits: Float32Array): { logits: Float32Array; likeliest: number; total: number } {
  const likeliest = logits.reduce((best, x, i) => (x > logits[best] ? i : best), 0);
  const sum = logits.reduce((s, x) => s + Math.exp(x - logits[likeliest]), 0);
  return { logits, likeliest, total: logits[likeliest] + Math.log(sum) };
}

/** Evaluates one text, giving rows to `take`; `ready` is awaited before each part. */
type Evaluation = (take: (data: Float32Array) => void, ready: () => Promise<void>) => Promise<unknown>;

/**
 * Runs two evaluations of the same text, neither more than one part of rows ahead of the other. `both` gets the parts, which are of the same rows,
 * and the first row's place in the text.
 */
export async function sideBySide(
  a: Evaluation,
  b: Evaluation,
  both: (a: Float32Array, b: Float32Array, first: number) => void,
  width: number,
): Promise<void> {
  let first = 0;
  let failed: unknown;
  const parts: (Float32Array | undefined)[] = [undefined, undefined];
  const waiting: (() => void)[] = [];
  const wake = (): void => waiting.splice(0).forEach((go) => go());
  const run = (evaluation: Evaluation, own: 0 | 1): Promise<unknown> =>
    evaluation(
      (data) => {
        parts[own] = data;
        const [x, y] = parts;
        if (!x || !y) return;
        both(x, y, first);
        first += x.length / width;
        parts.fill(undefined);
        wake();
      },
      async () => {
        while (parts[own] && failed === undefined) await new Promise<void>((go) => waiting.push(go));
        if (failed !== undefined) throw failed;
      },
    ).catch((error: unknown) => {
      failed ??= error;
      wake();
      throw error;
    });
  const ends = await Promise.allSettled([run(a, 0), run(b, 1)]);
  if (ends.some(({ status }) => status === 'rejected')) throw failed;
}
