// detached.ts: a session's place in its graph, made from its record; and whom a detached one has left, whose switches still reach it (S2).

import type { Left, SessionRecord } from './journal.ts';
import { Node } from './node.ts';

/** The place of a session that a journal tells of. */
export function nodeOf(record: SessionRecord, parent: Node | undefined): Node {
  const detachedFrom = record.detached && leftNodes(record.detached.from, record.detached.left);
  return new Node({
    id: record.s,
    workflow: record.workflow,
    ...(record.user === undefined ? {} : { userId: record.user }),
    ...(record.conversation === undefined ? {} : { conversationId: record.conversation }),
    ...(parent ? { parent } : {}),
    ...(detachedFrom ? { detachedFrom } : {}),
  });
}

/** Whom a session detached from this one leaves. */
export function leftBy(from: Node): Left {
  const left: { workflow?: string; user?: string }[] = [];
  const workflows = new Set<string>();
  const users = new Set<string>();
  for (let at: Node | undefined = from; at; at = at.parent ?? at.detachedFrom) {
    const { workflow, userId: user } = at;
    const one = {
      ...(workflow === undefined || workflows.has(workflow) ? {} : { workflow }),
      ...(user === undefined || users.has(user) ? {} : { user }),
    };
    if (one.workflow !== undefined) workflows.add(one.workflow);
    if (one.user !== undefined) users.add(one.user);
    if (one.workflow !== undefined || one.user !== undefined) left.push(one);
  }
  return left;
}

/** Whom the root of this session was detached from; `undefined` where it was not. */
export function leftAbove(node: Node): Left | undefined {
  let root = node;
  while (root.parent) root = root.parent;
  return root.detachedFrom && leftBy(root.detachedFrom);
}

/** Stand-ins for them at the next start, or in another process, when they may have ended: only what their tiers say still counts. */
export function leftNodes(id: string, left: Left = []): Node | undefined {
  let node: Node | undefined;
  for (const { workflow, user } of [...left].reverse()) {
    node = new Node({
      id,
      ...(workflow === undefined ? {} : { workflow }),
      ...(user === undefined ? {} : { userId: user }),
      ...(node ? { parent: node } : {}),
    });
  }
  return node;
}
