// Errors as OpenAI's clients have them: a class for each status, with `status`, `code`, `param` and `type`.
import type { SottoErrorCode } from './index.js';

export class APIError extends Error {
  override readonly name: string = 'APIError';
  readonly status: number | undefined;
  readonly code: string | null;
  readonly param: string | null;
  readonly type: string | undefined;

  constructor(status: number | undefined, message: string, { code = null, param = null, cause }: Details = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.status = status;
    this.code = code;
    this.param = param;
    this.type = status === undefined ? undefined : status >= 500 ? 'server_error' : 'invalid_request_error';
  }
}

interface Details {
  code?: string | null;
  param?: string | null;
  cause?: unknown;
}

export class BadRequestError extends APIError {
  override readonly name = 'BadRequestError';
}

export class NotFoundError extends APIError {
  override readonly name = 'NotFoundError';
}

export class InternalServerError extends APIError {
  override readonly name = 'InternalServerError';
}

export class APIConnectionError extends APIError {
  override readonly name: string = 'APIConnectionError';
}

export class APIUserAbortError extends APIError {
  override readonly name = 'APIUserAbortError';
}

export const wrong = (param: string, what: string): BadRequestError =>
  new BadRequestError(400, `'${param}' ${what}`, { param });

const CALLERS: readonly SottoErrorCode[] = ['argument', 'format', 'unsupported', 'context'];

/** An error of the engine as one of these. */
export function toAPIError(error: unknown): APIError {
  if (error instanceof APIError) return error;
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const code = (error as { code?: SottoErrorCode }).code;
  if (name === 'AbortError' || name === 'TimeoutError') return new APIUserAbortError(undefined, 'Request was aborted.', { cause: error });
  if (code === 'network') return new APIConnectionError(undefined, message, { code, cause: error });
  if (code === 'context')
    return new BadRequestError(400, message, { code: 'context_length_exceeded', param: 'messages', cause: error });
  if (name === 'NotSupportedError' || (code && CALLERS.includes(code)))
    return new BadRequestError(400, message, { code: code ?? null, cause: error });
  return new InternalServerError(500, message, { code: code ?? null, cause: error });
}
