// error.ts: the one error class of this package, of source and control. Match on `code`, never on `message`.

/** A new code is a minor release, a changed meaning is a major one. No message and no cause ever holds a token. */
export type UnleashSwitchErrorCode =
  /** An option cannot work: no URL, no token, limits that contradict each other. A bug in the configuration; not retryable. */
  | 'bad_configuration'
  /** Unleash refuses the token: wrong, expired, of the wrong type, or without the permission the message names. */
  | 'unauthorized'
  /** The environment is under change requests (enterprise edition). Nothing was changed; the message says what to do in the dashboard. */
  | 'approval_required'
  /** Unleash, or what stands before it, limits requests and would not take this one in time. Retryable. */
  | 'rate_limited'
  /** The flag environment holds as many strategies, and so stops, as it may. The message names the ways out. */
  | 'limit_reached'
  /** Others kept undoing the flip while it was made. Look at the flag. Retryable. */
  | 'conflict'
  /** Unleash has no such flag, or it is archived, or not in this project or environment. Provision first. */
  | 'flag_missing'
  /** The flag is of a shape this control does not edit; the message says what to change by hand. */
  | 'flag_invalid'
  /** The flip was written, and reading it back did not confirm it. What the dashboard shows counts. */
  | 'not_confirmed'
  /** Unleash did not answer, or not as Unleash does. Whether a write arrived is not known; reading tells. Retryable. */
  | 'unreachable'
  /** An order without a reason, without a name, or with a target that its tier does not have or Unleash cannot hold. A bug in the caller. */
  | 'bad_order';

export class UnleashSwitchError extends Error {
  override readonly name = 'UnleashSwitchError';
  readonly code: UnleashSwitchErrorCode;
  constructor(code: UnleashSwitchErrorCode, message: string, options?: { cause?: unknown }) {
    super(`[${code}] ${message}`, options);
    this.code = code;
  }
  /** Works when two copies of this package are loaded, where `instanceof` does not. */
  static is(value: unknown): value is UnleashSwitchError {
    return value instanceof Error && value.name === 'UnleashSwitchError' && 'code' in value;
  }
}
