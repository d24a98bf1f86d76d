// pending-stops.ts: a flip that a person made through a vendor's control is latched before any process has read it (stop-key.ts).
// Which of the stops of one subject are such, and which reading's stop takes over from them.
//
// The position at which a pending stop is engaged is the lowest at which a reading may take it over: above what anybody had read
// before the vendor was asked (0: any). A process that is behind still reads an older engage, and the release that came between
// would lift with it what was stopped anew.

import { isEngaged } from '@offswitch/core';
import type { StopEntry } from './stop-entry.ts';
import { awaitedSeries } from './stop-key.ts';

/**
 * Those in force that a live reading which says engaged at `n` takes over. `siblings`: all stops of its tier and subject. Of a source
 * without positions each does: no reading of it releases anything.
 */
export function pendingFor(entry: StopEntry, siblings: readonly StopEntry[], n: number | undefined): readonly StopEntry[] {
  if (siblings.length < 2) return [];
  return siblings.filter((one) => isEngaged(one.marks) && takesOver(entry, one) && (n === undefined || n >= one.marks.engaged));
}

/** Nothing begins or ends with this stop: one that was pending for it, or that it was pending for, is in force beside it. */
export function isSuccession(entry: StopEntry, siblings: readonly StopEntry[]): boolean {
  if (siblings.length < 2) return false;
  return siblings.some(
    (one) => one !== entry && isEngaged(one.marks) && (takesOver(entry, one) || takesOver(one, entry) || awaitSame(entry, one)),
  );
}

/** One that was pending, and the reading's stop that takes over from it. */
export interface Succession {
  readonly from: StopEntry;
  readonly to: StopEntry;
}

/** Those between stops of one tier and subject, both in force: what is told of the first goes on in the second. */
export function successionsIn(siblings: readonly StopEntry[]): readonly Succession[] {
  if (siblings.length < 2) return [];
  const inForce = siblings.filter(({ marks }) => isEngaged(marks));
  return inForce.flatMap((to) => pendingFor(to, inForce, to.marks.engaged).map((from) => ({ from, to })));
}

/** Two that await the same reading: one flip, that was made twice or put anew. */
function awaitSame({ key }: StopEntry, { key: other }: StopEntry): boolean {
  if (key.kind !== 'switch' || other.kind !== 'switch') return false;
  const awaited = awaitedSeries(key.series);
  return awaited !== undefined && awaited === awaitedSeries(other.series);
}

/** Whether the first is a reading's stop, and the second awaits one of its series. */
function takesOver({ key }: StopEntry, { key: other }: StopEntry): boolean {
  if (key.kind !== 'switch' || other.kind !== 'switch' || awaitedSeries(key.series) !== undefined) return false;
  const awaited = awaitedSeries(other.series);
  return awaited !== undefined && (awaited === '' || awaited === key.series);
}
