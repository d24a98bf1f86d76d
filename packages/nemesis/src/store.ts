// store.ts: where the state of a run lives.

import { join } from 'node:path';
import { redisStore } from '@offswitch/redis';
import { type Clock, folderStore, type StateStore } from '@offswitch/runtime';
import { broken } from './broken.ts';
import type { WorkerSetup } from './switches.ts';

export function openStore({ folder, redis, leaseMs, broken: fault }: WorkerSetup, clock: Clock): StateStore {
  const store =
    redis === undefined
      ? folderStore(folder, { clock, watchPollMs: 100 })
      : redisStore({ url: redis, leaseMs, clock, anchor: join(folder, 'redis.json') });
  if (fault !== undefined) broken[fault]!.breakStore?.(store);
  return store;
}
