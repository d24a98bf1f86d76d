// status.ts: what is so right now, for people and machines. A switch that is not wired must not look live (S13).

import { healthOf } from './guarded-source.ts';
import type { Kernel } from './kernel.ts';
import type { RuntimeStatus } from './view.ts';

/** What no wrapper of ours can govern; shown wherever coverage is shown, and never promised (S9). */
export const ungoverned: readonly string[] = [
  'code that an agent runs outside of turn.model, turn.tool and turn.spawn (a raw fetch, a timer of its own)',
  "tools that the model's provider executes on its side",
  'processes that nobody wrapped',
];

export function statusOf(kernel: Kernel, sessions: Readonly<Record<string, number>>, agents: readonly string[]): RuntimeStatus {
  return {
    process: { pid: process.pid, id: kernel.options.store.processId },
    ...wiringOf(kernel),
    stops: kernel.stops.inForce(),
    sessions,
    agents,
    ungoverned,
  };
}

/** The part of it that does not grow with what runs and what was ever stopped. */
export function wiringOf(kernel: Kernel): Pick<RuntimeStatus, 'source' | 'store' | 'switches'> {
  const { source, store } = kernel.options;
  return {
    source: {
      name: source.name,
      ...(source.location === undefined ? {} : { location: source.location }),
      health: healthOf(source),
    },
    store: {
      name: store.name,
      ...(store.location === undefined ? {} : { location: store.location }),
      health: { ...store.health },
    },
    switches: [...kernel.switchboard.flags].map(({ flag, trouble, older, last, lastLiveAt, isKnown }) => ({
      flag,
      state: trouble ? ('unknown' as const) : (last?.state ?? ('unknown' as const)),
      ...(trouble ? { cause: trouble.cause, message: trouble.message } : older === undefined ? {} : { message: older }),
      ...(lastLiveAt === undefined ? {} : { readAt: lastLiveAt }),
      ...(last === undefined ? {} : { position: last.position }),
      isKnown,
    })),
  };
}

/** How many there are of each state. */
export function countStates(views: Iterable<{ readonly state: string }>): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { state } of views) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}
