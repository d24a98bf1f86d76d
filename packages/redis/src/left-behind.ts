// left-behind.ts: what processes that are gone left in Redis, for one who only looks: nothing is taken over and no process is joined.

import type { Journals } from '@offswitch/runtime';
import { processesIn } from './confirm.ts';
import { linksToOwner } from './connection/cluster.ts';
import { Wire } from './connection/wire.ts';
import { readLeft } from './journals.ts';
import { refused } from './lineage.ts';
import { type RedisStoreOptions, settingsOf } from './options.ts';
import { placeOf } from './place.ts';
import { localRootsOf } from './registry.ts';

/**
 * The journals of what processes that are gone ran, and nobody has taken up; with `roots` those of these whole graphs as well, under the processes
 * that live. Rejects with `store_failed` where Redis cannot be read; a record that cannot be read as one is told as damage.
 */
export async function readRedisJournals(
  place: Pick<RedisStoreOptions, 'url' | 'client' | 'prefix'>,
  roots: readonly string[] = [],
): Promise<Journals> {
  const { prefix, timeoutMs } = settingsOf(place);
  const wire = new Wire({ open: linksToOwner(place, prefix), timeoutMs, prefix, where: placeOf(place, prefix) });
  try {
    const left = new Map<string, string>();
    for (const { id, isAlive } of processesIn(await wire.fn('list').catch(refused))) {
      if (isAlive) continue;
      for (const { session, root } of await localRootsOf(wire, prefix, id).catch(refused)) left.set(`${root}\n${session}`, root);
    }
    const isLeft = (localRoot: string, root: string): boolean => left.has(`${root}\n${localRoot}`);
    const gone = await readLeft(wire, prefix, [...new Set(left.values())], isLeft);
    const others = await readLeft(wire, prefix, [...new Set(roots)], (localRoot, root) => !isLeft(localRoot, root));
    return { journals: [...gone.journals, ...others.journals.map((one) => ({ ...one, alive: true }))] };
  } catch (error) {
    if (error instanceof Error && /is damaged at/.test(error.message)) return { journals: [], damage: error.message };
    throw error;
  } finally {
    wire.close();
  }
}
