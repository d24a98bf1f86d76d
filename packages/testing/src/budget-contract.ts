// budget-contract.ts: what every store promises of caps that several processes spend of, as one suite that each runs.
//
//   describeBudgetStore('folder', async () => ({ store, reopen, share, close }));

import type { BudgetRequest, BudgetStore, StateStore } from '@offswitch/runtime';
import { afterEach, describe, expect, test } from 'vitest';
import type { StoreHarness } from './store-contract.ts';

const user = 'user.u-1';
const graph = 'graph.s-1';

function request(keys: Readonly<Record<string, number>>, wantMicros: number, more: Partial<BudgetRequest> = {}): BudgetRequest {
  const scopes = Object.entries(keys).map(([key, capMicros]) => ({ key, capMicros }));
  return { account: 's-1', scopes, wantMicros, minMicros: 1, toldMicros: 0, ...more };
}

/** Opened, and alive to others. */
async function enter(store: StateStore): Promise<BudgetStore> {
  await store.open();
  await store.serve?.(async () => undefined);
  if (!store.budgets) throw new Error(`the store ${store.name} keeps no budgets`);
  return store.budgets;
}

/** Runs the contract. `make` returns a fresh, empty state each time. */
export function describeBudgetStore(name: string, make: () => Promise<StoreHarness>): void {
  const made: StoreHarness[] = [];
  const start = async (): Promise<{ harness: StoreHarness; budgets: BudgetStore }> => {
    const harness = await make();
    made.push(harness);
    return { harness, budgets: await enter(harness.store) };
  };

  describe(`a store of budgets: ${name}`, () => {
    afterEach(async () => {
      for (const harness of made.splice(0)) await harness.close();
    });

    test('grants what is wanted, or what is left of the tightest scope, to all scopes alike', async () => {
      const { budgets } = await start();
      const first = await budgets.lease(request({ [graph]: 1_000, [user]: 5_000 }, 400));
      expect(first).toMatchObject({ grantedMicros: 400, tightest: graph, remainingMicros: 600, holders: 1 });
      const second = await budgets.lease(request({ 'graph.s-2': 9_000, [user]: 5_000 }, 9_000, { account: 's-2' }));
      expect(second).toMatchObject({ grantedMicros: 4_600, tightest: user, remainingMicros: 0, heldElsewhereMicros: 400 });
      expect(await budgets.spent(graph)).toEqual({ spentMicros: 0, leasedMicros: 400 });
      expect(await budgets.spent(user)).toEqual({ spentMicros: 0, leasedMicros: 5_000 });
      expect(await budgets.spent('graph.s-2')).toEqual({ spentMicros: 0, leasedMicros: 4_600 });
    });

    test('grants nothing, in no scope, where the least wanted does not fit one of them (I8)', async () => {
      const { budgets } = await start();
      const answer = await budgets.lease(request({ [graph]: 1_000, [user]: 300 }, 900, { minMicros: 301 }));
      expect(answer).toMatchObject({ grantedMicros: 0, tightest: user, remainingMicros: 300 });
      expect(await budgets.spent(graph)).toEqual({ spentMicros: 0, leasedMicros: 0 });
      expect((await budgets.lease(request({ [graph]: 1_000, [user]: 300 }, 900, { minMicros: 300 }))).grantedMicros).toBe(300);
    });

    test('settles a lease whole: what was spent stays spent, the rest is free again, more than it too', async () => {
      const { budgets } = await start();
      const keys = { [graph]: 1_000, [user]: 1_000 };
      await budgets.lease(request(keys, 300));
      await budgets.lease(request(keys, 300));
      await budgets.settle('s-1', Object.keys(keys), 250);
      expect(await budgets.spent(user)).toEqual({ spentMicros: 250, leasedMicros: 0 });
      expect((await budgets.lease(request(keys, 1_000))).grantedMicros).toBe(750);
      await budgets.settle('s-1', Object.keys(keys), 800);
      expect(await budgets.lease(request(keys, 100))).toMatchObject({ grantedMicros: 0, remainingMicros: -50 });
    });

    test('counts a settling without a lease, and takes over a spending that it does not know', async () => {
      const { budgets } = await start();
      await budgets.settle('s-1', [graph], 100);
      expect((await budgets.lease(request({ [graph]: 1_000 }, 1))).remainingMicros).toBe(899);
      const known = { ...request({}, 1), scopes: [{ key: graph, capMicros: 1_000, atLeastMicros: 700 }] };
      expect((await budgets.lease(known)).remainingMicros).toBe(298);
      expect(
        (await budgets.lease({ ...known, scopes: [{ key: graph, capMicros: 1_000, atLeastMicros: 5 }] })).remainingMicros,
      ).toBe(297);
    });

    test('never grants more than the cap to processes that ask at once (I8)', async () => {
      const { harness, budgets } = await start();
      const all = [budgets, await enter(await harness.share()), await enter(await harness.share())];
      const asked = all.flatMap((one) =>
        Array.from({ length: 6 }, (_, i) =>
          one.lease(request({ [graph]: 1_000, [user]: 1_000 }, 90, { minMicros: 90, account: `s-${i}` })),
        ),
      );
      const granted = (await Promise.all(asked)).reduce((sum, one) => sum + one.grantedMicros, 0);
      expect(granted).toBe(990);
      expect(await budgets.spent(user)).toEqual({ spentMicros: 0, leasedMicros: 990 });
    });

    test('says how many hold of a cap, and how much others may still give back', async () => {
      const { harness, budgets } = await start();
      const other = await enter(await harness.share());
      await budgets.lease(request({ [graph]: 1_000 }, 400));
      expect(await other.lease(request({ [graph]: 1_000 }, 100))).toMatchObject({ holders: 2, heldElsewhereMicros: 400 });
      await budgets.settle('s-1', [graph], 0);
      expect(await other.lease(request({ [graph]: 1_000 }, 100))).toMatchObject({ holders: 1, heldElsewhereMicros: 0 });
    });

    test('keeps what a dead process had leased as spent, until it is reconciled, once, within what it was granted (I8)', async () => {
      const { harness, budgets } = await start();
      const keys = { [graph]: 1_000, [user]: 2_000 };
      await budgets.lease(request(keys, 600, { toldMicros: 70 }));
      expect(await budgets.orphans()).toEqual([]);
      const after = await enter(await harness.reopen());
      expect(await after.spent(user)).toEqual({ spentMicros: 0, leasedMicros: 600 });
      expect(await after.lease(request(keys, 600))).toMatchObject({ grantedMicros: 400, remainingMicros: 0 });
      await after.settle('s-1', Object.keys(keys), 0);
      const orphans = await after.orphans();
      expect(orphans).toMatchObject([{ process: harness.store.processId, account: 's-1', grantedMicros: 600, toldMicros: 70 }]);
      expect([...orphans[0]!.keys].sort()).toEqual([graph, user]);
      await after.reconcile(orphans[0]!, 250);
      await after.reconcile(orphans[0]!, 250);
      expect(await after.orphans()).toEqual([]);
      expect(await after.spent(graph)).toEqual({ spentMicros: 250, leasedMicros: 0 });
      expect(await after.spent(user)).toEqual({ spentMicros: 250, leasedMicros: 0 });
    });

    test('closes a lease of this process that somebody may have closed, once (I8)', async () => {
      const { harness, budgets } = await start();
      await budgets.lease(request({ [graph]: 1_000, [user]: 2_000 }, 600));
      const lease = { process: harness.store.processId, account: 's-1', keys: [graph, user] };
      await budgets.reconcile(lease, 250);
      await budgets.reconcile(lease, 250);
      for (const key of lease.keys) expect(await budgets.spent(key)).toEqual({ spentMicros: 250, leasedMicros: 0 });
    });

    test('gives a dead process no credit by reconciling: neither below nothing nor above its lease', async () => {
      const { harness, budgets } = await start();
      await budgets.lease(request({ [graph]: 1_000 }, 600));
      await budgets.lease(request({ [graph]: 1_000 }, 100, { account: 's-2' }));
      const after = await enter(await harness.reopen());
      for (const orphan of await after.orphans()) await after.reconcile(orphan, orphan.account === 's-1' ? -5 : 900);
      expect(await after.spent(graph)).toEqual({ spentMicros: 100, leasedMicros: 0 });
    });

    test('keeps what was spent of a graph whose root has ended, for its sessions elsewhere (I8)', async () => {
      const { harness, budgets } = await start();
      const other = await enter(await harness.share());
      await budgets.lease(request({ [graph]: 1_000 }, 600));
      await other.lease(request({ [graph]: 1_000 }, 300, { account: 's-2' }));
      await budgets.settle('s-1', [graph], 600);
      await budgets.retire(graph);
      await budgets.retire(graph);
      expect(await other.spent(graph)).toEqual({ spentMicros: 600, leasedMicros: 300 });
      await other.settle('s-2', [graph], 200);
      expect(await other.lease(request({ [graph]: 1_000 }, 1_000, { account: 's-2' }))).toMatchObject({ grantedMicros: 200 });
      await budgets.retire('graph.s-unknown');
      expect(await budgets.spent('graph.s-unknown')).toEqual({ spentMicros: 0, leasedMicros: 0 });
    });

    test('forgets a key', async () => {
      const { budgets } = await start();
      await budgets.lease(request({ [graph]: 1_000 }, 600));
      await budgets.settle('s-1', [graph], 600);
      await budgets.forget(graph);
      await budgets.forget(graph);
      expect(await budgets.spent(graph)).toEqual({ spentMicros: 0, leasedMicros: 0 });
    });
  });
}
