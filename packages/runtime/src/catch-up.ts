// catch-up.ts: what another process had done of a graph that this one knows as well. It may have died in the middle of it: then the rest
// is this process's to mark or to resume.

import type { Graph, Member } from './graph.ts';
import type { Saved } from './saved.ts';
import { endedBefore } from './session-end.ts';
import type { World } from './world.ts';

/** Of a session that lies parked here. `saved`: as the journals of the dead tell it. Nothing where they know no later epoch than this process does. */
export function catchUp(world: World, member: Member, saved: Saved): void {
  if (member.live || member.saved.settled || saved.epoch <= member.saved.epoch) return;
  Object.assign(member.saved, saved);
  const { settled } = saved;
  if (!settled) return;
  world.kernel.switchboard.dismiss(member.node);
  world.stopping.memberRests(member);
  world.ends.tell(saved.record.s, Promise.resolve(endedBefore(saved.record.s, settled, world.decide(member.node))));
}

/** How a session ended, where its records are there still. */
type EndOf = (session: string) => Saved['settled'];

/** It ended there, and is let go of here: no stop waits for it, and nobody else. */
export function goneThere(world: World, graph: Graph, endOf: EndOf): void {
  for (const member of graph.members()) world.leftElsewhere.add(member);
  for (const member of graph.members()) world.stopping.memberRests(member);
  tellEnds(world, graph, endOf);
}

/** Whoever waits here for any of it to end is told. */
export function tellEnds(world: World, graph: Graph, endOf: EndOf): void {
  for (const { node } of graph.members()) world.ends.ended(node.id, endOf(node.id));
}
