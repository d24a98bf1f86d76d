// ends.ts: whoever waits for a session to end is told, across pauses and parks.

import { RuntimeError } from './error.ts';
import type { Outcome } from './outcome.ts';
import { LiveSession } from './session.ts';
import type { World } from './world.ts';

export type Ended = Exclude<Outcome, { status: 'paused' }>;

export class Ends {
  private readonly world: World;
  private readonly waiting = new Map<string, { readonly promise: Promise<Ended>; readonly resolve: (outcome: Ended) => void }>();

  constructor(world: World) {
    this.world = world;
  }

  /** Tells whoever waits for the end of a session; a parked one ends without being live. */
  tell(id: string, outcome: Promise<Ended>): void {
    const waiter = this.waiting.get(id);
    if (!waiter) return;
    this.waiting.delete(id);
    void outcome.then(waiter.resolve);
  }

  of(id: string): Promise<Ended> {
    const graph = this.world.graphOf.get(id);
    const member = graph?.get(id);
    if (!graph || !member)
      return Promise.reject(
        new RuntimeError('unknown_session', `no session ${JSON.stringify(String(id).slice(0, 80))} is known here`),
      );
    if (member.saved.settled) {
      const told = new LiveSession(this.world, graph, member);
      told.recall(member.saved.settled);
      return told.final as Promise<Ended>;
    }
    let waiter = this.waiting.get(id);
    if (!waiter) {
      let resolve!: (outcome: Ended) => void;
      const promise = new Promise<Ended>((done) => {
        resolve = done;
      });
      waiter = { promise, resolve };
      this.waiting.set(id, waiter);
    }
    return waiter.promise;
  }
}
