// set-back.test.ts: a store that has lost what it had acknowledged last, and the processes that live on.

import type { ReceiptPart } from '@offswitch/runtime';
import { manualClock, memoryBroker } from '@offswitch/testing';
import { expect, test } from 'vitest';
import { settle, tellingStore, world } from './world.ts';

test('credentials and receipts that a store has lost, with whose last moment they went, are in it again for whoever comes when this process dies (I4, S10)', async () => {
  const clock = manualClock();
  const { store, tell } = tellingStore();
  const w = await world({ clock, store, brokers: { mail: memoryBroker({ now: clock.now }) } });
  const { id } = w.runtime
    .agent('alpha', (session) =>
      session.turn((turn) =>
        turn.tool('send', {}, async (_, context) => {
          await context.grant('mail', { ttlMs: 3_600_000 });
          await new Promise(() => {});
        }),
      ),
    )
    .start(undefined);
  await settle(clock);
  await w.runtime.stop({ session: w.runtime.agent('beta', async () => {}).start(undefined).id, reason: 'told of', by: 'ann' });
  await settle(clock, 1_000);
  const lent = await store.grants!.list();
  expect(lent).toMatchObject([{ record: { session: id, state: 'active' } }]);
  await store.grants!.remove(lent.map(({ record }) => record));
  const written: ReceiptPart[] = [];
  const { writeReceipt } = store;
  store.writeReceipt = (part) => {
    written.push(part);
    return writeReceipt.call(store, part);
  };
  tell({ isSetBack: true });
  await settle(clock, 1_000);
  expect(await store.grants!.list()).toEqual(lent);
  expect(written).toMatchObject([{ stop: { reason: 'told of' } }]);
});
