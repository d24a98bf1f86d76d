// not-brought.ts: sessions of a graph that goes on after a park or a crash which are not running again yet: the call that started them has
// not asked for them. A terminate has to reach them where they lie, and whoever is above them ends after them (I3).

import type { Graph, Member } from './graph.ts';

interface Left {
  readonly members: Set<Member>;
  /** How many of them each session has under it. */
  readonly under: Map<string, number>;
}

export class NotBrought {
  private readonly byGraph = new Map<Graph, Left>();

  /** Its root is about to be run again, and nobody else yet. */
  goesOn(graph: Graph): void {
    const members = [...graph.members()].filter((member) => member !== graph.root && !member.saved.settled);
    if (members.length === 0) return;
    const under = new Map<string, number>();
    for (const member of members) for (const id of above(member)) under.set(id, (under.get(id) ?? 0) + 1);
    this.byGraph.set(graph, { members: new Set(members), under });
  }

  /** It runs, or has ended. */
  delete(graph: Graph, member: Member): void {
    const left = this.byGraph.get(graph);
    if (!left?.members.delete(member)) return;
    for (const id of above(member)) left.under.set(id, left.under.get(id)! - 1);
    if (left.members.size === 0) this.byGraph.delete(graph);
  }

  /** Nobody is brought back there any more: it rests again, has ended, or is another process's. */
  deleteAll(graph: Graph): void {
    this.byGraph.delete(graph);
  }

  graphs(): readonly Graph[] {
    return [...this.byGraph.keys()];
  }

  of(graph: Graph): readonly Member[] {
    return [...(this.byGraph.get(graph)?.members ?? [])];
  }

  under(graph: Graph, session: string): readonly Member[] {
    return this.isAnyUnder(graph, session) ? this.of(graph).filter((member) => above(member).includes(session)) : [];
  }

  isAnyUnder(graph: Graph, session: string): boolean {
    return (this.byGraph.get(graph)?.under.get(session) ?? 0) > 0;
  }
}

function above({ saved }: Member): readonly string[] {
  return saved.record.path.slice(0, -1);
}
