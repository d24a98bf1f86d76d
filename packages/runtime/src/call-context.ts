// call-context.ts: for adapters of frameworks: the governed call inside whose body we are, and its one child session.
//
// An agent that a tool starts without telling anybody is a child of that tool's call: its model calls are turns of a
// session of its own, whatever its author forwarded (S2, S9).

import { type Call, never } from './call.ts';
import { currentContext, runInContext } from './context.ts';
import { RuntimeError } from './error.ts';
import type { Grant, GrantRequest } from './grants/lent.ts';
import type { CallClass } from './journal.ts';
import type { LiveSession, Session } from './session.ts';

export interface CallContext {
  readonly session: Session;
  readonly name: string;
  /** What the call was declared to do. */
  readonly class: CallClass;
  /** A credential for this call; see `ToolContext.grant`. */
  grant(broker: string, request?: GrantRequest): Promise<Grant>;
  /**
   * The child session of this call, made at the first ask and found again after a crash. It lives as long as the call's body: it
   * has no code of its own to run again, so its parent's call must be declared to delegate.
   */
  child(agent: string): Session;
  /** Waits until the child may begin; never settles for one that may not. */
  ready(child: Session): Promise<void>;
  /** Runs code as the child. */
  runAs<R>(child: Session, body: () => R): R;
}

/** The session the running code belongs to, also when it has ended, so that an adapter can tell stopped from never governed. */
export function contextSession(): Session | undefined {
  return currentContext()?.session;
}

/** The call whose body the running code is; `undefined` outside of any, or directly in a session. */
export function currentCall(): CallContext | undefined {
  const call = currentContext()?.call;
  if (!call) return undefined;
  return {
    session: call.session,
    name: call.name,
    class: call.class,
    grant: (broker, request) => call.session.engine.grants.ask(call, broker, request),
    child: (agent) => childOf(call, agent),
    ready: (child) => ((child as LiveSession).isOver ? never() : (child as LiveSession).admitted()),
    runAs: (child, body) => runInContext(child as LiveSession, body),
  };
}

function childOf(call: Call, agent: string): LiveSession {
  if (call.childSession) return call.childSession;
  const { session } = call;
  if (call.outcome !== undefined || session.isOver) {
    throw new RuntimeError(
      'session_ended',
      `${call.name} of session ${session.id} has ended; ${agent} cannot be started inside it any more`,
    );
  }
  const child = session.engine.child(session, call, { agent, inline: true });
  // Another process has it: what is left here must not go on.
  if (!child) throw new Error(`session ${session.id} was taken over by another process`);
  // Born stopped, where a terminate came while this call was under way.
  child.mayGoOn();
  return child;
}
