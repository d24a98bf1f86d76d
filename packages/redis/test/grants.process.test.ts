// grants.process.test.ts: credentials of a graph that lent many.

import { type LocalRedis, startLocalRedis } from '@offswitch/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fleet } from './fleet.ts';
import { describeRedis } from './real-redis.ts';

describeRedis('credentials in Redis', () => {
  let redis: LocalRedis;
  beforeAll(async () => {
    redis = await startLocalRedis();
  });
  afterAll(() => redis.close());

  test('of one graph are forgotten a thousand in one step: not one look through all for each', async () => {
    const { store, prefix, close } = await fleet(redis, { leaseMs: 20_000, timeoutMs: 8_000 });
    await store.open();
    const ids = Array.from({ length: 1500 }, (_, i) => `g-${i}`);
    await redis.command('HSET', `${prefix}:{r-1}:g`, ...[...ids, 'kept'].flatMap((id) => [`${id}\n${store.processId}`, '{}']));
    await redis.command('CONFIG', 'RESETSTAT');
    await store.grants!.remove(ids.map((id) => ({ id, path: ['r-1'] })));
    expect(await redis.command('HKEYS', `${prefix}:{r-1}:g`)).toBe(`kept\n${store.processId}`);
    const [, looks] = /^cmdstat_hkeys:calls=(\d+)/m.exec(await redis.command('INFO', 'commandstats'))!;
    // Two steps, and the look of this test.
    expect(looks).toBe('3');
    await close();
  });
});
