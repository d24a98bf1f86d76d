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

  constructor(world: World) {
    this.world = world;
  }

  /** The terminated session that a new run takes up; throws where it cannot. */
  toRestart(id: string, by: SessionRecord): Saved {
    const found = this.find(id);
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

  private find(id: string): Saved | undefined {
    for (const graph of [this.world.graphOf.get(id), ...this.kept].filter((one) => one !== undefined)) {
      const saved = graph.get(id)?.saved;
      if (saved?.settled?.status === 'terminated') return saved;
    }
    return undefined;
  }

  /** Keeps what a restart would take up, for the last ones. */
  remember(graph: Graph): void {
    this.kept.push(graph);
    if (this.kept.length > keptTerminated) this.kept.shift();
  }

  /** A child of a run that is taken up, whatever it had come to. */
  member(id: string): Saved | undefined {
    for (const graph of this.kept) {
      const member = graph.get(id);
      if (member) return member.saved;
    }
    return undefined;
  }
}
