// Sub-agents of a graph that goes on after a park, which the calls that started them have not asked for again yet.

import type { JournalRecord, Session, StateStore } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { deferred, settle, world } from './world.ts';

type Name = 'root' | 'middle';

/** A root, a sub-agent and one below that, parked and let go on; whoever is named waits before it comes to its spawn. */
async function goingOn(who: Name, how: 'the same way' | 'another way' = 'the same way') {
  const { runtime, source, store, clock } = await world();
  const ready = deferred();
  const gate = deferred();
  let isAgain = false;
  const begins = (name: Name): unknown => (isAgain && name === who ? ready.promise : undefined);
  const leaf = runtime.agent('leaf', async (session: Session) => {
    await session.turn(() => gate.promise);
    await session.turn(async () => undefined);
  });
  const middle = runtime.agent('middle', async (session: Session) => {
    await begins('middle');
    return session.turn(async (turn) => (await turn.spawn(leaf, undefined)).status);
  });
  const root = runtime.agent('alpha', async (session: Session) => {
    await begins('root');
    if (isAgain && how === 'another way') return how;
    return session.turn(async (turn) => (await turn.spawn(middle, undefined)).status);
  });
  const { id } = root.start(undefined);
  await settle(clock);
  source.engage('killswitch.global');
  gate.resolve();
  await settle(clock, 6_000);
  expect(runtime.sessions().map(({ state }) => state)).toEqual(['parked', 'parked', 'parked']);
  isAgain = true;
  source.release('killswitch.global');
  await settle(clock);
  const idOf = (name: string): string => runtime.sessions().find((one) => one.agent === name)!.id;
  const ended: string[] = [];
  const alarms: string[] = [];
  runtime.subscribe((event) => event.type === 'alarm' && alarms.push(event.message));
  for (const name of ['leaf', 'middle']) {
    const session = idOf(name);
    void runtime.settled(session).then(({ status }) => ended.push(`${name} ${status}`));
  }
  return { runtime, store, clock, end: runtime.settled(id), middle: idOf('middle'), leaf: idOf('leaf'), ready, ended, alarms };
}

describe('a sub-agent that a graph which goes on has not come to yet', () => {
  test('is marked where it lies when it is terminated, after all that is under it (S10, I3)', async () => {
    const { runtime, clock, middle, leaf, ready, end, ended } = await goingOn('root');
    await runtime.stop({ session: middle, reason: 'odd', by: 'ann' });
    await settle(clock);
    expect(ended).toEqual(['leaf terminated', 'middle terminated']);
    const [receipt] = await runtime.receipts();
    expect(receipt).toMatchObject({ stages: { done: expect.any(Number) }, residue: [] });
    expect(receipt!.sessions.map(({ session, state }) => [session, state])).toEqual([
      [middle, 'stopped'],
      [leaf, 'stopped'],
    ]);
    ready.resolve();
    expect(await end).toMatchObject({ status: 'completed', result: 'terminated' });
  });

  test('is ended before the one above it that was terminated as it came back (S10, I3)', async () => {
    const { runtime, clock, middle, end, ended } = await goingOn('middle');
    await runtime.stop({ session: middle, reason: 'odd', by: 'ann' });
    await settle(clock);
    expect(ended).toEqual(['leaf terminated', 'middle terminated']);
    expect((await runtime.receipts())[0]).toMatchObject({ stages: { done: expect.any(Number) }, residue: [] });
    expect(await end).toMatchObject({ status: 'completed', result: 'terminated' });
  });

  test('keeps the one above it waiting while the store refuses its claim, and no longer (I3, I13)', async () => {
    const { runtime, store, clock, middle, leaf, end, ended } = await goingOn('middle');
    const { claim } = store;
    let isRefused = true;
    store.claim = (session, epoch) => {
      if (session === leaf && isRefused) throw new Error('EIO');
      return claim(session, epoch);
    };
    await runtime.stop({ session: middle, reason: 'odd', by: 'ann' });
    await settle(clock, 2_000);
    expect(ended).toEqual([]);
    isRefused = false;
    await settle(clock, 2_000);
    expect(ended).toEqual(['leaf terminated', 'middle terminated']);
    expect(await end).toMatchObject({ status: 'completed', result: 'terminated' });
  });
});

describe('a sub-agent that the code above it, run again, does not ask for', () => {
  test('fails with what is under it, before the one above it ends, which says so (I3, S10)', async () => {
    const { runtime, ready, end, ended, alarms, middle } = await goingOn('root', 'another way');
    const last = end.then(({ status }) => ended.push(`root ${status}`));
    ready.resolve();
    await last;
    expect(ended).toEqual(['leaf failed', 'middle failed', 'root completed']);
    expect(runtime.sessions()).toEqual([]);
    expect(alarms.join()).toContain(
      `session ${middle} has failed: what had started it was run again and ended without asking for it`,
    );
  });

  test.each(['leaf', 'middle'] as const)(
    'is terminated where a stop of the %s comes in that very moment, and its receipt is true (I3, S10)',
    async (who) => {
      const world = await goingOn('root', 'another way');
      const { runtime, clock, ready, end, ended } = world;
      const stopped = runtime.stop({ session: world[who], reason: 'odd', by: 'ann' });
      ready.resolve();
      await stopped;
      expect(await end).toMatchObject({ status: 'completed' });
      await settle(clock, 2_000);
      expect(ended).toEqual(['leaf terminated', who === 'leaf' ? 'middle failed' : 'middle terminated']);
      const receipt = (await runtime.receipts()).find(({ stop }) => stop.action === 'terminate')!;
      expect(receipt.sessions.map(({ state }) => state)).toEqual(who === 'leaf' ? ['stopped'] : ['stopped', 'stopped']);
      expect(receipt.stages.done).toBeDefined();
    },
  );

  test('keeps the one above it from ending while the store refuses its claim, and no longer (I3, I13)', async () => {
    const { store, clock, ready, end, ended, leaf } = await goingOn('root', 'another way');
    const { claim } = store;
    let isRefused = true;
    store.claim = (session, epoch) => {
      if (session === leaf && isRefused) throw new Error('EIO');
      return claim(session, epoch);
    };
    void end.then(({ status }) => ended.push(`root ${status}`));
    ready.resolve();
    await settle(clock, 2_000);
    expect(ended).toEqual([]);
    isRefused = false;
    await settle(clock, 2_000);
    expect(ended).toEqual(['leaf failed', 'middle failed', 'root completed']);
  });
});

test('a loose child whose claim the store refuses once ends once, and with the next stop of its parent (S8, I5, I9)', async () => {
  const { runtime, source, store, clock } = await world();
  const [first, second] = [deferred(), deferred()];
  const child = runtime.agent('child', async (session: Session) => {
    await session.turn(() => first.promise);
    await session.turn(async () => undefined);
  });
  const root = runtime.agent('alpha', async (session: Session) => {
    void session.state;
    for (let n = session.turnNumber + 1; n <= 3; n++)
      await session.turn(async (turn) => {
        if (n === 1) await turn.spawn(child, undefined, { ifHeld: 'value' });
        else await (n === 2 ? second.promise : new Promise(() => {}));
      });
  });
  const { id } = root.start(undefined);
  await settle(clock);
  const childId = runtime.sessions().find((one) => one.agent === 'child')!.id;
  const pause = await runtime.stop({ session: childId, action: 'pause', reason: 'look', by: 'ann' });
  first.resolve();
  await settle(clock);
  source.engage('killswitch.feature.alpha');
  second.resolve();
  await settle(clock, 8_000);
  expect(runtime.sessions().map(({ state }) => state)).toEqual(['parked', 'parked']);
  const written: string[] = [];
  const { append, claim } = store;
  let refused = 0;
  Object.assign(store, {
    append(root: string, record: JournalRecord) {
      append(root, record);
      if (record.s === childId) written.push(record.t);
    },
    claim(session: string, epoch: number) {
      if (session === childId && refused++ === 0) throw new Error('EIO');
      return claim(session, epoch);
    },
  } satisfies Partial<StateStore>);
  await runtime.release({ stop: pause.stop.id, reason: 'ok', by: 'ann' });
  source.release('killswitch.feature.alpha');
  while (refused === 0) await settle(clock, 1);
  const end = runtime.settled(id);
  await runtime.stop({ session: id, reason: 'odd', by: 'ann' });
  await settle(clock, 1_000);
  expect(written).toEqual(['settled']);
  expect(await end).toMatchObject({ status: 'terminated' });
  expect((await runtime.receipts()).find(({ stop }) => stop.action === 'terminate')!.stages.done).toBeDefined();
});

test.each([false, true])(
  'a sub-agent that a turn, run again, does not ask for never runs again (S7) (parked again: %s)',
  async (twice) => {
    const { runtime, source, clock } = await world();
    const gate = deferred();
    const second = deferred();
    let isAgain = false;
    const did: string[] = [];
    const child = runtime.agent('child', async (session: Session) => {
      void session.state;
      await session.turn(() => gate.promise);
      await session.turn(async (turn) => void (await turn.tool('send', {}, () => void did.push('child sent'))));
    });
    const root = runtime.agent('alpha', async (session: Session) => {
      for (let n = session.turnNumber + 1; n <= 3; n++)
        await session.turn(async (turn) => {
          if (n === 1 && !isAgain) await turn.spawn(child, undefined);
          else if (n === 1) did.push('another way');
          else if (n === 2) await second.promise;
        });
    });
    const { id } = root.start(undefined);
    const end = runtime.settled(id);
    await settle(clock);
    source.engage('killswitch.global');
    gate.resolve();
    await settle(clock, 6_000);
    expect(runtime.sessions().map(({ state }) => state)).toEqual(['parked', 'parked']);
    isAgain = true;
    source.release('killswitch.global');
    await settle(clock);
    expect(did).toEqual(['another way']);
    if (twice) {
      source.engage('killswitch.global');
      second.resolve();
      await settle(clock, 6_000);
      expect(runtime.sessions().map(({ state }) => state)).toEqual(['parked', 'parked']);
      source.release('killswitch.global');
      await settle(clock);
    } else second.resolve();
    await settle(clock);
    expect(await end).toMatchObject({ status: 'completed' });
    expect(did).toEqual(['another way']);
  },
);
