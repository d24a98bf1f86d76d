// store.process.test.ts: both contracts, over a real Redis.

import { describeLineageStore, describeStateStore, type LocalRedis, startLocalRedis } from '@offswitch/testing';
import { afterAll, beforeAll } from 'vitest';
import { fleet } from './fleet.ts';
import { describeRedis } from './real-redis.ts';

describeRedis('a store in Redis', () => {
  let server: LocalRedis;
  beforeAll(async () => {
    server = await startLocalRedis();
  });
  afterAll(() => server.close());

  describeStateStore('redis', () => fleet(server));
  describeLineageStore('redis', () => fleet(server));
});
