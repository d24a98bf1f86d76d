// hearing.process.test.ts: events that are gone from the control stream before a process has read them, over a real Redis. The stop that one
// of them told of is in force all the same: who misses an event reads everything again.

import { formatStopKey, type StateStore, subjectKey } from '@offswitch/runtime';
import { type LocalRedis, startLocalRedis } from '@offswitch/testing';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Fleet, fleet } from './fleet.ts';
import { describeRedis } from './real-redis.ts';
import { until } from './until.ts';

const details = { reason: 'it went wrong', by: 'ada', at: 1000 };
const stopKey = (id: string): string =>
  formatStopKey({ kind: 'act', cause: 'operator', action: 'terminate', tier: 'instance', subject: subjectKey(id), id: 'o-1' });

describeRedis('an event of the control stream that nobody can read any more', () => {
  let server: LocalRedis;
  const open: Fleet[] = [];
  beforeAll(async () => {
    server = await startLocalRedis();
  });
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
  });
  afterAll(() => server.close());

  /** `reader` notes what it hears, and whether it was cut off then. */
  const two = async (options: Parameters<typeof fleet>[1] = {}) => {
    const ships = await fleet(server, options);
    open.push(ships);
    const { store: reader } = ships;
    const other: StateStore = await ships.share();
    for (const store of [reader, other]) {
      await store.open({ runsSessions: true });
      await store.serve?.(async () => ({}), { keepsAlive: false });
    }
    const heard = new Map<string, boolean>();
    reader.watch(({ stops = [] }) => {
      for (const { key } of stops) heard.set(key, reader.lineage.isCutOff());
    });
    return { ships, reader, other, heard, mark: (id: string) => other.mark(stopKey(id), 'engaged', 0, details) };
  };
  const stream = (ships: Fleet): string => ships.key('ev');
  const losses: Readonly<Record<string, (ships: Fleet) => Promise<string>>> = {
    'was deleted': async (ships) => {
      const [id] = (await server.command('XREVRANGE', stream(ships), '+', '-', 'COUNT', '1')).split('\n');
      return server.command('XDEL', stream(ships), id!);
    },
    'was trimmed away with all before it': (ships) => server.command('XTRIM', stream(ships), 'MAXLEN', '0'),
  };

  for (const [what, lose] of Object.entries(losses)) {
    test(`because it ${what} is missed by who reads on, and its stop is known before that confirms the next (I1)`, async () => {
      const { ships, reader, other, heard, mark } = await two({ leaseMs: 20_000, timeoutMs: 8_000 });
      await mark('first');
      expect((await other.lineage.confirm(stopKey('first'), 0)).unconfirmed).toEqual([]);
      const proxy = ships.proxies.get(reader)!;
      // What Redis answers takes seconds, and what comes after it is asked for then.
      await proxy.mode('slow');
      await mark('slow');
      await mark('missed');
      expect(Number(await lose(ships))).toBeGreaterThan(0);
      await mark('next');
      await proxy.heal();
      expect((await other.lineage.confirm(stopKey('next'), 0)).unconfirmed).toEqual([]);
      expect([...heard.keys()].sort()).toEqual(['first', 'missed', 'next', 'slow'].map(stopKey).sort());
    });

    test(`because it ${what} while a process was cut off is missed by it, and its stop is known before that may go on (I1)`, async () => {
      const { ships, reader, heard, mark } = await two();
      await ships.lease!.cut(reader);
      await ships.lease!.runOut(reader);
      await mark('missed');
      expect(Number(await lose(ships))).toBeGreaterThan(0);
      await ships.lease!.mend(reader);
      await until('it may go on', () => !reader.lineage.isCutOff());
      expect([...heard]).toEqual([[stopKey('missed'), true]]);
    });
  }

  test('because it was told while a process was cut off is made good when that is back: what a process that is gone had lent is taken back (I4)', async () => {
    const { ships, reader, other } = await two();
    await ships.proxies.get(reader)!.mode('refuse');
    let isTold = false;
    reader.watch((change) => {
      isTold ||= change.isOrphaned === true;
    });
    await other.close();
    expect((await server.command('ZRANGE', ships.key('lease'), '0', '-1')).split('\n')).toEqual([reader.processId]);
    expect(isTold).toBe(false);
    await ships.proxies.get(reader)!.heal();
    await until('it looks for what was left', () => isTold);
  });
});
