// store.process.test.ts: both contracts, over a real Redis.

import {
  describeBudgetStore,
  describeGrantStore,
  describeLineageStore,
  describeStateStore,
  type LocalRedis,
  startLocalRedis,
} from '@offswitch/testing';
import { afterAll, beforeAll } from 'vitest';
import { fleet } from './fleet.ts';
import { describeRedis } from './real-redis.ts';

describeRedis('a store in Redis', () => {
  let server: LocalRedis;
  beforeAll(async () => {
    server = await startLocalRedis();
  });
  afterAll(() => server.close());

  describeStateStore('redis', () => fleet(server, { leaseMs: 20_000 }));
  describeBudgetStore('redis', () => fleet(server, { leaseMs: 20_000 }));
  describeGrantStore('redis', () => fleet(server, { leaseMs: 20_000 }));
  describeLineageStore('redis', () => fleet(server));
});
