// receipts-left-open.test.ts: what the receipt of a terminate left open when everybody who knew of it died is learned by whoever starts next.

import { formatStopKey, type ReceiptPart, type ReceiptSession } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { elsewhere, neverBegun, notHeard } from '../src/receipt-join.ts';
import { settle, type TestWorld, world } from './world.ts';

const key = formatStopKey({ kind: 'act', cause: 'operator', action: 'terminate', tier: 'instance', subject: 's-root', id: 'c1' });

const open = (session: string, why: string): ReceiptSession => ({
  session,
  path: ['s-root', session],
  agent: 'helper',
  workflow: 'alpha',
  state: 'unconfirmed',
  why,
  checkpointTurn: 0,
  calls: [],
});

const register = ({ lineage }: TestWorld['store'], path: readonly string[]) =>
  lineage.register({ session: path.at(-1)!, path, agent: 'helper', workflow: 'alpha', isLocalRoot: true });

/** A stop that everybody had confirmed, and the last word of a process that is gone. */
async function left(w: TestWorld, sessions: readonly ReceiptSession[]): Promise<void> {
  const details = { reason: 'bad letters', by: 'ann', at: 7, subject: 's-root' };
  await w.store.mark(key, 'engaged', 0, details);
  await w.runtime.refresh();
  await settle(w.clock);
  const stages = { recorded: 8, fenced: 9, drained: 9, revoked: 9, done: 9 };
  const [own] = await w.runtime.receipts();
  const part: ReceiptPart = { ...own!, stages, sessions, process: 'p-gone', at: 9, others: [], missing: {} };
  const gone = w.store.share();
  await gone.writeReceipt(part);
  for (const path of [['s-root'], ['s-root', 's-1']]) await register(gone, path);
}

const receiptOf = async (w: TestWorld) => (await w.runtime.receipts()).find(({ stop }) => stop.id === key)!;
const told = async (w: TestWorld) => (await receiptOf(w)).sessions;

describe('a terminate that was called done, of which nobody lives who knew what became of a session', () => {
  test.each([elsewhere, notHeard])(
    'says that it had never begun where nothing of it was written down, whatever was said of it before: %s (S10)',
    async (why) => {
      const w = await world();
      await left(w, [open('s-1', why)]);
      expect(await told(w)).toMatchObject([{ session: 's-1', state: 'unconfirmed' }]);
      const again = await w.restart();
      await settle(again.clock, 5_000);
      expect(await told(again)).toMatchObject([{ session: 's-1', state: 'stopped', why: neverBegun }]);
      // Everything is known now: the next has nothing to go on with.
      expect((await again.store.receiptsToGoOn([{ id: key, isForGood: true }])).size).toBe(0);
    },
  );

  test('does not say so of one that is not registered any more, or has ended: its records may have been cleared away (S10)', async () => {
    const w = await world();
    await left(w, [open('s-cleared', elsewhere), open('s-1', elsewhere)]);
    w.store.lineage.note('s-1', 's-root', 'completed');
    const again = await w.restart();
    await settle(again.clock, 20_000);
    expect(await told(again)).toMatchObject([
      { session: 's-cleared', state: 'unconfirmed', why: elsewhere },
      { session: 's-1', state: 'unconfirmed', why: elsewhere },
    ]);
  });

  test('says so of one that a store which keeps every session never took in, while it knows its graph, and not when that is cleared away (S10)', async () => {
    const w = await world();
    const cleared = { ...open('s-cleared', elsewhere), path: ['s-root-cleared', 's-cleared'] };
    await left(w, [open('s-never', elsewhere), cleared]);
    const store = w.store.reopen();
    Object.assign(store.lineage, { registersAll: true });
    const again = await world({ store, clock: w.clock, source: w.source as never });
    await settle(again.clock, 20_000);
    expect(await told(again)).toMatchObject([
      { session: 's-never', state: 'stopped', why: neverBegun },
      { session: 's-cleared', state: 'unconfirmed', why: elsewhere },
    ]);
  });

  test('says how it ended where its records do (S10)', async () => {
    const w = await world();
    await left(w, [open('s-1', elsewhere), open('s-2', elsewhere)]);
    const store = w.store.reopen();
    store.lineage.ends = async () =>
      new Map([
        ['s-1', { t: 'settled', s: 's-1', e: 1, at: 8, status: 'terminated', stopId: key }],
        ['s-2', { t: 'settled', s: 's-2', e: 1, at: 8, status: 'completed' }],
      ]);
    const again = await world({ store, clock: w.clock, source: w.source as never });
    await settle(again.clock, 5_000);
    expect(await told(again)).toMatchObject([
      { session: 's-1', state: 'stopped' },
      { session: 's-2', state: 'already-ended' },
    ]);
  });
});

describe('a terminate that was over when a process started', () => {
  test('is done again where another went on with it, and waits for the word of that one too (S10)', async () => {
    const w = await world();
    await left(w, []);
    const late = await w.restart();
    await settle(late.clock);
    const over = await receiptOf(late);
    expect(over.stages.done).toBeDefined();
    const another = late.store.share();
    const others = [late.store.processId];
    await another.writeReceipt({ ...over, process: another.processId, at: 10, sessions: [], others, missing: {} });
    expect((await receiptOf(late)).stages.done).toBeUndefined();
    await settle(late.clock, 5_000);
    expect((await receiptOf(late)).stages.done).toBeDefined();
  });

  test('is gone on with where another did so, and died while it did not know what became of a session (S10)', async () => {
    const w = await world();
    await left(w, []);
    const late = await w.restart();
    await settle(late.clock);
    const another = late.store.share();
    await another.open();
    const sessions = [open('s-1', elsewhere)];
    await another.writeReceipt({
      ...(await receiptOf(late)),
      process: another.processId,
      at: 10,
      sessions,
      others: [],
      missing: {},
    });
    await another.close();
    expect(await told(late)).toMatchObject([{ session: 's-1', state: 'unconfirmed' }]);
    await settle(late.clock, 10_000);
    expect(await told(late)).toMatchObject([{ session: 's-1', state: 'stopped', why: neverBegun }]);
  });
});
