// registering.ts: what the store is told of this process's sessions: that there is one, that it rests, that it ended. What it is not told of
// no stop of another process reaches.

import { refused, rootOf } from './arrival.ts';
import { never } from './call.ts';
import { RuntimeError } from './error.ts';
import type { Graph } from './graph.ts';
import type { SessionRecord } from './journal.ts';
import { Known } from './known.ts';
import { hasEnded, type RegisteredState, type Registration } from './lineage-store.ts';
import type { Node } from './node.ts';
import type { LiveSession } from './session.ts';
import type { World } from './world.ts';

/** How long after the store has not taken in what it was given it is asked again. Milliseconds. */
export const againMs = 250;

export class Registering {
  private readonly world: World;
  private readonly known: Known;

  constructor(world: World) {
    this.world = world;
    this.known = new Known(world.store.lineage);
  }

  /**
   * Waits until the store knows it, however long that cannot be reached: what is not known is reached by no stop of others. Rejects with
   * `root_settled`, `root_unknown` where the graph it belongs to is another process's and has ended: nothing may begin in it.
   */
  async register(session: LiveSession): Promise<void> {
    const { saved, graph } = session;
    const isLocalRoot = session.member === graph.root;
    let told: string | undefined;
    for (;;) {
      let why: string;
      try {
        // Whoever looks after a crash whether there was one tells by this; and nobody takes up what is not written. Of a sub-agent: with an
        // intent that is lost, its call would ask for another one, which the store never takes beside it.
        if (saved.record.detached || !isLocalRoot) await this.world.store.flush();
        // What is lost meanwhile is not written by a flush, but dropped.
        if (await this.isOrphan(graph)) this.world.takeover.giveUp(graph);
        if (graph.isElsewhere) return never();
        const registered = await this.world.store.lineage.register(registrationOf(saved.record, isLocalRoot));
        if (registered.status === 'registered') {
          graph.detachedBy = undefined;
          return;
        }
        if (registered.status === 'refused') {
          // A stop that came meanwhile is why it does not begin.
          if (!session.mayGoOn()) return never();
          if (registered.code === 'root_settled' || graph.root.saved.record.arrived)
            throw refused(registered.code, session.rootId);
          await this.tellAgain(session);
          continue;
        }
        const { session: child, process } = registered.session;
        if (child === session.id && process !== this.world.store.processId) {
          // Taken up there by an intent that was written here, before it was registered.
          this.world.takeover.lose([graph.id]);
          return never();
        }
        why = 'it has another child';
      } catch (error) {
        if (RuntimeError.is(error) && (error.code === 'root_settled' || error.code === 'root_unknown')) throw error;
        why = String(error);
      }
      if (session.isOver) return never();
      // Said once.
      if (why !== told) this.world.alarm(`session ${session.id} waits: the store has not taken it in (${why})`);
      told = why;
      // Not by the gate's wait: to go on from there is to claim an epoch of a session that the store does not know yet.
      await session.sleep(againMs);
    }
  }

  /**
   * Of a detached one that the store does not know: another process has the graph it was detached in, and detaches it there, under another id
   * where the intent was lost with it. One that was ended is not lost: what it detached lives on (S2).
   */
  private async isOrphan(graph: Graph): Promise<boolean> {
    const { detachedBy: by, id } = graph;
    if (!by || !(by.isElsewhere || by.root.saved.settled)) return false;
    const { lineage, processId } = this.world.store;
    // Ended here while it was cut off, it may be taken over all the same.
    const isElsewhere = async (): Promise<boolean> => {
      const known = await lineage.find(by.id, rootOf(by.root.node).id);
      return known !== undefined && known.process !== processId;
    };
    if (!by.isElsewhere && !(await isElsewhere())) return false;
    // Registered by an answer that was lost, it is this process's, or whose the store says.
    return (await lineage.find(id, id)) === undefined && graph.detachedBy === by;
  }

  /** The store has lost who is above it, all of them this process's. */
  private async tellAgain({ graph, path }: LiveSession): Promise<void> {
    for (const id of path.slice(0, -1)) {
      const member = graph.get(id)!;
      const again = await this.world.store.lineage.register(registrationOf(member.saved.record, member === graph.root));
      if (again.status !== 'registered') throw new Error(`${id}, which is above it, is not this process's there any more`);
    }
  }

  /** A session that came from another process, or that others are told of, began or ended to rest, or ended. */
  note(node: Node, state: RegisteredState): void {
    if (this.world.store.lineage.registersAll || this.known.has(node.id)) {
      this.world.store.lineage.note(node.id, rootOf(node).id, state);
      if (hasEnded(state)) this.known.delete(node.id);
    }
  }

  /** It was registered, or was found in the store's records: what becomes of it is noted. */
  isKnown(id: string): void {
    this.known.add(id);
  }

  /** Once for each root. */
  async makeKnown(node: Node): Promise<void> {
    const { world } = this;
    if (world.store.lineage.registersAll) return;
    const graph = world.graphOf.get(node.id);
    // What came from another process is known, and so is its root: by the process that has that.
    if (!graph || graph.root.saved.record.arrived) return;
    await this.known.register(registrationOf(graph.root.saved.record, true));
  }
}

/** As the store is told of it. */
export function registrationOf(record: SessionRecord, isLocalRoot: boolean): Registration {
  const { s, path, agent, workflow, user, conversation, arrived, detached } = record;
  return {
    session: s,
    path,
    agent,
    workflow,
    ...(user === undefined ? {} : { user }),
    ...(conversation === undefined ? {} : { conversation }),
    ...(arrived?.call === undefined ? {} : { call: arrived.call }),
    ...(detached?.left === undefined ? {} : { left: detached.left }),
    isLocalRoot,
  };
}
