// Sessions that live inside the body of a call, where the store keeps every session and lets only those be claimed that it knows.

import { currentCall, memoryStore } from '@offswitch/runtime';
import { expect, test } from 'vitest';
import { settle, world } from './world.ts';

test('a session inside a call is known to the store before its first turn, so that it goes on after a pause (S7, I14)', async () => {
  const store = memoryStore();
  const { lineage, claim } = store;
  const known: string[] = [];
  Object.assign(store, {
    claim: (session: string, epoch: number) => known.includes(session) && claim(session, epoch),
    lineage: Object.assign(Object.create(lineage), {
      registersAll: true,
      register: async (one: Parameters<typeof lineage.register>[0]) => {
        known.push(one.session);
        return lineage.register(one);
      },
    }),
  });
  const { runtime, source, clock } = await world({ store });
  const turns: number[] = [];
  const { outcome } = runtime
    .agent('alpha', (session) =>
      session.turn((turn) =>
        turn.tool(
          'ask',
          {},
          async () => {
            const call = currentCall()!;
            const child = call.child('helper');
            await call.runAs(child, async () => {
              for (let i = 0; i < 3; i++)
                await child.turn(async () => {
                  expect(known).toContain(child.id);
                  turns.push(i);
                  await new Promise<void>((resolve) => void clock.setTimeout(resolve, 200));
                });
            });
          },
          { delegates: true },
        ),
      ),
    )
    .start(undefined);
  await settle(clock, 100);
  source.engage('killswitch.global');
  await settle(clock, 1_000);
  expect(turns).toEqual([0]);
  source.release('killswitch.global');
  await settle(clock, 2_000);
  expect(turns).toEqual([0, 1, 2]);
  expect((await outcome).status).toBe('completed');
  expect(known).toHaveLength(2);
});
