// error.ts: the one error class of this package. Match on `code`, never on `message`.

import type { Stopped } from '@offswitch/core';

/** A new code is a minor release, a changed meaning is a major one. */
export type AiSdkErrorCode =
  /** A governed model or tool was used outside of every session. Run the agent inside `runtime.agent(...)` or `runtime.run(...)`; it is never run ungoverned. */
  | 'ungoverned'
  /** Not a language model object of specification v3 or v4: a gateway id as a string, or a model of an older major. */
  | 'unsupported_model'
  /** `effects` or `delegates` names a tool that is not there, so that its declaration would silently not apply. */
  | 'unknown_tool'
  /** The session goes on from a checkpoint, and its agent began from scratch: pass `messagesOf(session) ?? messages`. Refused, since it would do its effects again. */
  | 'not_resumed'
  /** The session was stopped or parked while a stream was open; `decision` says by what. Seen by consumers of streams only. */
  | 'stopped';

export class AiSdkError extends Error {
  override readonly name = 'AiSdkError';
  readonly code: AiSdkErrorCode;
  /** Set for `stopped`. */
  readonly decision: Stopped | undefined;
  constructor(code: AiSdkErrorCode, message: string, options?: { cause?: unknown; decision?: Stopped }) {
    super(`[${code}] ${message}`, options);
    this.code = code;
    this.decision = options?.decision;
  }
  /** Works when two copies of this package are loaded, where `instanceof` does not. */
  static is(value: unknown): value is AiSdkError {
    return value instanceof Error && value.name === 'AiSdkError' && 'code' in value;
  }
}
