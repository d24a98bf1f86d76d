// detached.ts: a session's place in its graph, made from its record; and whom a detached one has left, whose switches still reach it (S2).

import type { SessionRecord } from './journal.ts';
import { Node } from './node.ts';

/** The place of a session that a journal tells of. */
export function nodeOf(record: SessionRecord, parent: Node | undefined): Node {
  const detachedFrom = record.detached && leftNodes(record.detached);
  return new Node({
    id: record.s,
    workflow: record.workflow,
    ...(record.user === undefined ? {} : { userId: record.user }),
    ...(record.conversation === undefined ? {} : { conversationId: record.conversation }),
    ...(parent ? { parent } : {}),
    ...(detachedFrom ? { detachedFrom } : {}),
  });
}

/** Whom a session detached from this one leaves, from the nearest up. */
export function leftBy(from: Node): NonNullable<NonNullable<SessionRecord['detached']>['left']> {
  const left: { workflow?: string; user?: string }[] = [];
  for (let at: Node | undefined = from; at; at = at.parent ?? at.detachedFrom) {
    left.push({
      ...(at.workflow === undefined ? {} : { workflow: at.workflow }),
      ...(at.userId === undefined ? {} : { user: at.userId }),
    });
  }
  return left;
}

/** Stand-ins for them at the next start, when they may have ended: only what their tiers say still counts. */
function leftNodes({ from, left }: NonNullable<SessionRecord['detached']>): Node | undefined {
  let node: Node | undefined;
  for (const { workflow, user } of [...(left ?? [])].reverse()) {
    node = new Node({
      id: from,
      ...(workflow === undefined ? {} : { workflow }),
      ...(user === undefined ? {} : { userId: user }),
      ...(node ? { parent: node } : {}),
    });
  }
  return node;
}
