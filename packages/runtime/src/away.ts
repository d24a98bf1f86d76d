// away.ts: graphs that another process has. When they have ended there, they are let go of here.

import { goneThere } from './catch-up.ts';
import type { Graph } from './graph.ts';
import { hasEnded } from './lineage-store.ts';
import type { World } from './world.ts';

/** How often it is looked whether any has ended. Milliseconds. */
const lookMs = 5_000;
const askedTogether = 200;

export class Away {
  private readonly world: World;
  private readonly letGo: (graph: Graph) => void;
  private readonly graphs = new Set<Graph>();
  private timer: unknown;

  constructor(world: World, letGo: (graph: Graph) => void) {
    this.world = world;
    this.letGo = letGo;
  }

  add(graph: Graph): void {
    this.graphs.add(graph);
    this.lookLater();
  }

  delete(graph: Graph): void {
    this.graphs.delete(graph);
  }

  close(): void {
    this.world.clock.clearTimeout(this.timer);
  }

  /** Where all that a process runs is registered, whether it has ended is asked of the registry; elsewhere it would be to read every journal. */
  private lookLater(): void {
    const { store, clock, isClosed } = this.world;
    if (!store.lineage.registersAll || this.timer !== undefined || isClosed || this.graphs.size === 0) return;
    this.timer = clock.setTimeout(() => {
      void Promise.all([...this.graphs].slice(0, askedTogether).map((graph) => this.look(graph))).finally(() => {
        this.timer = undefined;
        this.lookLater();
      });
    }, lookMs);
  }

  private async look(graph: Graph): Promise<void> {
    const { world } = this;
    const { lineage } = world.store;
    const { s, root } = graph.root.saved.record;
    try {
      const isOver = await this.isOver(s, root);
      const asked = new Set(world.ends.awaited(graph));
      const ends = isOver ? await lineage.ends(root, [...asked]) : undefined;
      // It may have been given back meanwhile.
      if (world.isClosed || !this.graphs.delete(graph) || world.graphs.get(graph.id) !== graph) return;
      if (!ends || world.ends.awaited(graph).some((id) => !asked.has(id))) {
        // The next look begins with others. Whoever began to wait meanwhile is told by it.
        this.graphs.add(graph);
        return;
      }
      this.letGo(graph);
      goneThere(world, graph, (session) => ends.get(session));
    } catch {
      // Asked again with the next look; that the store does not answer, its health says.
    }
  }

  private async isOver(session: string, root: string): Promise<boolean> {
    const { lineage } = this.world.store;
    if (await lineage.ended(session, root)) return true;
    const found = await lineage.find(session, root);
    // Cleared away: it ended long ago. Or nothing of it was ever written down.
    return found === undefined || hasEnded(found.state);
  }
}
