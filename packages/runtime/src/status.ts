// status.ts: what is so right now, for people and machines. A switch that is not wired must not look live (S13).

import type { RuntimeStatus } from './view.ts';
import { viewOf } from './view.ts';
import type { World } from './world.ts';

/** What no wrapper of ours can govern; shown wherever coverage is shown, and never promised (S9). */
export const ungoverned: readonly string[] = [
  'code that an agent runs outside of turn.model, turn.tool and turn.spawn (a raw fetch, a timer of its own)',
  "tools that the model's provider executes on its side",
  'processes that nobody wrapped',
];

export function statusOf(world: World): RuntimeStatus {
  const { source } = world.kernel.options;
  const sessions: Record<string, number> = {};
  for (const graph of world.graphs.values()) {
    for (const member of graph.members()) {
      const { state } = viewOf(world, graph, member);
      sessions[state] = (sessions[state] ?? 0) + 1;
    }
  }
  return {
    process: { pid: process.pid, id: world.store.processId },
    source: {
      name: source.name,
      ...(source.location === undefined ? {} : { location: source.location }),
      health: { ...source.health },
    },
    store: {
      name: world.store.name,
      ...(world.store.location === undefined ? {} : { location: world.store.location }),
      health: { ...world.store.health },
    },
    switches: [...world.kernel.switchboard.flags].map(({ flag, trouble, last, lastLiveAt, isKnown }) => ({
      flag,
      state: trouble ? ('unknown' as const) : (last?.state ?? ('unknown' as const)),
      ...(trouble ? { cause: trouble.cause, message: trouble.message } : {}),
      ...(lastLiveAt === undefined ? {} : { readAt: lastLiveAt }),
      isKnown,
    })),
    stops: world.kernel.stops.inForce(),
    sessions,
    agents: [...world.definitions.keys()],
    ungoverned,
  };
}
