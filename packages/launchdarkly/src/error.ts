// error.ts: the one error class of this package. Match on `code`, never on `message`.

/** A new code is a minor release, a changed meaning is a major one. */
export type LaunchDarklyErrorCode =
  /** An option cannot work: no SDK key, no SDK installed, an empty project. A bug in the configuration; not retryable. */
  | 'bad_configuration'
  /** An order without a reason, without a name, or with a target that does not fit its tier. A bug in the caller. */
  | 'bad_order'
  /** The access token is refused, or may not do this (401, 403). The message says which right is missing. */
  | 'unauthorized'
  /** The environment's settings ask for an approval (405). Nothing was changed; the message says what to do in the dashboard. */
  | 'approval_required'
  /** 429 for longer than the control's bound. Nothing was changed. Retryable. */
  | 'rate_limited'
  /** Somebody else changed the flag at the same moment, several times in a row (409). Nothing was changed. Retryable. */
  | 'conflict'
  /** The project has no such flag. Provision first. */
  | 'flag_missing'
  /** The flag is archived, is no boolean, or is in a shape in which the order means nothing. The message says what to change. */
  | 'flag_invalid'
  /** It was written, and reading it back did not confirm it. The flag as it is now at the vendor counts. */
  | 'not_confirmed'
  /** No answer, a 5xx, or an answer that is not LaunchDarkly's. Whether it was done is not known. Retryable; the cause says how. */
  | 'unreachable';

export class LaunchDarklyError extends Error {
  override readonly name = 'LaunchDarklyError';
  readonly code: LaunchDarklyErrorCode;
  constructor(code: LaunchDarklyErrorCode, message: string, options?: { cause?: unknown }) {
    super(`[${code}] ${message}`, options);
    this.code = code;
  }
  /** Works when two copies of this package are loaded, where `instanceof` does not. */
  static is(value: unknown): value is LaunchDarklyError {
    return value instanceof Error && value.name === 'LaunchDarklyError' && 'code' in value;
  }
}
