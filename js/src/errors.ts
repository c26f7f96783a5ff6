// What goes wrong, in one sentence and one word.

/**
 * - `argument`: a call that makes no sense
 * - `memory`: the device has not enough of it
 * - `format`: bytes that are not what they should be: foreign, corrupt, truncated
 * - `unsupported`: well-formed, but of a kind that is not known here
 * - `network`: a model could not be fetched
 * - `storage`: a file cannot be kept or written here: no room, no permission
 * - `environment`: this browser or Node cannot run the engine
 * - `gpu`: the GPU cannot be used, was lost, or refused work; the CPU can be used instead
 * - `context`: a conversation does not fit in the context of its LanguageModel
 * - `closed`: the Transcriber or LanguageModel was destroyed
 * - `internal`: the engine stopped; a fresh one is needed
 */
export type SottoErrorCode =
  'argument' | 'memory' | 'format' | 'unsupported' | 'network' | 'storage' | 'environment' | 'gpu' | 'context' | 'closed' | 'internal';

export class SottoError extends Error {
  override readonly name: string = 'SottoError';
  readonly code: SottoErrorCode;

  /** The module of the GPU is loaded by itself and has a class of its own: such errors count too. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this !== SottoError) return Function.prototype[Symbol.hasInstance].call(this, value);
    const named = value instanceof Error && ['SottoError', 'QuotaExceededError'].includes(value.name);
    return named && typeof (value as Partial<SottoError>).code === 'string'; // browsers have a QuotaExceededError, too
  }

  constructor(code: SottoErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Code `context`: what was said needs more tokens than the context has, even without all that was said before. */
export class QuotaExceededError extends SottoError {
  override readonly name = 'QuotaExceededError';
  /** Tokens that it needs. */
  readonly requested: number;
  /** Tokens that there are. */
  readonly quota: number;

  constructor(message: string, requested: number, quota: number) {
    super('context', message);
    this.requested = requested;
    this.quota = quota;
  }
}

/** The codes of sotto_status below zero. */
export function codeOfStatus(status: number): SottoErrorCode {
  const codes: Record<number, SottoErrorCode> = { [-1]: 'argument', [-2]: 'memory', [-3]: 'format', [-5]: 'gpu' };
  return codes[status] ?? 'unsupported';
}

export const abortError = (): DOMException => new DOMException('The operation was aborted.', 'AbortError');

export const notSupported = (message: string): DOMException => new DOMException(message, 'NotSupportedError');

/** An error as it travels between threads. */
export interface ErrorData {
  code: SottoErrorCode | 'abort';
  message: string;
  /** Of a QuotaExceededError: tokens that were needed, and that there are. */
  quota?: [requested: number, quota: number];
}

export function toErrorData(error: unknown): ErrorData {
  if (error instanceof QuotaExceededError)
    return { code: error.code, message: error.message, quota: [error.requested, error.quota] };
  if (error instanceof SottoError) return { code: error.code, message: error.message };
  if (error instanceof Error && error.name === 'AbortError') return { code: 'abort', message: error.message };
  if (error instanceof WebAssembly.RuntimeError) {
    return {
      code: 'internal',
      message: `The engine stopped (${error.message}); create a new Transcriber or LanguageModel.`,
    };
  }
  if (error instanceof RangeError && /memory|alloc|length/i.test(error.message)) {
    return { code: 'memory', message: 'Memory ran out; close other tabs or choose a smaller model.' };
  }
  return { code: 'internal', message: error instanceof Error ? error.message : String(error) };
}

export function fromErrorData(data: ErrorData): Error {
  if (data.code === 'abort') return abortError();
  return data.quota ? new QuotaExceededError(data.message, ...data.quota) : new SottoError(data.code, data.message);
}
