// error.ts: the one error class of core. Match on `code`, never on `message`.

/** A new code is a minor release, a changed meaning is a major one. */
export type OffswitchErrorCode =
  /** `defineKillSwitches` was given a declaration that cannot work: duplicate key, empty name, unknown field. A bug in the caller. */
  | 'invalid_declaration'
  /** The workflow is not declared. A bug in the caller; the message names the nearest declared one. */
  | 'unknown_workflow'
  /** The tier is not declared, or needs a subject that was not given. */
  | 'unknown_switch'
  /** A user, session or conversation id that no switch could ever name: empty, not a string, over 256 bytes, or with control characters. */
  | 'invalid_id';

export class OffswitchError extends Error {
  override readonly name = 'OffswitchError';
  readonly code: OffswitchErrorCode;
  constructor(code: OffswitchErrorCode, message: string, options?: { cause?: unknown }) {
    super(`[${code}] ${message}`, options);
    this.code = code;
  }
  /** Works when two copies of this package are loaded, where `instanceof` does not. */
  static is(value: unknown): value is OffswitchError {
    return value instanceof Error && value.name === 'OffswitchError' && 'code' in value;
  }
}
