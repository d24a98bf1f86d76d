// readme.process.test.ts: what the README promises of a stop, over a real Redis.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { redisStore, requestRedisControl } from '@offswitch/redis';
import { type LocalRedis, startLocalRedis } from '@offswitch/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeRedis } from './real-redis.ts';

describeRedis('a store that two processes open', () => {
  let server: LocalRedis;
  const folder = mkdtempSync(join(tmpdir(), 'offswitch-redis-readme-'));
  beforeAll(async () => {
    server = await startLocalRedis();
  });
  afterAll(async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('takes a stop in one, and the other has heard of it when it is confirmed (I1)', async () => {
    const { url } = server;
    const anchor = join(folder, 'redis.json');
    const heard: string[] = [];
    // On each machine. `store` is what createRuntime({ store }) and openGate({ store }) take.
    const here = redisStore({ url, anchor });
    await here.open();
    const there = redisStore({ url, anchor });
    await there.open();
    there.watch((change) => heard.push(...(change.stops ?? []).map((stop) => stop.key)));

    // What the runtime does with a stop: durable, then refused by every live process.
    const key = 'act.operator.pause.global.-.o-1';
    await here.mark(key, 'engaged', 0, { reason: 'runaway drafts', by: 'ada', at: Date.now() });
    const { confirmed, unconfirmed } = await here.lineage!.confirm(key, 0);
    expect({ confirmed, unconfirmed, heard }).toEqual({ confirmed: [there.processId], unconfirmed: [], heard: [key] });
    await here.serve!(async (method) => ({ method }), { keepsAlive: false });
    expect(await requestRedisControl({ url }, 'status')).toMatchObject([
      { process: here.processId, result: { method: 'status' } },
    ]);
    await here.close();
    await there.close();
  });
});
