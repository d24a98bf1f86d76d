// documents-error.ts: the one error class of the example's documents and tools.

/** Match on `code`, never on `message`. */
export type StudioErrorCode =
  /** The folder is missing, unreadable, or holds nothing that can be used. Name another with `--input`. */
  | 'no_documents'
  /** A file is a resume or an advert, but a field is not what the schema says; the message names file and field. */
  | 'invalid_document'
  /** Two files claim the same id (ids that differ in case only count as the same: they would share an output folder). */
  | 'duplicate_id'
  /** A tool was asked for a document, section, advert or draft that does not exist. */
  | 'not_found'
  /** A tool's input is not what its schema says, or names a place outside the output folder. */
  | 'invalid_input'
  /** Another process runs on the same state folder. End it, or name other folders with `--studio` and `--state`. */
  | 'in_use'
  /** A sub-agent in another process could not be reached for a minute, failed, or was stopped; the message says which. */
  | 'delegation_failed'
  /** A process that runs sub-agents dies before it has opened. What it printed says why. */
  | 'worker_failed'
  /** A vendor's server, Redis or the mail server could not be brought up on this machine; the message has its last words. */
  | 'local_failed'
  /** The mail server did not take a letter: its token is missing, revoked or not for sending. Nothing was sent. */
  | 'mail_refused'
  /** The output folder or the outbox could not be written. The cause is the system's own error. */
  | 'write_failed';

/** `write_failed`, with the system's own word for it and the way out. */
export function writeFailed(what: string, cause: unknown): StudioError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
  const wayOut =
    code === 'ENOSPC' || code === 'EDQUOT'
      ? 'the disk is full: free some space, then start again; what was done is kept and not done twice'
      : `${code}: make it writable, or name other folders with --studio, --output and --state; then start again`;
  return new StudioError('write_failed', `could not write ${what} (${wayOut})`, { cause });
}

export class StudioError extends Error {
  override readonly name = 'StudioError';
  readonly code: StudioErrorCode;
  constructor(code: StudioErrorCode, message: string, options?: { cause?: unknown }) {
    super(`[${code}] ${message}`, options);
    this.code = code;
  }
  /** Works when two copies of this module are loaded, where `instanceof` does not. */
  static is(value: unknown): value is StudioError {
    return value instanceof Error && value.name === 'StudioError' && 'code' in value;
  }
}
