// covering.ts: whom a stop covers, by the places of sessions in their graphs (S2).

import type { Graph } from './graph.ts';
import type { Node } from './node.ts';
import type { Order } from './order.ts';
import { conversationKey, isConversationKey, subjectKey } from './stop-key.ts';
import type { World } from './world.ts';

/** The graphs in which anything could be covered: of a session's own stop the one that it is in. */
export function candidates(world: World, order: Order): Iterable<Graph> {
  const { graphs, graphOf, arrived } = world;
  if (order.entry.key.tier !== 'instance' || isConversationKey(order.entry.key.subject)) return graphs.values();
  const graph = graphOf.get(order.entry.details?.subject ?? '') ?? graphOf.get(order.entry.key.subject);
  // What came from another process may stand under a session that is not here.
  return graph ? new Set([graph, ...arrived]) : arrived;
}

/** Whether the stop is one of this place in a graph, or of one above it. */
export function covers({ entry }: Pick<Order, 'entry'>, node: Node): boolean {
  const { tier, subject } = entry.key;
  if (tier === 'global') return true;
  for (let at: Node | undefined = node; at; at = at.parent ?? (tier === 'instance' ? undefined : at.detachedFrom)) {
    const own = tier === 'feature' ? at.workflow : tier === 'user' ? at.userId : at.id;
    if (own !== undefined && subjectKey(own) === subject) return true;
    if (tier === 'instance' && at.conversationId !== undefined && conversationKey(at.conversationId) === subject) return true;
  }
  return false;
}
