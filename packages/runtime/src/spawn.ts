// spawn.ts: a sub-agent, its session a child of the caller's: path extended, born stopped if stopped (I2).

import type { AgentDefinition } from './agent.ts';
import { type Call, never } from './call.ts';
import { RuntimeError } from './error.ts';
import { isPause } from './loose.ts';
import type { Outcome, PausedChild } from './outcome.ts';
import type { LiveSession } from './session.ts';
import { snapshot } from './snapshot.ts';

export interface AttachOptions {
  readonly userId?: string;
  /** Of a run without a name: its code, which no other process has, and its workflow. */
  readonly definition?: AgentDefinition;
  readonly workflow?: string;
  /** Started with `run`, for which a failure is an outcome. */
  readonly isRun?: boolean;
  readonly ifHeld?: 'wait' | 'value';
}

/** Starts the child of this call, or finds it again after a park or a crash, and waits for it. */
export async function attach(call: Call, agent: string, input: unknown, options?: AttachOptions): Promise<Outcome | PausedChild> {
  const { session, turn } = call;
  const { engine } = session;
  const definition = options?.definition ?? engine.definition(agent);
  if (!definition)
    throw new RuntimeError(
      'agent_not_registered',
      `the agent ${JSON.stringify(agent)} is not defined in this process; call runtime.agent(${JSON.stringify(agent)}, ...) first`,
    );
  if (options?.ifHeld === 'value' && session.saved.record.inline)
    throw new RuntimeError(
      'invalid_option',
      `${session.id} lives inside a call of its parent and ends with it, so it can have no sub-agent that goes on; spawn ${agent} without ifHeld`,
    );
  session.track(call);
  const before = turn.replay?.get(call.key);
  if (before) {
    turn.replay!.delete(call.key);
    call.savedId = before.id;
    call.childId = before.child;
    call.inheritsChild = before.inheritsChild;
    // A restart writes the intent again, with the child that takes up the old one's work.
    call.isKnown = before.child !== undefined || (before.inheritsChild === undefined && before.outcome !== 'not-sent');
    if (before.child !== undefined && isPause(before.value)) {
      // The child was found again with its parent, and is nothing to this spawn any more.
      session.answer(call, 'completed', before.value);
      return session.mayGoOn() ? (snapshot(agent, before.value) as PausedChild) : never();
    }
    if (before.outcome === 'failed' && before.child === undefined && before.inheritsChild === undefined) {
      call.error = before.error;
      session.answer(call, 'failed', undefined);
      throw new Error(before.error);
    }
  }
  let child: LiveSession | undefined;
  for (;;) {
    await session.passCall(call);
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
    if (child) break;
    // Another process has it; or the store would not say whose it is, and is asked again when it has had time.
    if (call.childSession) return never();
    await session.hold(call);
  }
  if (isPause(before?.value)) {
    // The work of the old run is taken up, and so is what its spawn was answered with.
    const pause = { ...before.value, session: child.id };
    const isTold = session.letGo(call, pause);
    // Where the store refuses that, it waits as if it asked for the first time.
    if (isTold !== undefined) return isTold ? pause : never();
  }
  const outcome = options?.ifHeld === 'value' ? await endOrPause(call, child) : await child.final;
  if (session.isOver) return never();
  if (outcome.status === 'paused') return session.mayGoOn() ? outcome : never();
  if (outcome.status === 'failed') {
    const deliver = session.failCall(call, outcome.error);
    if (!deliver) return never();
    if (options?.isRun) return outcome;
    throw outcome.error;
  }
  // The child's own record holds its result; the call's end only says that there is one.
  return session.completeCall(call, undefined) ? outcome : never();
}

/** What comes first: the child's end, or a pause of the child alone. */
function endOrPause(call: Call, child: LiveSession): Promise<Outcome | PausedChild> {
  const { session } = call;
  const { ifHeld } = session.engine;
  return new Promise((resolve) => {
    void child.final.then((outcome) => {
      ifHeld.end(call);
      resolve(outcome);
    });
    ifHeld.ask(call, child, (pause) => {
      if (session.letGo(call, pause) === undefined) return false;
      resolve(pause);
      return true;
    });
  });
}
