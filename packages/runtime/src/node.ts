// node.ts: one session's place in its graph, and the guard: the check that costs nothing anyone can notice.
//
// Validity is derived from the ancestors at the moment of use, never pushed to descendants: a stop is one write whatever
// the size of the graph, and a child the stop has never heard of is stopped all the same (I1, I2). Each node caches its
// decision with the two epochs it was made under: one of its root, one of all tier stops.

import { type Decision, type Reading, run } from '@offswitch/core';
import { subjectKey } from './stop-key.ts';

/** The epoch of one graph: bumped by a stop against any session in it. */
export interface RootCell {
  epoch: number;
}

/** The epoch of everything wider than one graph: global, feature, user, holds. */
export interface TierCell {
  epoch: number;
}

export interface NodeSpec {
  readonly id: string;
  readonly parent?: Node;
  /** For a detached session: tier stops of its former ancestors still reach it, stops of their sessions do not (S2). */
  readonly detachedFrom?: Node;
  readonly workflow?: string;
  readonly userId?: string;
  readonly conversationId?: string;
}

export class Node {
  readonly id: string;
  readonly parent: Node | undefined;
  readonly detachedFrom: Node | undefined;
  /** The root's node is the cell: a session of its own graph needs no other. */
  readonly root: RootCell;
  epoch = 0;
  readonly workflow: string | undefined;
  readonly userId: string | undefined;
  readonly conversationId: string | undefined;
  /** False until every switch was read once for this session: it holds until then (S5). */
  isRead = false;
  /** This session's own switch reads as engaged for everybody: held, not terminated (S11). */
  untargeted: string | undefined = undefined;
  /** What its own switch read last. */
  reading: Reading | undefined = undefined;
  seenRoot = -1;
  seenTier = -1;
  decision: Decision = run;

  constructor(spec: NodeSpec) {
    this.id = spec.id;
    this.parent = spec.parent;
    this.detachedFrom = spec.detachedFrom;
    this.root = spec.parent ? spec.parent.root : this;
    this.workflow = spec.workflow;
    this.userId = spec.userId;
    this.conversationId = spec.conversationId;
  }

  /** The session's id as stops name it. */
  get key(): string {
    return subjectKey(this.id);
  }

  /** Root first, itself last. */
  get path(): string[] {
    const path: string[] = [];
    for (let node: Node | undefined = this; node; node = node.parent) path.push(node.id);
    return path.reverse();
  }
}

/** Decides anew and caches: the slow side of the guard, taken once per session after a change. */
export type Walk = (node: Node) => Decision;

/**
 * May this session go on? Synchronous, so that nothing comes between the check and the act; two loads and two compares
 * when nothing has changed since.
 */
export function guard(node: Node, tiers: TierCell, walk: Walk): Decision {
  return node.seenRoot === node.root.epoch && node.seenTier === tiers.epoch ? node.decision : walk(node);
}
