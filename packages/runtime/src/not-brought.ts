// not-brought.ts: sessions of a graph that goes on after a park or a crash which are not running again yet: the call that started them has
// not asked for them. A terminate has to reach them where they lie, and whoever is above them ends after them (I3).

import type { Graph, Member } from './graph.ts';

export class NotBrought {
  private readonly byGraph = new Map<Graph, Set<Member>>();

  /** Its root is about to be run again, and nobody else yet. */
  goesOn(graph: Graph): void {
    const members = [...graph.members()].filter((member) => member !== graph.root && !member.saved.settled);
    if (members.length > 0) this.byGraph.set(graph, new Set(members));
  }

  /** It runs, or has ended. */
  delete(graph: Graph, member: Member): void {
    const members = this.byGraph.get(graph);
    if (members?.delete(member) && members.size === 0) this.byGraph.delete(graph);
  }

  /** Nobody is brought back there any more: it rests again, has ended, or is another process's. */
  deleteAll(graph: Graph): void {
    this.byGraph.delete(graph);
  }

  graphs(): readonly Graph[] {
    return [...this.byGraph.keys()];
  }

  of(graph: Graph): readonly Member[] {
    return [...(this.byGraph.get(graph) ?? [])];
  }

  isAnyUnder(graph: Graph, session: string): boolean {
    for (const { saved } of this.byGraph.get(graph) ?? []) if (saved.record.path.includes(session)) return true;
    return false;
  }
}
