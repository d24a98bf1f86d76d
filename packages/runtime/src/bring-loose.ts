// bring-loose.ts: loose children of a graph that was parked go on with their parents, since no spawn finds them again (S8, I14).

import type { Call } from './call.ts';
import type { Graph, Member } from './graph.ts';
import { keepsLoose } from './loose.ts';
import { OpenTurn } from './open-turn.ts';
import { LiveSession } from './session.ts';
import { snapshot } from './snapshot.ts';
import type { World } from './world.ts';

/** How long after a refusal of the store it is asked again. Milliseconds. */
const againMs = 250;

/** Who of a parked graph is loose, by parent: those whose spawn was answered with their pause. */
export function looseIn(graph: Graph): Map<string, Member[]> {
  const loose = new Map<string, Member[]>();
  for (const member of graph.members()) {
    const { record, settled } = member.saved;
    const parent = graph.get(record.path.at(-2) ?? '')?.saved;
    if (settled || !parent?.letGo?.has(record.s) || parent.settled) continue;
    const known = loose.get(parent.record.s);
    if (known) known.push(member);
    else loose.set(parent.record.s, [member]);
  }
  return loose;
}

/** Brings one back with its parent, which does not end before it has. */
export function bringLoose(world: World, parent: LiveSession, member: Member): void {
  const call = endedSpawn(parent, member);
  keepsLoose(parent).add(call);
  bring(world, parent, member, call);
}

function bring(world: World, parent: LiveSession, member: Member, call: Call): void {
  if (world.isClosed || parent.isOver) return;
  if (member.saved.settled) {
    // It was terminated where it lay.
    parent.childOver(call);
    return;
  }
  const live = new LiveSession(world, parent.graph, member, call);
  call.childSession = live;
  member.live = live;
  if (!world.claim(live)) {
    if (live.isOver) return;
    // Refused by the store, it lies where it lay until it is tried again.
    member.live = undefined;
    call.childSession = undefined;
    world.clock.setTimeout(() => bring(world, parent, member, call), againMs);
    return;
  }
  world.births.begin(live);
  const { record } = live.saved;
  live.start(world.definitions.get(record.agent)!, snapshot(`the input of ${record.agent}`, record.input));
}

/** The call that started it, in an earlier life of its parent. */
function endedSpawn(parent: LiveSession, { saved, node }: Member): Call {
  const { agent, parentCall } = saved.record;
  const { turn, key } = parentCall!;
  const before = { key, id: node.id, kind: 'spawn', name: agent, class: 'delegates', idempotencyKey: '' } as const;
  const call = new OpenTurn(parent, turn, []).adopt(before);
  call.childId = node.id;
  call.end('completed');
  return call;
}
