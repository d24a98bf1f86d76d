// audit-contract.ts: what every store promises that keeps an audit log, and what is left of terminated sessions, as one suite that
// each runs over a state store.
//
//   describeAuditLog('folder', async () => ({ store, reopen, share, close }));

import {
  type AuditEntry,
  type AuditLog,
  Auditor,
  canonical,
  type ForensicsStore,
  type StateStore,
  verifyAudit,
} from '@offswitch/runtime';
import { afterEach, describe, expect, test } from 'vitest';
import type { StoreHarness } from './store-contract.ts';

function auditOf(store: StateStore): AuditLog {
  if (!store.audit) throw new Error(`the store ${store.name} keeps no audit log`);
  return store.audit;
}

function bundlesOf(store: StateStore): ForensicsStore {
  if (!store.forensics) throw new Error(`the store ${store.name} keeps no bundles`);
  return store.forensics;
}

/** What a process would append of so many facts, its opening first, which names the chains it finds; nothing is appended yet. */
async function entriesOf(store: StateStore, count: number): Promise<readonly AuditEntry[]> {
  const entries: AuditEntry[] = [];
  const auditor = new Auditor({
    log: () => ({ chains: () => auditOf(store).chains(), append: async (some) => void entries.push(...some) }),
    process: store.processId,
    now: () => 1,
    onTrouble: () => {},
  });
  for (let i = 1; i < count; i++) auditor.note({ type: 'resumed', session: 's-1', by: 'ann', reason: `because “${i}”` });
  await auditor.settled();
  return entries;
}

const linesOf = async (store: StateStore, process: string): Promise<readonly string[]> =>
  (await auditOf(store).chains()).find((chain) => chain.process === process)?.lines ?? [];

/** Runs the contract. `make` returns a fresh, empty state each time. */
export function describeAuditLog(name: string, make: () => Promise<StoreHarness>): void {
  const made: StoreHarness[] = [];
  const opened = async (): Promise<{ readonly harness: StoreHarness; readonly store: StateStore }> => {
    const harness = await make();
    made.push(harness);
    await harness.store.open();
    return { harness, store: harness.store };
  };

  describe(`a store of audit logs and bundles: ${name}`, () => {
    afterEach(async () => {
      for (const harness of made.splice(0)) await harness.close();
    });

    test('has no chain before the first entry of anybody', async () => {
      const { store } = await opened();
      expect(await auditOf(store).chains()).toEqual([]);
    });

    test('keeps entries in the order in which they were appended, byte for byte, when their process is gone', async () => {
      const { harness, store } = await opened();
      const entries = await entriesOf(store, 1_500);
      await auditOf(store).append(entries.slice(0, 1));
      await auditOf(store).append(entries.slice(1));
      const next = await harness.reopen();
      await next.open();
      expect(await linesOf(next, store.processId)).toEqual(entries.map(canonical));
    });

    test('holds each entry once, whatever part of it is asked for again (I10)', async () => {
      const { store } = await opened();
      const entries = await entriesOf(store, 5);
      for (const end of [2, 2, 5, 5]) await auditOf(store).append(entries.slice(0, end));
      expect(await linesOf(store, store.processId)).toEqual(entries.map(canonical));
    });

    test('keeps the chains of several processes apart, and shows all of them to each', async () => {
      const { harness, store } = await opened();
      const other = await harness.share();
      await other.open();
      for (const one of [store, other]) await auditOf(one).append(await entriesOf(one, 3));
      for (const one of [store, other]) {
        const chains = await auditOf(one).chains();
        expect(new Set(chains.map(({ process }) => process))).toEqual(new Set([store.processId, other.processId]));
        expect(verifyAudit(chains)).toMatchObject({ findings: [], entries: 6 });
      }
      await other.close();
    });

    test('keeps a bundle as it was written, for every process, and when the one that wrote it is gone', async () => {
      const { harness, store } = await opened();
      const text = `{"reason":"odd \u202eletters, \u{1f6d1}","long":"${'x'.repeat(100_000)}"}\n`;
      await bundlesOf(store).writeBundle('s-1', text);
      const other = await harness.share();
      await other.open();
      expect(await bundlesOf(other).readBundle('s-1')).toBe(text);
      await other.close();
      const next = await harness.reopen();
      await next.open();
      expect(await bundlesOf(next).readBundle('s-1')).toBe(text);
    });

    test('replaces a bundle that is written again, and has none of a session of which none was written', async () => {
      const { store } = await opened();
      await bundlesOf(store).writeBundle('s-1', 'a longer first text');
      await bundlesOf(store).writeBundle('s-1', 'second');
      expect(await bundlesOf(store).readBundle('s-1')).toBe('second');
      expect(await bundlesOf(store).readBundle('s-2')).toBeUndefined();
    });
  });
}
