// joining.process.test.ts: a process that was opened while Redis is away, and joins when it is back.

import { redisStore } from '@offswitch/redis';
import { formatStopKey, type RuntimeError, subjectKey, systemClock } from '@offswitch/runtime';
import { type LocalRedis, startLocalRedis } from '@offswitch/testing';
import { createClient } from 'redis';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { RedisClientLike } from '../src/connection/link.ts';
import { functionName } from '../src/lua/library.ts';
import { type Fleet, fleet, leaseMs } from './fleet.ts';
import { describeRedis } from './real-redis.ts';
import { until } from './until.ts';

const details = { reason: 'it went wrong', by: 'ada', at: 1000 };
const key = formatStopKey({
  kind: 'act',
  cause: 'operator',
  action: 'terminate',
  tier: 'instance',
  subject: subjectKey('s-1'),
  id: 'o-1',
});

/** A client of an application; `before`: called with each command, which is sent when it resolves. */
function clientOf(url: string, before: (argv: readonly string[]) => Promise<void>): RedisClientLike {
  return {
    duplicate(overrides) {
      const client = createClient({ url, ...overrides });
      return new Proxy(client, {
        get: (_, name) => {
          if (name === 'connect') return () => before(['connect']).then(() => client.connect());
          if (name === 'sendCommand') return (argv: string[]) => before(argv).then(() => client.sendCommand(argv));
          const value: unknown = Reflect.get(client, name, client);
          return typeof value === 'function' ? value.bind(client) : value;
        },
      });
    },
  };
}

describeRedis('a process that joins', () => {
  let redis: LocalRedis;
  let ships: Fleet;
  beforeAll(async () => {
    redis = await startLocalRedis();
  });
  afterAll(() => redis.close());
  beforeEach(async () => {
    ships = await fleet(redis);
    await ships.store.open();
  });
  afterEach(() => ships.close());

  test('after it was opened while Redis was away does so once, however often it was tried: it acts since (I1, S10)', async () => {
    let isAway = true;
    let tries = 0;
    const before = async ([command = '', , what = '']: readonly string[]): Promise<void> => {
      if (command === 'connect' && isAway) throw new Error('away');
      // The last thing that is asked before it joins: the second try gets there before the first has joined, and goes on after.
      if (command !== 'CONFIG' || what !== 'maxmemory-policy') return;
      if (++tries === 1) await until('a second try', () => tries > 1);
      else await until('the first has joined', () => !store.lineage.isCutOff());
    };
    const store = redisStore({
      client: clientOf(redis.url, before),
      prefix: ships.prefix,
      leaseMs,
      anchor: false,
      // It tries every 50 ms.
      clock: { ...systemClock, setTimeout: (callback, ms) => systemClock.setTimeout(callback, ms / 20) },
    });
    await store.open({ runsSessions: true });
    expect(store.lineage.isCutOff()).toBe(true);
    isAway = false;
    await until('it goes on', () => !store.lineage.isCutOff());
    // Sent after whatever the other tries send.
    await store.stops();
    expect(tries).toBeGreaterThan(1);
    expect(await redis.command('HGET', ships.key('meta'), 'gens')).toBe('2');
    await store.close();
  });

  test('and is closed meanwhile, whenever that is, is not opened, stays on no list, and leaves no timer (I12)', async () => {
    const intervals = vi.spyOn(globalThis, 'setInterval');
    try {
      for (let at = 1; ; at++) {
        let sent = 0;
        let closing: Promise<void> | undefined;
        const before = async (): Promise<void> => {
          if (++sent === at) closing = Promise.resolve().then(() => store.close());
        };
        const store = redisStore({ client: clientOf(redis.url, before), prefix: ships.prefix, leaseMs, anchor: false });
        const opening = await store.open({ runsSessions: true }).catch((error: RuntimeError) => error.code);
        await (closing ?? store.close());
        if (opening !== 'closed') {
          // So many commands it takes to open; what comes after is not before it was opened.
          expect(at).toBeGreaterThan(10);
          break;
        }
        expect(intervals).not.toHaveBeenCalled();
      }
      expect(await redis.command('ZRANGE', ships.key('lease'), '0', '-1')).toBe(ships.store.processId);
    } finally {
      intervals.mockRestore();
    }
  });

  test('while it holds its lease has taken nothing in by that: what it acts on is what it said (I1, S10)', async () => {
    const b = await ships.share();
    await b.open();
    await ships.proxies.get(b)!.mode('black-hole');
    await ships.store.mark(key, 'engaged', 0, details);
    const call = (name: 'join' | 'confirm', ...args: string[]) =>
      redis.command('FCALL', functionName(name), '1', ships.key('ev'), ships.prefix, ...args);
    const id = await redis.command('HGET', ships.key('meta'), 'id');
    await call('join', b.processId, '{}', String(leaseMs), id, 'r-1');
    expect(await call('confirm', ships.store.processId, key, '0')).toContain(`${b.processId}\nwaits`);
  });
});
