// failure.ts: how a command ends, as scripts see it.

/** The exit codes. A pin: scripts branch on them. */
export const exit = {
  ok: 0,
  /** An error, or refused by the file or a process. */
  failed: 1,
  /** The command line itself is wrong: unknown workflow, missing reason, unknown option. */
  usage: 2,
  /** Nothing was done, because nobody said yes. */
  notConfirmed: 3,
  /**
   * It was done and is recorded, but a running process has not confirmed it in time, or the session to stop is nobody's, or the id is known
   * as that of a conversation where a session was named (or the reverse), or whom a release was to let go on another stop of the same reach
   * still holds. Of a release of a conversation: nothing was released, because a running process does not answer (`sessions_unknown`).
   */
  unconfirmed: 4,
} as const;
export type ExitCode = (typeof exit)[keyof typeof exit];

/** What went wrong and the way out, in words for the person at the terminal. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly code: string;
  readonly exitCode: ExitCode;
  constructor(code: string, message: string, exitCode: ExitCode = exit.failed, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.exitCode = exitCode;
  }
}

/** Any thrown thing as code, message and exit code; never a stack trace. */
export function failureOf(error: unknown): { readonly code: string; readonly message: string; readonly exitCode: ExitCode } {
  if (error instanceof CommandError) return { code: error.code, message: error.message, exitCode: error.exitCode };
  if (!(error instanceof Error)) return { code: 'internal', message: String(error), exitCode: exit.failed };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'internal';
  const isUsage = code === 'unknown_workflow' || code === 'unknown_switch' || code === 'invalid_id' || code === 'bad_order';
  return { code, message: error.message.replace(/^\[[\w-]+\] /, ''), exitCode: isUsage ? exit.usage : exit.failed };
}
