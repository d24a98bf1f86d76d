// given-up.ts: a call that delegates is given up when what it delegated to was terminated alone: its body would wait for that in vain, and its
// session with it. The agent is told, and decides (S8).

import type { Call } from './call.ts';
import { RuntimeError } from './error.ts';
import type { LiveSession } from './session.ts';

interface Waiting {
  error?: Error;
  reject?: (error: Error) => void;
}

/** Few have one, so that the others carry no field for it. */
const waitingByCall = new WeakMap<Call, Waiting>();

function waitingOf(call: Call): Waiting {
  let waiting = waitingByCall.get(call);
  if (!waiting) {
    waiting = {};
    waitingByCall.set(call, waiting);
  }
  return waiting;
}

/** The session inside its body was terminated. What a call that acts itself has come to nobody knows but its body: of that one it is said alone. */
export function giveUp(call: Call, { agent, id }: LiveSession): void {
  const what = `${agent} ${id}, which ${call.name} of session ${call.session.id} had started, was terminated`;
  if (call.class !== 'delegates') {
    call.session.engine.alarm(
      `${what}; where ${call.name} waits for it, it does so for ever: declare it to delegate, and the agent is told`,
    );
    return;
  }
  const waiting = waitingOf(call);
  waiting.error = new RuntimeError('session_ended', what);
  waiting.reject?.(waiting.error);
}

/** What the body of a call comes to, or that it was given up. */
export function orGivenUp<R>(call: Call, result: R): R {
  if (call.class !== 'delegates' || typeof (result as { then?: unknown } | undefined)?.then !== 'function') return result;
  const waiting = waitingOf(call);
  const givenUp = new Promise<never>((_, reject) => {
    waiting.reject = reject;
    if (waiting.error) reject(waiting.error);
  });
  return Promise.race([result, givenUp]) as R;
}
