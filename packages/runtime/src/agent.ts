// agent.ts: a named piece of agent code. The name is what a crash leaves behind, so that another process can go on with it.

import type { Arrival } from './arrival.ts';
import type { Outcome } from './outcome.ts';
import type { Session } from './session.ts';

export interface RunOptions {
  /** Whom it works for: the subject of the user switch. */
  readonly userId?: string;
  /** The thread it belongs to; an instance switch that names it terminates each of its runs. */
  readonly conversationId?: string;
  /**
   * Takes up the work of a terminated session of the same agent: from its checkpoint, with the interrupted turn's journal and key scope, so
   * that what had happened is not done again and what is unknown rests until a person says (S6). A new session, and a new act.
   */
  readonly restartOf?: string;
  /**
   * Whom it works under in another process (`runtime.accept`): the run is a child of that session. Asked for again by the same call of it, the
   * run that there was is answered with. With `run` alone. `run` throws `root_settled`, `root_unknown`, `session_elsewhere`.
   */
  readonly parent?: Arrival;
}

export interface AgentOptions {
  /** What people call this version of its code; kept in the bundle of a session of it that is terminated. */
  readonly version?: string;
}

export interface AgentDefinition extends AgentOptions {
  readonly name: string;
  readonly body: (session: Session, input: never) => Promise<unknown>;
}

export interface Agent<Input, Result> {
  readonly name: string;
  /** Runs it to an outcome. Inside a session it is a child of that session (S2). Rejects on bad input only, never for a stop. */
  run(input: Input, options?: RunOptions): Promise<Outcome<Result>>;
  /** The same, with the session's id at once. */
  start(input: Input, options?: RunOptions): { readonly id: string; readonly outcome: Promise<Outcome<Result>> };
}
