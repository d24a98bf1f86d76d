// graph.ts: a root session and everything it started: one budget, one park, settled when its root is.

import type { AgentDefinition } from './agent.ts';
import { Budget } from './breakers.ts';
import type { JournalRecord } from './journal.ts';
import type { Node } from './node.ts';
import type { Saved } from './saved.ts';
import type { LiveSession } from './session.ts';

/** One session of a graph, live or not. */
export interface Member {
  readonly node: Node;
  readonly saved: Saved;
  /** Of a restarted session just made: what is to be written of it. */
  readonly records?: readonly JournalRecord[];
  live: LiveSession | undefined;
}

export class Graph {
  readonly root: Member;
  private budgetMade: Budget | undefined;
  /** Every session but the root, by id; made with the first child. */
  private others: Map<string, Member> | undefined;
  /** While it is parked: who was held, so that a release is recognised; a call waits for a person where `call` is set. */
  parked: { readonly blocked: readonly { readonly node: Node; readonly call?: string }[] } | undefined;
  parkTimer: unknown;
  /** Of a run without a name: what it runs, in this process alone. */
  definition: AgentDefinition | undefined;
  /** Its path was carried out of this process, or may have been before it came here: sessions of it may run elsewhere, and outlive its root. */
  wasCarried = false;
  /** Another process runs it. */
  isElsewhere = false;
  /** Of a detached root, until the store has taken it in: the graph it was detached in. Lost with that, nobody else may ever hear of it. */
  detachedBy: Graph | undefined;

  constructor(root: Member) {
    this.root = root;
    this.charge(root);
  }

  get id(): string {
    return this.root.node.id;
  }

  add(member: Member): void {
    this.others ??= new Map();
    this.others.set(member.node.id, member);
    this.charge(member);
  }

  get budget(): Budget {
    this.budgetMade ??= new Budget();
    return this.budgetMade;
  }

  /** What the old run spent is spent; the new one has a budget of its own. */
  forgiveCosts(): void {
    if (this.budgetMade) this.budgetMade.spent = 0;
  }

  /** What a session had cost before it came here. */
  private charge({ saved }: Member): void {
    if (saved.costMicros !== 0) this.budget.spent += saved.costMicros;
  }

  get(id: string): Member | undefined {
    return id === this.root.node.id ? this.root : this.others?.get(id);
  }

  *members(): Generator<Member> {
    yield this.root;
    if (this.others) yield* this.others.values();
  }

  get size(): number {
    return 1 + (this.others?.size ?? 0);
  }
}
