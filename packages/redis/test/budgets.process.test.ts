// budgets.process.test.ts: sums that Redis keeps of leases are those of the leases, whatever happens to who holds them.

import type { BudgetStore, StateStore } from '@offswitch/runtime';
import { type LocalRedis, startLocalRedis } from '@offswitch/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fleet } from './fleet.ts';
import { describeRedis } from './real-redis.ts';

const keys = ['graph.s-1', 'user.u-1', 'feature.drafts'];
const capMicros = 100_000;
const processes = 3;

interface Lease {
  readonly process: string;
  readonly held: number;
}

const step = fc.record({
  what: fc.constantFrom('lease', 'lease', 'lease', 'settle', 'die', 'reconcile', 'forget'),
  by: fc.nat(processes - 1),
  account: fc.nat(2),
  scopes: fc.subarray(keys, { minLength: 1 }),
  micros: fc.integer({ min: 1, max: 9_000 }),
});

describeRedis('leases of caps in Redis', () => {
  let redis: LocalRedis;
  beforeAll(async () => {
    redis = await startLocalRedis();
  });
  afterAll(() => redis.close());

  /** As they are written, each by itself. */
  async function leasesOf(cap: string): Promise<Lease[]> {
    const flat = await redis.command('EVAL', "return cjson.encode(redis.call('HGETALL', KEYS[1]))", '1', cap);
    const all = JSON.parse(flat) as string[];
    return Array.from({ length: all.length / 2 }, (_, i) => [all[2 * i]!, all[2 * i + 1]!] as const).flatMap(([field, value]) => {
      const [letter, process] = field.split('\n');
      return letter === 'l' ? [{ process: process!, held: Number(value.split(' ')[0]) }] : [];
    });
  }
  const sum = (leases: readonly Lease[]): number => leases.reduce((all, { held }) => all + held, 0);

  test('what processes that are gone had leased is read in pages, each lease of it once, and of those that live none', async () => {
    const ships = await fleet(redis, { leaseMs: 60_000 });
    try {
      const [gone, here] = [ships.store, await ships.share()];
      await gone.open();
      await here.open();
      const accounts = Array.from({ length: 450 }, (_, i) => `s-${i}`);
      const lease = (store: StateStore, account: string) => {
        const scopes = keys.map((key) => ({ key, capMicros }));
        return store.budgets!.lease({ account, scopes, wantMicros: 7, minMicros: 1, toldMicros: 0 });
      };
      await Promise.all(accounts.map((account) => lease(gone, account)));
      await lease(here, 's-0');
      await ships.kill!(gone);
      await redis.command('CONFIG', 'RESETSTAT');
      const orphans = await here.budgets!.orphans();
      const asked = await redis.command('INFO', 'commandstats');
      expect(orphans.map(({ account }) => account).sort()).toEqual(accounts.sort());
      expect(new Set(orphans.map(({ process, grantedMicros }) => `${process} ${grantedMicros}`))).toEqual(
        new Set([`${gone.processId} 7`]),
      );
      expect(Number(/cmdstat_fcall:calls=(\d+)/.exec(asked)?.[1])).toBeGreaterThanOrEqual(4);
    } finally {
      await ships.close();
    }
  });

  test('what is left and what others hold is counted as if every lease were looked at (I8)', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const ships = await fleet(redis, { leaseMs: 60_000 });
        try {
          const stores: StateStore[] = [ships.store, ...(await Promise.all([ships.share(), ships.share()]))];
          for (const one of stores) await one.open();
          const alive = new Set(stores);
          const capOf = (key: string): string => ships.key(`b:${key}`);
          for (const { what, by, account, scopes, micros } of steps) {
            const store = stores[by]!;
            const budgets: BudgetStore = store.budgets!;
            if (what === 'lease' && alive.has(store)) {
              const before = new Map(await Promise.all(scopes.map(async (key) => [key, await leasesOf(capOf(key))] as const)));
              const answer = await budgets.lease({
                account: `s-${account}`,
                scopes: scopes.map((key) => ({ key, capMicros })),
                wantMicros: micros,
                minMicros: 1,
                toldMicros: 0,
              });
              const { spentMicros, leasedMicros } = await budgets.spent(answer.tightest);
              expect(answer.remainingMicros).toBe(capMicros - spentMicros - leasedMicros);
              const living = [...alive].map(({ processId }) => processId);
              const others = before.get(answer.tightest)!.filter(({ process }) => living.includes(process));
              // Its own of this name is not another's.
              const after = (await leasesOf(capOf(answer.tightest))).filter(({ process }) => living.includes(process));
              const isNew = after.length > others.length;
              if (isNew) expect([answer.heldElsewhereMicros, answer.holders]).toEqual([sum(others), others.length + 1]);
              else expect(answer.holders).toBe(others.length || 1);
            } else if (what === 'settle') await budgets.settle(`s-${account}`, scopes, micros);
            else if (what === 'die' && alive.size > 1) {
              await redis.command('ZADD', ships.key('lease'), 'XX', '0', store.processId);
              alive.delete(store);
            } else if (what === 'reconcile')
              for (const orphan of await budgets.orphans()) await budgets.reconcile(orphan, micros);
            else if (what === 'forget') await budgets.forget(scopes[0]!);
            for (const key of keys) {
              const leases = await leasesOf(capOf(key));
              expect((await budgets.spent(key)).leasedMicros).toBe(sum(leases));
              for (const { processId } of stores) {
                const own = leases.filter(({ process }) => process === processId);
                expect(await redis.command('HGET', capOf(key), `p\n${processId}`)).toBe(
                  own.length === 0 ? '' : `${sum(own)} ${own.length}`,
                );
              }
            }
          }
        } finally {
          await ships.close();
        }
      }),
      // Each run starts processes, so none is spent on making a failing one smaller.
      { numRuns: 8, endOnFailure: true },
    );
  });
});
