// budgets-lost.test.ts: what a process had leased for a graph that another has taken from it, while it lives and knows what it spent.

import type { Adoption, BudgetSpending, JournalRecord, StoreChange, Turn } from '@offswitch/runtime';
import type { ManualClock } from '@offswitch/testing';
import { expect, test, vi } from 'vitest';
import { subjectKey } from '../src/stop-key.ts';
import { deferred, settle, type TestWorld, tellingStore, world } from './world.ts';

interface Scene extends TestWorld {
  spent(): Promise<BudgetSpending>;
  lose(id: string): void;
  /** Another process had all that was lost, and is gone. */
  comeBack(): void;
  /** One is gone that had nothing. */
  someoneDied(): void;
}

/** A cap of 1,000 for one user, and a process from which another may take graphs. */
async function scene(): Promise<Scene> {
  const { store, tell } = tellingStore();
  const records: JournalRecord[] = [];
  const { append } = store;
  store.append = (root, record) => {
    records.push(JSON.parse(JSON.stringify(record)) as JournalRecord);
    return append.call(store, root, record);
  };
  let journals: Adoption['journals'] = [];
  vi.spyOn(store.lineage!, 'adopt').mockImplementation(async () => {
    const found = { claims: [], journals };
    journals = [];
    return found;
  });
  const gone = (process: string, of: readonly JournalRecord[]): void => {
    journals = [{ process, alive: false, records: of }];
    tell({ isOrphaned: true } as StoreChange);
  };
  const made = await world({ store, caps: { user: { '*': 1_000 } } });
  return {
    ...made,
    spent: () => store.budgets!.spent(`user.${subjectKey('u-1')}`),
    lose: (id) => tell({ takenOver: [id] }),
    comeBack: () =>
      gone(
        'p-other',
        records.splice(0).map((record) => ({ ...record, e: record.e + 10 })),
      ),
    someoneDied: () => gone('p-gone', []),
  };
}

const pay = (turn: Turn, name: string, costMicros: number, maxCostMicros?: number): Promise<number> =>
  turn.model(
    name,
    async () => 1,
    () => ({ costMicros }),
    maxCostMicros === undefined ? {} : { maxCostMicros },
  );
const never = (): Promise<never> => new Promise(() => {});

/** The id of one that has paid 100 three times and is under way. */
async function paidThrice({ runtime, clock }: TestWorld): Promise<string> {
  const agent = runtime.agent('alpha', async (session) => {
    for (let i = 0; i < 3; i++) await session.turn((turn) => pay(turn, 'm', 100, 100));
    await session.turn(never);
  });
  const { id } = agent.start(undefined, { userId: 'u-1' });
  await settle(clock, 50);
  return id;
}

/** What the store is told of a lost lease waits for this. */
function heldUp({ store }: TestWorld): { go(): void } {
  const gate = deferred();
  const { reconcile } = store.budgets!;
  store.budgets!.reconcile = async (...said) => {
    await gate.promise;
    return reconcile.apply(store.budgets, said);
  };
  return { go: gate.resolve };
}

const settleFor = async (clock: ManualClock, times: number, ms: number): Promise<void> => {
  for (let i = 0; i < times; i++) await settle(clock, ms);
};

test('a graph that is lost while a call waits for what the dead have spent is no more stuck than that, and the runtime closes (I14)', async () => {
  const s = await scene();
  const slow = deferred();
  const { orphans } = s.store.budgets!;
  s.store.budgets!.orphans = async () => {
    await slow.promise;
    return orphans.call(s.store.budgets);
  };
  s.someoneDied();
  await settle(s.clock);
  const agent = s.runtime.agent('alpha', async (session) => {
    while (session.turnNumber < 3) await session.turn((turn) => pay(turn, 'm', 100, 100));
  });
  const { id } = agent.start(undefined, { userId: 'u-1' });
  await settle(s.clock);
  expect(s.runtime.session(id)!.calls).toHaveLength(1);
  s.lose(id);
  await settle(s.clock);
  slow.resolve();
  await settle(s.clock, 1_000);
  s.comeBack();
  await settleFor(s.clock, 10, 10_000);
  expect(s.runtime.session(id)?.state ?? 'completed').toBe('completed');
  const closed = s.runtime.close().then(() => true);
  await settleFor(s.clock, 10, 10_000);
  expect(await Promise.race([closed, false])).toBe(true);
});

test('what was spent before the loss counts beside what the graph spends when it is back, whichever is told first (I8)', async () => {
  const s = await scene();
  const held = heldUp(s);
  let runs = 0;
  const agent = s.runtime.agent('alpha', async (session) => {
    if (runs++ > 0) await session.turn((turn) => pay(turn, 'late', 5));
    else for (let i = 0; i < 3; i++) await session.turn((turn) => pay(turn, 'm', 100, 100));
    await session.turn(never);
  });
  const { id } = agent.start(undefined, { userId: 'u-1' });
  await settle(s.clock, 100);
  s.lose(id);
  await settle(s.clock, 100);
  s.comeBack();
  await settle(s.clock, 6_000);
  expect(runs).toBe(2);
  held.go();
  await settle(s.clock, 6_000);
  expect(await s.spent()).toEqual({ spentMicros: 305, leasedMicros: 0 });
});

test('what a call costs that comes back after the loss, and had reserved nothing, counts beside what the lost lease held (I8)', async () => {
  const s = await scene();
  const held = heldUp(s);
  const reply = deferred();
  const agent = s.runtime.agent('alpha', (session) =>
    session.turn(async (turn) => {
      // The first of the graph: nobody knows what it may cost.
      const first = turn.model(
        'slow',
        () => reply.promise,
        () => ({ costMicros: 5 }),
      );
      for (let i = 0; i < 3; i++) await pay(turn, `m${i}`, 100, 100);
      await first;
      await never();
    }),
  );
  const { id } = agent.start(undefined, { userId: 'u-1' });
  await settleFor(s.clock, 5, 100);
  s.lose(id);
  await settle(s.clock, 100);
  reply.resolve();
  await settle(s.clock, 6_000);
  held.go();
  await settle(s.clock, 6_000);
  expect(await s.spent()).toEqual({ spentMicros: 305, leasedMicros: 0 });
});

test('what was spent above the lease counts too: who spent it lives, and says so (I8)', async () => {
  const s = await scene();
  const agent = s.runtime.agent('alpha', async (session) => {
    await session.turn((turn) => pay(turn, 'm', 900));
    await session.turn(never);
  });
  const { id } = agent.start(undefined, { userId: 'u-1' });
  await settle(s.clock);
  s.lose(id);
  await settleFor(s.clock, 2, 3_000);
  expect(await s.spent()).toEqual({ spentMicros: 900, leasedMicros: 0 });
});

test('of its own cap whoever has the graph now knows that from the journal: it is not said again', async () => {
  const { store, tell } = tellingStore();
  vi.spyOn(store.lineage!, 'adopt').mockImplementation(async () => ({ claims: [], journals: [] }));
  const { runtime, clock } = await world({ store, breakers: { '*': { costMicros: 2_000 } } });
  const agent = runtime.agent('alpha', async (session) => {
    await session.turn((turn) => pay(turn, 'm', 900));
    await session.turn(never);
  });
  const { id } = agent.start(undefined);
  await settle(clock);
  const key = `graph.${subjectKey(id)}`;
  const scopes = [{ key, capMicros: 2_000, atLeastMicros: 900 }];
  await store.share().budgets!.lease({ account: id, scopes, wantMicros: 100, minMicros: 100, toldMicros: 0 });
  tell({ takenOver: [id] });
  await settle(clock, 6_000);
  expect(await store.budgets!.spent(key)).toEqual({ spentMicros: 900, leasedMicros: 100 });
});

test('what could not be given back before the loss counts once (I8)', async () => {
  const s = await scene();
  const id = await paidThrice(s);
  const cut = vi.spyOn(s.store.budgets!, 'settle').mockRejectedValue(new Error('cut off'));
  await settle(s.clock, 6_000);
  expect(cut).toHaveBeenCalled();
  cut.mockRestore();
  s.lose(id);
  await settle(s.clock, 6_000);
  expect(await s.spent()).toEqual({ spentMicros: 300, leasedMicros: 0 });
});

test('a runtime that closes right after the loss waits until it is told what was spent', async () => {
  const s = await scene();
  const id = await paidThrice(s);
  const other = s.store.share();
  const held = heldUp(s);
  s.lose(id);
  const closed = s.runtime.close();
  await settle(s.clock);
  held.go();
  await closed;
  expect(await other.budgets!.spent(`user.${subjectKey('u-1')}`)).toEqual({ spentMicros: 300, leasedMicros: 0 });
});
