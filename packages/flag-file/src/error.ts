// error.ts: the one error class of this package. Match on `code`, never on `message`.

/** A new code is a minor release, a changed meaning is a major one. */
export type FlagFileErrorCode =
  /** The path or an option cannot work: empty path, a directory, a device. A bug in the configuration; not retryable. */
  | 'bad_configuration'
  /** The file is missing or cannot be read or written. The cause says which; provisioning creates a missing file. */
  | 'file_unavailable'
  /** The file does not parse, or is larger than `maxBytes`. Nothing is written over it. The message names line, column and way out. */
  | 'file_invalid'
  /** The flag of this switch has a lint error, is disabled, or is on for everybody. The message says what to change. */
  | 'flag_invalid'
  /** The flag of this switch is not in the file. Provision first. */
  | 'flag_missing'
  /** The flag's targeting was written by hand in a shape that is not ours. Nothing is changed; the message says what to do. */
  | 'hand_written_rule'
  /** An order without a reason, without a name, or with a target that does not fit its tier. A bug in the caller. */
  | 'bad_order'
  /** Another process holds the lock file. Retryable; the message names the holder and the way out. */
  | 'locked'
  /** Somebody edits the file faster than we could write it. Nothing was written. Retryable. */
  | 'concurrent_edit'
  /** The flip was written, and reading it back did not confirm it. The file as it is now counts. */
  | 'not_confirmed';

export class FlagFileError extends Error {
  override readonly name = 'FlagFileError';
  readonly code: FlagFileErrorCode;
  constructor(code: FlagFileErrorCode, message: string, options?: { cause?: unknown }) {
    super(`[${code}] ${message}`, options);
    this.code = code;
  }
  /** Works when two copies of this package are loaded, where `instanceof` does not. */
  static is(value: unknown): value is FlagFileError {
    return value instanceof Error && value.name === 'FlagFileError' && 'code' in value;
  }
}
