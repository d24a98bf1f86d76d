// ends.ts: whoever waits for a session to end is told, across pauses and parks; and an end that the store refused is tried again.

import { RuntimeError } from './error.ts';
import type { Graph } from './graph.ts';
import type { Outcome } from './outcome.ts';
import type { Saved } from './saved.ts';
import { LiveSession } from './session.ts';
import { endedBefore } from './session-end.ts';
import { Slice } from './slices.ts';
import type { World } from './world.ts';

export type Ended = Exclude<Outcome, { status: 'paused' }>;

export class Ends {
  private readonly world: World;
  private readonly waiting = new Map<
    string,
    { readonly promise: Promise<Ended>; readonly resolve: (outcome: Promise<Ended>) => void }
  >();

  /** Of sessions whose end the store refused to take down. */
  private readonly refused = new Set<LiveSession>();
  /** The rest of them has its turn in the next slice. */
  private isGoingOn = false;

  constructor(world: World) {
    this.world = world;
  }

  /** Its end is not taken down, and tried again. */
  later(session: LiveSession): void {
    this.refused.add(session);
    this.world.reconsiderLater();
  }

  /** Tries again with those that are not taken down, in slices, until one is refused. */
  endAll(): void {
    if (this.refused.size === 0) return;
    const slice = new Slice(this.world.clock);
    for (const session of this.refused) {
      // Goes to the end where it is refused again: one that the store never takes is in nobody's way.
      this.refused.delete(session);
      session.end();
      if (this.refused.has(session)) return;
      if (!slice.isOver || this.refused.size === 0) continue;
      if (this.isGoingOn) return;
      this.isGoingOn = true;
      void slice.next().then(() => {
        this.isGoingOn = false;
        if (!this.world.isClosed) this.endAll();
      });
      return;
    }
  }

  /** Tells whoever waits for the end of a session; a parked one ends without being live. */
  tell(id: string, outcome: Promise<Ended>): void {
    const waiter = this.waiting.get(id);
    if (!waiter) return;
    this.waiting.delete(id);
    waiter.resolve(outcome);
  }

  /** The same of one that ended in another process. Where its records are gone nobody can say how. */
  ended(id: string, settled: Saved['settled']): void {
    if (!this.waiting.has(id)) return;
    const gone = new RuntimeError('unknown_session', `session ${id} is over, and nothing that is written down says how it ended`);
    this.tell(id, settled ? Promise.resolve(endedBefore(id, settled)) : Promise.reject(gone));
  }

  /** Those of a graph whose end somebody waits for. */
  awaited(graph: Graph): readonly string[] {
    return [...graph.members()].map(({ node }) => node.id).filter((id) => this.waiting.has(id));
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
      let resolve!: (outcome: Promise<Ended>) => void;
      const promise = new Promise<Ended>((done) => {
        resolve = done;
      });
      waiter = { promise, resolve };
      this.waiting.set(id, waiter);
    }
    return waiter.promise;
  }
}
