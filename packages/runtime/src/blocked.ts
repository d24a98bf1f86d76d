// blocked.ts: what holds sessions at rest: a stop, a hold, or a person's word that is waited for.

import type { Decision, Stopped } from '@offswitch/core';
import type { Engine } from './engine.ts';
import type { Graph } from './graph.ts';
import { looseOf } from './loose.ts';
import type { Node } from './node.ts';
import type { LiveSession } from './session.ts';

export interface Blocked {
  readonly node: Node;
  readonly decision: Decision;
  readonly call?: string;
  readonly why?: string;
}

/** Who of a resting graph is held by a stop, or waits for a person. */
export function* blockedOf(engine: Engine, graph: Graph): Generator<Blocked> {
  for (const { live } of graph.members()) if (live) yield* blockedAt(engine, live);
}

/** The same for one session with everything it started. */
export function* blockedWithin(engine: Engine, session: LiveSession): Generator<Blocked> {
  yield* blockedAt(engine, session);
  for (const { childSession } of session.calls ?? []) if (childSession) yield* blockedWithin(engine, childSession);
  for (const child of looseOf(session)?.sessions() ?? []) yield* blockedWithin(engine, child);
}

function* blockedAt(engine: Engine, session: LiveSession): Generator<Blocked> {
  if (!session.isHeld) return;
  const { node } = session;
  const decision = engine.decide(node);
  let isWaiting = false;
  for (const call of session.calls ?? []) {
    if (call.waitsForPerson === undefined) continue;
    isWaiting = true;
    yield { node, decision, call: call.id, why: call.waitsForPerson };
  }
  if (!isWaiting) yield { node, decision };
}

/** What is shown of a session that rests without a stop. `held`: what of it waits here; nothing where it waits on others alone. */
export function waiting(held: Pick<Blocked, 'why'> | undefined, since: number): Stopped {
  const why = held?.why;
  return {
    action: 'pause',
    tier: 'instance',
    cause: 'unknown',
    reason:
      why ??
      (held
        ? 'nothing stops it: it waits for its turn to go on, or for the store to take what it would write down'
        : 'it waits on a sub-agent at rest'),
    effect:
      why === undefined
        ? 'Rests at its checkpoint, and goes on by itself.'
        : 'Rests at its checkpoint until a person says what became of the call.',
    notice:
      why === undefined
        ? 'This assistant waits, and goes on by itself.'
        : 'This assistant waits for its operators. Your work is saved.',
    since,
  };
}
