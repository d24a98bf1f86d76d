// store.process.test.ts: the contracts of a store, over a real Redis.

import {
  describeAuditLog,
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

/** What is asked here has nothing to do with time: a server that answers late on a busy machine has not been lost. */
const patient = { leaseMs: 20_000, timeoutMs: 8_000 };
/** The same, but some of it comes with a renewal, every third of a lease, and the contract waits for 10 s. */
const renewing = { leaseMs: 12_000, timeoutMs: 4_000 };

describeRedis('a store in Redis', () => {
  let server: LocalRedis;
  beforeAll(async () => {
    server = await startLocalRedis();
  });
  afterAll(() => server.close());

  describeStateStore('redis', () => fleet(server, patient));
  describeBudgetStore('redis', () => fleet(server, patient));
  describeGrantStore('redis', () => fleet(server, patient));
  describeAuditLog('redis', () => fleet(server, patient));
  describeLineageStore('redis', () => fleet(server, renewing));
});
