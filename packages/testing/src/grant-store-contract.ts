// grant-store-contract.ts: what every store promises that keeps grants, as one suite that each runs over a state store.
//
//   describeGrantStore('folder', async () => ({ store, reopen, share, close }));

import type { GrantRecord, GrantStore, StateStore } from '@offswitch/runtime';
import { afterEach, describe, expect, test } from 'vitest';
import type { StoreHarness } from './store-contract.ts';

function grantsOf(store: StateStore): GrantStore {
  if (!store.grants) throw new Error(`the store ${store.name} keeps no grants`);
  return store.grants;
}

const grant = (store: StateStore, id: string, more: Partial<GrantRecord> = {}): GrantRecord => ({
  id,
  session: 's-1',
  path: ['s-0', 's-1'],
  broker: 'mail',
  audience: '',
  scope: ['send'],
  process: store.processId,
  state: 'issuing',
  at: 1_000,
  expiresAt: 9_000,
  ...more,
});

const idsOf = async (store: StateStore, root?: string): Promise<string[]> =>
  (await grantsOf(store).list(root)).map(({ record }) => record.id).sort();

/** Runs the contract. `make` returns a fresh, empty state each time. */
export function describeGrantStore(name: string, make: () => Promise<StoreHarness>): void {
  const made: StoreHarness[] = [];
  const opened = async (): Promise<{ readonly harness: StoreHarness; readonly store: StateStore }> => {
    const harness = await make();
    made.push(harness);
    await harness.store.open();
    return { harness, store: harness.store };
  };

  describe(`a store of grants: ${name}`, () => {
    afterEach(async () => {
      for (const harness of made.splice(0)) await harness.close();
    });

    test('keeps a grant across a crash, and knows that its owner is gone', async () => {
      const { harness, store } = await opened();
      const issuing = grant(store, 'g-1');
      await grantsOf(store).put(issuing);
      const active: GrantRecord = { ...issuing, state: 'active', at: 1_001, ref: 'r', expiresAt: 8_000 };
      await grantsOf(store).put(active);
      const next = await harness.reopen();
      await next.open();
      expect(await grantsOf(next).list()).toEqual([{ record: active, isOwnerAlive: false }]);
    });

    test('takes many at once and loses none', async () => {
      const { harness, store } = await opened();
      const ids = Array.from({ length: 40 }, (_, n) => `g-${n}`).sort();
      await Promise.all(ids.map((id) => grantsOf(store).put(grant(store, id))));
      const next = await harness.reopen();
      await next.open();
      expect(await idsOf(next)).toEqual(ids);
    });

    test('keeps what one process writes in the order in which it was written', async () => {
      const { store } = await opened();
      const grants = grantsOf(store);
      await Promise.all([
        grants.put(grant(store, 'g-1')),
        grants.put(grant(store, 'g-1', { state: 'revoking', at: 1_002, evidence: 'first' })),
        grants.put(grant(store, 'g-1', { state: 'revoking', at: 1_002, evidence: 'second' })),
      ]);
      expect((await grants.list())[0]!.record).toMatchObject({ state: 'revoking', evidence: 'second' });
    });

    test('joins what two processes wrote: the later state stands, whoever wrote last (I10)', async () => {
      const { harness, store } = await opened();
      const other = await harness.share();
      await other.open();
      await grantsOf(store).put(grant(store, 'g-1', { state: 'active', ref: 'r' }));
      await grantsOf(other).put(grant(store, 'g-1', { state: 'revoked', at: 2_000, evidence: 'by the other' }));
      await grantsOf(store).put(grant(store, 'g-1', { state: 'active', at: 3_000, ref: 'r' }));
      await grantsOf(store).put(grant(store, 'g-2', { state: 'revoked', at: 2_000 }));
      await grantsOf(other).put(grant(store, 'g-2', { state: 'active', at: 3_000, ref: 'r' }));
      for (const one of [store, other]) {
        const joined = new Map((await grantsOf(one).list()).map(({ record }) => [record.id, record]));
        expect(joined.get('g-1')).toMatchObject({ state: 'revoked', evidence: 'by the other', ref: 'r' });
        expect(joined.get('g-2')).toMatchObject({ state: 'revoked', at: 2_000, ref: 'r' });
      }
      await other.close();
    });

    test('lists one graph apart from the others', async () => {
      const { store } = await opened();
      await grantsOf(store).put(grant(store, 'g-1'));
      await grantsOf(store).put(grant(store, 'g-2', { session: 's-9', path: ['s-9'] }));
      expect([await idsOf(store), await idsOf(store, 's-0'), await idsOf(store, 's-9'), await idsOf(store, 's-1')]).toEqual([
        ['g-1', 'g-2'],
        ['g-1'],
        ['g-2'],
        [],
      ]);
    });

    test('forgets a grant with everything that anybody wrote of it', async () => {
      const { harness, store } = await opened();
      const other = await harness.share();
      await other.open();
      for (const one of [store, other]) await grantsOf(one).put(grant(store, 'g-1', { state: 'revoked' }));
      await grantsOf(store).put(grant(store, 'g-2'));
      await grantsOf(other).remove([grant(store, 'g-1')]);
      expect([await idsOf(store), await idsOf(other)]).toEqual([['g-2'], ['g-2']]);
      await other.close();
    });
  });
}
