// seen.ts: the highest position at which anybody has read a vendor's switch, before the vendor is asked to flip it.
//
// A process that is behind may read an older engage after the flip was made; only what is above this can be the flip (S3).

import type { SwitchFlag } from '@offswitch/core';
import { parseStopKey, type StoredStop, seriesKey } from '@offswitch/runtime';
import type { Command } from './command.ts';
import { type FlipTarget, targetKey } from './flip.ts';
import { askAll, statusIn } from './wire.ts';

/**
 * Of the stops in the state folder and of what the running processes read; `undefined` where nobody has read a position. `series`:
 * the application's, where it is known. Never rejects: a stop is made without it too.
 */
export async function seenAtVendor(
  command: Command,
  flag: SwitchFlag,
  target: FlipTarget,
  series: string | undefined,
): Promise<number | undefined> {
  const [stored, statuses] = await Promise.all([
    command.place.stops().catch((): readonly StoredStop[] => []),
    askAll(command.place, 'status', {}, statusIn),
  ]);
  const seen: number[] = [];
  for (const { value } of statuses.answered)
    for (const { key, n, series: read } of value.switches)
      if (key === flag.key && n !== undefined && (series === undefined || read === series)) seen.push(n);
  for (const { key: name, marks } of stored) {
    const key = parseStopKey(name);
    // Another vendor's counter says nothing of this one's.
    if (key?.kind !== 'switch' || series === undefined || key.series !== seriesKey(series)) continue;
    if (key.tier === target.tier && key.subject === targetKey(target)) seen.push(marks.engaged, marks.released);
  }
  const highest = Math.max(-1, ...seen.filter(Number.isSafeInteger));
  return highest < 0 ? undefined : highest;
}
