// budgets-taken-over.process.test.ts: what a process had leased for a graph that another took over while it was away for a moment: it lives, so
// nobody else says what it spent.

import { defineKillSwitches } from '@offswitch/core';
import { createRuntime, type Runtime, type StateStore } from '@offswitch/runtime';
import { type LocalRedis, memorySource, startLocalRedis } from '@offswitch/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Fleet, fleet } from './fleet.ts';
import { describeRedis } from './real-redis.ts';
import { until } from './until.ts';

const switches = defineKillSwitches({
  global: { authorized: ['on-call'] },
  features: { alpha: { authorized: ['on-call'] }, beta: { authorized: ['on-call'] } },
  user: { authorized: ['on-call'] },
  instance: { authorized: ['on-call'] },
});
const cap = 'user.u-1';

describeRedis('a lease of a graph that was taken over', () => {
  let redis: LocalRedis;
  let ships: Fleet;
  const runtimes: Runtime<'alpha' | 'beta'>[] = [];
  beforeEach(async () => {
    redis = await startLocalRedis();
    ships = await fleet(redis);
  });
  afterEach(async () => {
    for (const one of runtimes.splice(0)) await one.close();
    await ships.close();
    await redis.close();
  });
  const started = async (store: StateStore): Promise<Runtime<'alpha' | 'beta'>> => {
    const runtime = await createRuntime({ switches, source: memorySource(switches), store, caps: { user: { '*': 1_000 } } });
    runtime.subscribe((event) => event.type === 'alarm');
    runtimes.push(runtime);
    return runtime;
  };
  /** It pays 200 and is under way from then on; run again, it pays 100 more, and then is. */
  const pays = (runtime: Runtime<'alpha' | 'beta'>, agent: 'alpha' | 'beta') => {
    let runs = 0;
    return runtime.agent(agent, async (session) => {
      const turns = ++runs === 1 ? 2 : 3;
      while (session.turnNumber < turns)
        await session.turn((turn) =>
          turn.model(
            'm',
            async () => 1,
            () => ({ costMicros: 100 }),
            { maxCostMicros: 100 },
          ),
        );
      await session.turn(() => new Promise(() => {}));
    });
  };
  const rests = (runtime: Runtime<'alpha' | 'beta'>, agent: 'alpha' | 'beta') =>
    runtime.agent(agent, (session) => session.turn(() => new Promise(() => {})));

  /** One has paid for a graph, was gone for a moment in which another took it, and is back before anybody has said what it spent. */
  async function takenOver(): Promise<{ one: Runtime<'alpha' | 'beta'>; two: Runtime<'alpha' | 'beta'>; other: StateStore }> {
    const other = await ships.share();
    const one = await started(ships.store);
    const { id } = pays(one, 'alpha').start(undefined, { userId: 'u-1' });
    await until('it has paid', () => one.session(id)?.turn === 3);
    await ships.store.flush();
    const two = await started(other);
    const lost: string[] = [];
    ships.store.watch((change) => lost.push(...(change.takenOver ?? [])));
    const budgets = other.budgets!;
    const { orphans } = budgets;
    budgets.orphans = async () => {
      await until('one is back', () => lost.includes(id) && !ships.store.lineage!.isCutOff());
      return orphans.call(budgets);
    };
    await redis.command('ZADD', ships.key('lease'), 'XX', '0', ships.store.processId);
    rests(two, 'alpha');
    await until('the other has it', () => two.session(id)?.state === 'running');
    await until('one has lost it', () => lost.includes(id));
    return { one, two, other };
  }

  test('is closed by its own process at what that spent, once it hears of it (I8)', async () => {
    const { other } = await takenOver();
    await until('it is closed', async () => (await other.budgets!.spent(cap)).leasedMicros === 0);
    expect(await other.budgets!.spent(cap)).toEqual({ spentMicros: 200, leasedMicros: 0 });
  });

  test('is closed before the same process, which has the graph again, leases more for it (I8)', async () => {
    const { budgets } = ships.store;
    const { reconcile, lease } = budgets!;
    const asked: string[] = [];
    let close = (): void => {};
    budgets!.reconcile = async (...of) => {
      asked.push('close');
      await new Promise<void>((resolve) => {
        close = resolve;
      });
      await reconcile.apply(budgets, of);
      asked.push('closed');
    };
    const { one, other } = await takenOver();
    budgets!.lease = (request) => {
      asked.push('lease');
      return lease.call(budgets, request);
    };
    await until('it says what it spent', () => asked.length > 0);
    await ships.kill!(other);
    await until('it has the graph again', () => one.sessions()[0]?.calls.some(({ kind }) => kind === 'model') === true);
    close();
    await until('it has paid', () => one.sessions()[0]?.turn === 4);
    expect(asked).toEqual(['close', 'closed', 'lease']);
    await until('nobody uses it', async () => (await budgets!.spent(cap)).leasedMicros === 0);
    expect(await budgets!.spent(cap)).toEqual({ spentMicros: 300, leasedMicros: 0 });
  });

  test('counts as spent where its process died before that, and left other work, whose journal says nothing of that graph (I8)', async () => {
    let die = (): void => {};
    const gone = new Promise<never>((_, reject) => {
      die = () => reject(new Error('it is gone'));
    });
    gone.catch(() => {});
    ships.store.budgets!.reconcile = () => gone;
    const { one, two, other } = await takenOver();
    const { id } = pays(one, 'beta').start(undefined, { userId: 'u-2' });
    await until('it has paid', () => one.session(id)?.turn === 3);
    await ships.store.flush();
    await ships.kill!(ships.store);
    die();
    rests(two, 'beta');
    await until('what it left is taken over', () => two.session(id)?.state === 'running');
    await until('what it spent there is told', async () => (await other.budgets!.spent('user.u-2')).leasedMicros === 0);
    expect((await other.budgets!.spent('user.u-2')).spentMicros).toBe(200);
    const { spentMicros, leasedMicros } = await other.budgets!.spent(cap);
    expect(spentMicros + leasedMicros).toBeGreaterThanOrEqual(200);
  });
});
