// spawn.ts: a sub-agent, its session a child of the caller's: path extended, born stopped if stopped (I2).

import type { AgentDefinition } from './agent.ts';
import { type Call, never } from './call.ts';
import { RuntimeError } from './error.ts';
import type { Outcome } from './outcome.ts';
import type { LiveSession } from './session.ts';

export interface AttachOptions {
  readonly userId?: string;
  /** Of a run without a name: its code, which no other process has, and its workflow. */
  readonly definition?: AgentDefinition;
  readonly workflow?: string;
  /** Started with `run`, for which a failure is an outcome. */
  readonly isRun?: boolean;
}

/** Starts the child of this call, or finds it again after a park or a crash, and waits for it. */
export async function attach(call: Call, agent: string, input: unknown, options?: AttachOptions): Promise<Outcome> {
  const { session, turn } = call;
  const { engine } = session;
  const definition = options?.definition ?? engine.definition(agent);
  if (!definition)
    throw new RuntimeError(
      'agent_not_registered',
      `the agent ${JSON.stringify(agent)} is not defined in this process; call runtime.agent(${JSON.stringify(agent)}, ...) first`,
    );
  session.track(call);
  const before = turn.replay?.get(call.key);
  if (before) {
    turn.replay!.delete(call.key);
    call.savedId = before.id;
    call.childId = before.child;
    call.inheritsChild = before.inheritsChild;
    // A restart writes the intent again, with the child that takes up the old one's work.
    call.isKnown = before.child !== undefined || before.inheritsChild === undefined;
    if (before.outcome === 'failed' && before.child === undefined && before.inheritsChild === undefined) {
      call.error = before.error;
      session.answer(call, 'failed', undefined);
      throw new Error(before.error);
    }
  }
  await session.passCall(call);
  let child: LiveSession | undefined;
  try {
    child = engine.child(session, call, {
      agent,
      definition,
      input,
      ...(options?.userId === undefined ? {} : { userId: options.userId }),
      ...(options?.workflow === undefined ? {} : { workflow: options.workflow }),
    });
  } catch (error) {
    // Refused before there was a child: the call has ended, and its turn must not wait for it.
    session.failCall(call, error);
    throw error;
  }
  if (!child) return never();
  const outcome = await child.final;
  if (session.isOver) return never();
  if (outcome.status === 'failed') {
    const deliver = session.failCall(call, outcome.error);
    if (!deliver) return never();
    if (options?.isRun) return outcome;
    throw outcome.error;
  }
  // The child's own record holds its result; the call's end only says that there is one.
  return session.completeCall(call, undefined) ? outcome : never();
}
