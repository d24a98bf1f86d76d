// lines.ts: the fleet where there is no terminal: one plain line per change of state.

import type { Runtime, RuntimeEvent, SessionView } from 'offswitch';
import { heldBy, money } from './held.ts';
import { nameOf } from './standing.ts';

/** Sub-agents are told of when they are stopped, not when they come and go as they should. */
const ordinary: readonly SessionView['state'][] = ['running', 'completed'];

/**
 * Prints what changes until the returned function is called. `command`: how the command is called here. `what`: `sessions` leaves out stops
 * and alarms, for a process beside another that tells of the same.
 */
export function printLines(
  runtime: Runtime,
  print: (line: string) => void,
  command: string,
  what: 'sessions' | 'everything' = 'everything',
): () => void {
  const known = new Map<string, { readonly text: string; readonly state: SessionView['state'] }>();
  let changed = new Set<string>();
  let isScheduled = false;
  const look = (): void => {
    isScheduled = false;
    const ids = changed;
    changed = new Set();
    for (const id of ids) {
      const view = runtime.session(id);
      // A tree that has ended is forgotten by the runtime; the end of its root is told by the fleet.
      if (!view) {
        known.delete(id);
        continue;
      }
      const before = known.get(id);
      const held = heldBy(view, command);
      const text = `${view.state}${held && ` - ${held}`}`;
      if (text === before?.text) continue;
      known.set(id, { text, state: view.state });
      const isChild = view.parent !== undefined;
      if (isChild && ordinary.includes(view.state) && ordinary.includes(before?.state ?? 'running')) continue;
      print(`${sessionName(view)} ${view.id} turn ${view.turn} ${money(view.costMicros)} ${text}`);
    }
  };
  return runtime.subscribe((event) => {
    if (event.type === 'session') {
      changed.add(event.session);
      if (isScheduled) return;
      isScheduled = true;
      setImmediate(look);
      return;
    }
    const line = what === 'everything' || isOwn(event) ? newsOf(event) : undefined;
    if (line) print(line);
  });
}

/** Of this process, and not of the switches, which every process reads. */
export function isOwn(event: RuntimeEvent): boolean {
  return event.type === 'breaker' || (event.type === 'alarm' && event.kind === 'store');
}

/** A stop, an alarm or a breaker in one line; undefined for the rest. */
export function newsOf(event: RuntimeEvent): string | undefined {
  switch (event.type) {
    case 'stop': {
      const { stop } = event;
      const by = stop.by === undefined ? '' : ` (${stop.by})`;
      return `${event.engaged ? 'STOP' : 'released'} ${nameOf(stop)}: ${stop.reason}${by}`;
    }
    case 'alarm':
      return `${event.isActive ? 'ALARM' : 'over'}: ${event.message}`;
    case 'breaker':
      return `breaker ${event.breaker}: ${event.value} is over ${event.limit} in ${event.session}${event.tripped ? ', which pauses' : ' (reported only)'}`;
    case 'stage':
    case 'session':
    case 'decision':
      return undefined;
  }
}

export function sessionName(view: SessionView): string {
  const name = view.conversation ?? view.workflow;
  return view.parent === undefined ? name : `${name} > ${view.agent}`;
}
