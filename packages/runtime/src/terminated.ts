// terminated.ts: terminated graphs whose work may be taken up by a new run, kept without reading the journals again (S6).

import { RuntimeError } from './error.ts';
import type { Graph } from './graph.ts';
import type { SessionRecord } from './journal.ts';
import type { Saved } from './saved.ts';
import type { World } from './world.ts';

/** Terminated graphs whose work can be taken up without reading the journals again. */
const keptTerminated = 200;

export class Terminated {
  private readonly world: World;
  private readonly kept: Graph[] = [];
  /** By the graph of the new run. */
  private readonly takenUp = new WeakMap<Graph, Graph>();

  constructor(world: World) {
    this.world = world;
  }

  /** The terminated session that a new run takes up; throws where it cannot. */
  toRestart(id: string, by: SessionRecord): Saved {
    const found = this.graphOf(id)?.get(id)?.saved;
    if (!found) {
      const running = this.world.graphOf.get(id)?.get(id);
      throw new RuntimeError(
        'unknown_session',
        running && !running.saved.settled
          ? `session ${id} has not ended; resume it instead of restarting its work`
          : `no terminated session ${JSON.stringify(String(id).slice(0, 80))} is known here whose work could be taken up`,
      );
    }
    if (found.record.agent !== by.agent) {
      throw new RuntimeError(
        'invalid_option',
        `session ${id} was a run of ${JSON.stringify(found.record.agent)}, not of ${JSON.stringify(by.agent)}`,
      );
    }
    return found;
  }

  /** Where a terminated session is. */
  private graphOf(id: string): Graph | undefined {
    return [this.world.graphOf.get(id), ...this.kept].find((graph) => graph?.get(id)?.saved.settled?.status === 'terminated');
  }

  /** Keeps what a restart would take up, for the last ones. */
  remember(graph: Graph): void {
    this.kept.push(graph);
    if (this.kept.length > keptTerminated) this.kept.shift();
  }

  /** A restart: what it takes up is kept for as long as it may ask for it. `found`: where the terminated session is, if not among those kept here. */
  takesUp(graph: Graph, restartOf: string, found: Graph | undefined = this.graphOf(restartOf)): void {
    if (found) this.takenUp.set(graph, found);
  }

  /** A child of a run that this graph takes up, whatever it had come to. */
  member(graph: Graph, id: string): Saved | undefined {
    for (let from = this.takenUp.get(graph); from; from = this.takenUp.get(from)) {
      const member = from.get(id);
      if (member) return member.saved;
    }
    return undefined;
  }
}
