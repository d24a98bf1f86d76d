// error.ts: the one error class of this package. Match on `code`, never on `message`. No message holds a token or a key.

/** A new code is a minor release, a changed meaning is a major one. */
export type GrowthBookErrorCode =
  /** An option cannot work: no host, a management secret as client key, a decryption key that is none. A bug in the configuration; not retryable. */
  | 'bad_configuration'
  /** 401, or 403 for another cause than an approval: the token is wrong, or may not do this. */
  | 'unauthorized'
  /** The organisation requires a review before this is published. Nothing was changed; the message says what to do in the dashboard. */
  | 'approval_required'
  /** 429 until the end of the time we may wait. Retryable; the message says when. */
  | 'rate_limited'
  /** Somebody else publishes faster than we could. Retryable. */
  | 'conflict'
  /** GrowthBook has no such feature or saved group. Provision first. */
  | 'flag_missing'
  /** The feature is no switch as it stands: wrong type, archived, environment off, a rule or prerequisite in the way. The message says what to change. */
  | 'flag_invalid'
  /** The flip was published, and reading it back did not confirm it. What the dashboard shows counts. */
  | 'not_confirmed'
  /** No answer, or a 5xx. Whether the flip was made is not known; read the switch before trying again. */
  | 'unreachable'
  /** Another refusal of the management API; the message has its words. */
  | 'refused'
  /** An order without a reason, without a name, or with a target that does not fit its tier. A bug in the caller. */
  | 'bad_order';

export class GrowthBookError extends Error {
  override readonly name = 'GrowthBookError';
  readonly code: GrowthBookErrorCode;
  constructor(code: GrowthBookErrorCode, message: string, options?: { cause?: unknown }) {
    super(`[${code}] ${message}`, options);
    this.code = code;
  }
  /** Works when two copies of this package are loaded, where `instanceof` does not. */
  static is(value: unknown): value is GrowthBookError {
    return value instanceof Error && value.name === 'GrowthBookError' && 'code' in value;
  }
}
