// answer.ts: what an authorization server meant by an error: no for good, not now, or nothing that can be told.

import { ClientError, ResponseBodyError } from 'openid-client';

export interface ServerAnswer {
  /** The server understood and said no: nothing happened there. Otherwise it is not known what did. */
  readonly isRefusal: boolean;
  /** There was no connection, so nothing was asked. */
  readonly isUnsent?: boolean;
  /** RFC 6749 section 5.2, RFC 7009 section 2.2.1. */
  readonly error?: string;
  readonly why: string;
  readonly retryAfterMs?: number;
}

/** `now`: epoch milliseconds, for a Retry-After that names a date. */
export function answerOf(error: unknown, now: number): ServerAnswer {
  if (error instanceof ResponseBodyError) {
    const { status, response } = error;
    const words = error.error_description === undefined ? error.error : `${error.error}: ${error.error_description}`;
    // RFC 6749 section 5.2: "temporarily_unavailable" and "server_error" say that it may be otherwise in a while.
    const isRefusal = status < 500 && status !== 429 && !['server_error', 'temporarily_unavailable'].includes(error.error);
    return { isRefusal, error: error.error, why: `HTTP ${status}, ${words}`, ...waitOf(response, now) };
  }
  // openid-client gives the response as the cause where it holds no OAuth error.
  if (error instanceof ClientError && error.cause instanceof Response) {
    const { status } = error.cause;
    return {
      isRefusal: status >= 400 && status < 500 && status !== 429 && status !== 408,
      why: `HTTP ${status}`,
      ...waitOf(error.cause, now),
    };
  }
  const words = error instanceof Error ? error.message : String(error);
  const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return { isRefusal: false, isUnsent: isUnsent(error), why: `${words}${cause}` };
}

/** Node's codes (errors of `net` and `dns`) for what fails before a connection is there. */
function isUnsent(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause)
    if ('code' in at && ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN'].includes(String(at.code))) return true;
  return false;
}

/** RFC 9110 section 10.2.3: seconds, or a date. */
function waitOf(response: Response, now: number): { readonly retryAfterMs?: number } {
  const text = response.headers.get('retry-after')?.trim();
  if (!text) return {};
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isFinite(ms) && ms > 0 ? { retryAfterMs: ms } : {};
}
