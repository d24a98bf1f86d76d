// error.ts: the one error class of the runtime. Match on `code`, never on `message`.
//
// Being stopped is no error: it is an outcome. These are bugs of the caller, or faults of the machine that the runtime
// has already answered by holding.

/** A new code is a minor release, a changed meaning is a major one. */
export type RuntimeErrorCode =
  /** The agent name is not defined in this process: define it with `runtime.agent` before running or resuming. */
  | 'agent_not_registered'
  /** `runtime.agent` was called twice with one name. */
  | 'agent_already_registered'
  /** Nobody knows this session: never started here, or its graph was cleared away. */
  | 'unknown_session'
  /** What a call of another process started before is run by a third one, which lives: ask there. Retryable once that one is gone. */
  | 'session_elsewhere'
  /** No call of that id waits for a person in that session. */
  | 'unknown_call'
  /** No stop of that id is in force. */
  | 'unknown_stop'
  /** The session was terminated or has ended; going on is a new run. */
  | 'session_ended'
  /** A turn, or something handed out by it, was used after it ended. */
  | 'turn_ended'
  /** A release that is not to be had: a live reading still says engaged, or the session is terminated. */
  | 'release_refused'
  /** Input, result, state or a tool's value cannot be written as JSON; without that it cannot be resumed. */
  | 'not_serialisable'
  /** `detach` where the workflow does not declare `mayDetach`. */
  | 'detach_not_declared'
  /** A duplicate explicit key within one turn: two calls would be one after a crash. */
  | 'duplicate_call_key'
  /** The state folder failed or is damaged. Everything is held; the message names the file and the way out. */
  | 'store_failed'
  /** A path that arrived does not carry the signature of its segments: edited, shortened, spliced, or signed with a key nobody here knows. */
  | 'path_forged'
  /** A path that arrived was sealed to be good until a time that is past. The sender carries it anew; a receiver with a wrong clock sees it too. */
  | 'path_expired'
  /** A path deeper than 64 sessions, or longer on the wire than the limits of docs/lineage.md. */
  | 'path_too_long'
  /** Something stands where a path is carried, and it is none: garbage, two of them, another version. Never read as "no path". */
  | 'path_malformed'
  /** Nothing stands where a path must be: the caller does not carry, or something on the way took it off. */
  | 'path_missing'
  /** A path is to be signed or verified, and this process was given no keys: set `OFFSWITCH_PATH_KEYS`. */
  | 'path_keys_missing'
  /** A path that is signed well, of a root that the store does not know: another store, or a graph that was cleared away. */
  | 'root_unknown'
  /** A path that is signed well, of a graph that has ended: nothing starts in it any more. */
  | 'root_settled'
  /** The broker lent no credential: it refused, or could not be reached; the message has its words. Retryable where the broker is. */
  | 'grant_failed'
  /** The runtime was closed. */
  | 'closed'
  /** An option or order that cannot be meant. */
  | 'invalid_option';

export class RuntimeError extends Error {
  override readonly name = 'RuntimeError';
  readonly code: RuntimeErrorCode;
  constructor(code: RuntimeErrorCode, message: string, options?: { cause?: unknown }) {
    super(`[${code}] ${message}`, options);
    this.code = code;
  }
  /** Works when two copies of this package are loaded, where `instanceof` does not. */
  static is(value: unknown): value is RuntimeError {
    return value instanceof Error && value.name === 'RuntimeError' && 'code' in value;
  }
}
