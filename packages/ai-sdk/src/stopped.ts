// stopped.ts: what a stop looks like from inside the SDK. A call that is not streamed is abandoned: its promise never
// settles, so that no `catch` of the agent can act on a stop, and the run's outcome tells. A stream has consumers outside
// of the agent, who must not be left hanging or be given a silent truncation: it ends with a typed part.

import type { Stopped } from '@offswitch/core';
import type { Session } from '@offswitch/runtime';
import { AiSdkError } from './error.ts';

const listeners = new WeakMap<Session, Set<(decision: Stopped) => void>>();

/** Tells when the session is stopped or parked, at once if it is already. Returns the way to stop listening. */
export function onStop(session: Session, listener: (decision: Stopped) => void): () => void {
  let all = listeners.get(session);
  if (!all) {
    const made = new Set<(decision: Stopped) => void>();
    all = made;
    listeners.set(session, made);
    // One reaction per session: one per call would keep every reply in memory as long as the session lives.
    void session.outcome.then((outcome) => {
      listeners.delete(session);
      if (outcome.status === 'paused' || outcome.status === 'terminated') for (const one of made) one(outcome.decision);
    });
  }
  all.add(listener);
  return () => void all.delete(listener);
}

/** For code that goes on after its session was stopped: waits for ever, or throws `stopped`. Returns where it was not stopped. */
export async function stoppedBefore(session: Session, ifStopped: 'wait' | 'throw'): Promise<void> {
  const outcome = await Promise.race([session.outcome, Promise.resolve(undefined)]);
  if (outcome?.status !== 'paused' && outcome?.status !== 'terminated') return;
  if (ifStopped === 'throw') throw stoppedError(outcome.decision);
  await new Promise<never>(() => {});
}

export function stoppedError(decision: Stopped): AiSdkError {
  return new AiSdkError('stopped', decision.notice, { decision });
}

/** Why a stream ended before its time: `stopOf(await result.providerMetadata)`, or of its last `finish-step` part. */
export function stopOf(providerMetadata: unknown): Stopped | undefined {
  if (typeof providerMetadata !== 'object' || providerMetadata === null) return undefined;
  const { offswitch } = providerMetadata as { readonly offswitch?: unknown };
  return typeof offswitch === 'object' && offswitch !== null && 'action' in offswitch ? (offswitch as Stopped) : undefined;
}
