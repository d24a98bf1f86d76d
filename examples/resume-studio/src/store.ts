// store.ts: where stops, checkpoints and receipts are kept: made here and nowhere else, once in each process.

import { join } from 'node:path';
import { redisStore } from '@offswitch/redis';
import { folderStore, type StateStore } from 'offswitch';
import type { Options } from './options.ts';

export type StoreName = 'folder' | 'redis';
export const storeNames: readonly StoreName[] = ['folder', 'redis'];

/** How long a process of the studio may go on without Redis, and so how long what a killed one ran waits to be taken up. Milliseconds. */
export const leaseMs = 5_000;

/** With `redis`, `env` says where it is. */
export function openStore(options: Options, env: Readonly<Record<string, string | undefined>>): StateStore {
  switch (options.store) {
    case 'folder':
      return folderStore(options.state);
    case 'redis':
      return redisStore({ url: env.REDIS_URL ?? '', leaseMs, anchor: join(options.state, 'redis.json') });
  }
}
