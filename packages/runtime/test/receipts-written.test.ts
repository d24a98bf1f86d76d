// receipts-written.test.ts: that what is asked for often is not written as often.

import { memoryStore } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { deferred, settle, type TestWorld, tellingStore, world } from './world.ts';

/** Which receipts were written since it was asked last, by their stops' reasons. */
function writings(w: TestWorld): () => readonly string[] {
  let written: string[] = [];
  const { writeReceipt } = w.store;
  w.store.writeReceipt = (part) => {
    written.push(part.stop.reason);
    return writeReceipt.call(w.store, part);
  };
  return () => {
    const since = written;
    written = [];
    return since;
  };
}

describe('receipts that are asked for, or whose process closes', () => {
  test('are written where something happened since, or is under way, and no more where they are finished (S10)', async () => {
    const w = await world({ store: memoryStore() });
    const written = writings(w);
    const agent = w.runtime.agent('alpha', (session) => session.turn(() => new Promise<never>(() => {})));
    const paid = deferred();
    const paying = w.runtime.agent('beta', (session) =>
      session.turn((turn) => turn.tool('pay', {}, () => paid.promise, { effect: true })),
    );
    for (let n = 0; n < 3; n++) {
      const { id } = agent.start(undefined);
      await w.runtime.stop({ session: id, reason: 'finished', by: 'ann' });
    }
    const { id } = paying.start(undefined);
    await settle(w.clock);
    await w.runtime.stop({ session: id, reason: 'under way', by: 'ann', action: 'pause' });
    await settle(w.clock, 1_000);
    written();
    expect(await w.runtime.receipts()).toHaveLength(4);
    expect(written()).toEqual(['under way']);
    paid.resolve();
    await settle(w.clock, 1_000);
    expect((await w.runtime.receipts()).every(({ stages }) => stages.done !== undefined)).toBe(true);
    written();
    await w.runtime.receipts();
    await w.runtime.close();
    expect(written()).toEqual([]);
  });

  test('are not written again when this process takes over what they do not name', async () => {
    const one = await world({ store: memoryStore() });
    const two = await world({ store: one.store.share(), clock: one.clock, source: one.source as never });
    const agents = [one, two].map((w) => w.runtime.agent('alpha', (session) => session.turn(() => new Promise<never>(() => {}))));
    const { id } = agents[0]!.start(undefined);
    await one.runtime.stop({ session: id, reason: 'finished', by: 'ann' });
    const other = agents[1]!.start(undefined);
    await settle(one.clock, 1_000);
    const written = writings(one);
    two.store.reopen();
    await settle(one.clock, 1_000);
    expect(one.runtime.session(other.id)).toMatchObject({ state: expect.not.stringMatching('elsewhere') });
    expect(written()).toEqual([]);
  });

  test('are written again where the store has lost their stop, though they are finished', async () => {
    const { store, tell } = tellingStore();
    const w = await world({ store });
    w.runtime.subscribe(() => {});
    const agent = w.runtime.agent('alpha', (session) => session.turn(() => new Promise<never>(() => {})));
    for (const reason of ['lost', 'kept']) await w.runtime.stop({ session: agent.start(undefined).id, reason, by: 'ann' });
    await settle(w.clock, 1_000);
    const written = writings(w);
    const lost = (await store.stops()).filter(({ engaged }) => engaged?.reason === 'lost');
    tell({ lost });
    await settle(w.clock, 1_000);
    expect(written()).toEqual(['lost']);
  });

  test('are written where that had failed (S10)', async () => {
    const w = await world({ store: memoryStore() });
    w.runtime.subscribe(() => {});
    const { writeReceipt } = w.store;
    w.store.writeReceipt = () => Promise.reject(new Error('EIO'));
    const { id } = w.runtime.agent('alpha', (session) => session.turn(() => new Promise<never>(() => {}))).start(undefined);
    await settle(w.clock);
    await w.runtime.stop({ session: id, reason: 'odd', by: 'ann' });
    await settle(w.clock);
    w.store.writeReceipt = writeReceipt;
    await w.runtime.receipts();
    expect(await w.store.receipts()).toMatchObject([{ stages: { done: expect.any(Number) } }]);
  });
});
