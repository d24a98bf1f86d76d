// pending-stops.ts: a flip that a person made through a vendor's control is latched before any process has read it (stop-key.ts).
// Which of the stops of one subject are such, and which reading's stop takes over from them.

import { isEngaged } from '@offswitch/core';
import type { StopEntry } from './stop-entry.ts';
import { awaitedSeries } from './stop-key.ts';

/** Those in force that await a live engaged reading of this switch's stop's series. `siblings`: all stops of its tier and subject. */
export function pendingFor(entry: StopEntry, siblings: readonly StopEntry[]): readonly StopEntry[] {
  if (siblings.length < 2) return [];
  return siblings.filter((one) => isEngaged(one.marks) && takesOver(entry, one));
}

/** Nothing begins or ends with this stop: one that was pending for it, or that it was pending for, is in force beside it. */
export function isSuccession(entry: StopEntry, siblings: readonly StopEntry[]): boolean {
  if (siblings.length < 2) return false;
  return siblings.some((one) => isEngaged(one.marks) && (takesOver(entry, one) || takesOver(one, entry)));
}

/** Whether the first is a reading's stop, and the second awaits one of its series. */
function takesOver({ key }: StopEntry, { key: other }: StopEntry): boolean {
  if (key.kind !== 'switch' || other.kind !== 'switch' || awaitedSeries(key.series) !== undefined) return false;
  const awaited = awaitedSeries(other.series);
  return awaited !== undefined && (awaited === '' || awaited === key.series);
}
