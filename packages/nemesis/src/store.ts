// store.ts: where the state of a run lives.

import { join } from 'node:path';
import { redisStore } from '@offswitch/redis';
import { type Clock, folderStore, type StateStore } from '@offswitch/runtime';
import type { WorkerSetup } from './switches.ts';

export function openStore({ folder, redis, leaseMs }: WorkerSetup, clock: Clock): StateStore {
  if (redis === undefined) return folderStore(folder, { clock, watchPollMs: 100 });
  return redisStore({ url: redis, leaseMs, clock, anchor: join(folder, 'redis.json') });
}
