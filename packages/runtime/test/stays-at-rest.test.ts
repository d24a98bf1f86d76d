// A session that has come to rest in the middle of its turn, and what its turn waited for comes to an end while a pause holds it.

import { RuntimeError, type Session } from '@offswitch/runtime';
import { expect, test } from 'vitest';
import { deferred, settle, world } from './world.ts';

test('no call starts after a pause is done: one that a breaker had held (I1, S10)', async () => {
  const { runtime, source, clock } = await world({ breakers: { alpha: { actions: 1 } } });
  const did: number[] = [];
  const { id } = runtime
    .agent('alpha', async (session: Session) => {
      await session.turn(async (turn) => {
        for (let n = 1; n <= 3; n++) await turn.tool('send', { n }, () => did.push(n));
      });
    })
    .start(undefined, { userId: 'u-1' });
  await settle(clock);
  expect(did).toEqual([1]);
  source.engage('killswitch.user', 'u-1');
  await settle(clock, 500);
  const receipt = async () => (await runtime.receipts()).find(({ stop }) => stop.tier === 'user')!;
  expect((await receipt()).stages).toMatchObject({ drained: expect.any(Number), done: expect.any(Number) });
  const trip = runtime.stops().find(({ cause }) => cause === 'breaker')!;
  await runtime.release({ stop: trip.id, reason: 'fine', by: 'ann', allowance: 100 });
  await settle(clock, 500);
  expect((await receipt()).stages.done).toBeDefined();
  expect(runtime.session(id)?.state).toBe('paused');
  expect(did).toEqual([1]);
  source.release('killswitch.user', 'u-1');
  await settle(clock, 500);
  expect(did).toEqual([1, 2, 3]);
});

test('no call starts after a pause is done: one that waited for a person (I1, S10)', async () => {
  const first = await world({ parkAfterMs: 60_000 });
  first.runtime.subscribe(() => {});
  const did: string[] = [];
  let isStuck = true;
  const define = ({ runtime }: typeof first) =>
    runtime.agent('alpha', (session: Session) =>
      session.turn(
        async (turn) =>
          void (await turn.tool('send', {}, () => {
            did.push('sent');
            return isStuck ? new Promise(() => {}) : 1;
          })),
      ),
    );
  const { id } = define(first).start(undefined, { userId: 'u-1' });
  await settle(first.clock);
  isStuck = false;
  const { runtime, source, clock, ...rest } = await first.restart();
  define({ runtime, source, clock, ...rest });
  runtime.subscribe(() => {});
  await settle(clock);
  const [call] = runtime.session(id)!.unknownCalls;
  source.engage('killswitch.user', 'u-1');
  await settle(clock, 500);
  const receipt = async () => (await runtime.receipts()).find(({ stop }) => stop.tier === 'user')!;
  expect((await receipt()).stages).toMatchObject({ drained: expect.any(Number), done: expect.any(Number) });
  await runtime.resolve(id, call!.id, 'did-not');
  await settle(clock, 500);
  expect((await receipt()).stages.done).toBeDefined();
  expect(did).toEqual(['sent']);
  source.release('killswitch.user', 'u-1');
  await settle(clock, 500);
  expect(did).toEqual(['sent', 'sent']);
});

test('no call starts after a pause is done: one of a session whose sub-agent is terminated under it (I1, S8)', async () => {
  const { runtime, source, clock } = await world({ parkAfterMs: 60_000 });
  const did: string[] = [];
  const gate = deferred();
  const child = runtime.agent('child', async (session: Session) => {
    await session.turn(() => gate.promise);
    await session.turn(async () => undefined);
  });
  const { id } = runtime
    .agent('alpha', (session: Session) =>
      session.turn(async (turn) => {
        const { status } = await turn.spawn(child, undefined);
        await turn.tool('send', {}, () => did.push(status));
      }),
    )
    .start(undefined);
  const end = runtime.settled(id);
  await settle(clock);
  source.engage('killswitch.global');
  gate.resolve();
  await settle(clock, 500);
  const receipt = async () => (await runtime.receipts()).find(({ stop }) => stop.tier === 'global')!;
  expect((await receipt()).stages).toMatchObject({ drained: expect.any(Number), done: expect.any(Number) });
  const childId = runtime.sessions().find((one) => one.agent === 'child')!.id;
  await runtime.stop({ session: childId, reason: 'odd', by: 'ann' });
  await settle(clock, 500);
  expect((await receipt()).stages.done).toBeDefined();
  expect(did).toEqual([]);
  expect(runtime.session(id)?.state).toBe('paused');
  source.release('killswitch.global');
  await settle(clock, 500);
  expect(did).toEqual(['terminated']);
  expect(await end).toMatchObject({ status: 'completed' });
});

test('no call starts after a pause is done: one whose intent the store had refused (I1, I13)', async () => {
  const { runtime, source, store, clock } = await world({ parkAfterMs: 60_000 });
  runtime.subscribe(() => {});
  const did: string[] = [];
  const { append } = store;
  let isRefused = true;
  store.append = (root, record) => {
    if (isRefused && record.t === 'call') throw new RuntimeError('store_failed', 'ENOSPC');
    append.call(store, root, record);
  };
  const { id } = runtime
    .agent('alpha', (session: Session) =>
      session.turn(async (turn) => void (await turn.tool('send', {}, () => did.push('sent')))),
    )
    .start(undefined, { userId: 'u-1' });
  const end = runtime.settled(id);
  await settle(clock);
  source.engage('killswitch.user', 'u-1');
  await settle(clock, 500);
  const receipt = async () => (await runtime.receipts()).find(({ stop }) => stop.tier === 'user')!;
  expect((await receipt()).stages.done).toBeDefined();
  isRefused = false;
  await settle(clock, 2_000);
  expect(did).toEqual([]);
  source.release('killswitch.user', 'u-1');
  await settle(clock, 1_000);
  expect(did).toEqual(['sent']);
  expect(await end).toMatchObject({ status: 'completed' });
});

test('nobody is detached after a pause is done: by a session whose sub-agent is terminated under it (I1, S10)', async () => {
  const { runtime, clock } = await world({ parkAfterMs: 60_000 });
  const did: string[] = [];
  const gate = deferred();
  const other = runtime.agent('other', async (session: Session) => {
    await session.turn(async (turn) => void (await turn.tool('send', {}, () => did.push('detached sent'))));
  });
  const child = runtime.agent('child', async (session: Session) => {
    await session.turn(() => gate.promise);
    await session.turn(async () => undefined);
  });
  const { id } = runtime
    .agent('beta', (session: Session) =>
      session.turn(async (turn) => {
        const { status } = await turn.spawn(child, undefined);
        did.push(status);
        turn.detach(other, undefined, { reason: 'r', owner: 'o' });
      }),
    )
    .start(undefined);
  await settle(clock);
  const pause = await runtime.stop({ session: id, reason: 'look', by: 'ann', action: 'pause' });
  gate.resolve();
  await settle(clock, 500);
  const receipt = async () => (await runtime.receipts()).find(({ stop }) => stop.id === pause.stop.id)!;
  expect((await receipt()).stages).toMatchObject({ drained: expect.any(Number), done: expect.any(Number) });
  const childId = runtime.sessions().find((one) => one.agent === 'child')!.id;
  await runtime.stop({ session: childId, reason: 'odd', by: 'ann' });
  await settle(clock, 500);
  expect(did).toEqual(['terminated']);
});
