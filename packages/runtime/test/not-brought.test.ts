// Sub-agents of a graph that goes on after a park, which the calls that started them have not asked for again yet.

import type { Session } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { deferred, settle, world } from './world.ts';

type Name = 'root' | 'middle';

/** A root, a sub-agent and one below that, parked and let go on; whoever is named waits before it comes to its spawn. */
async function goingOn(who: Name) {
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
  for (const name of ['leaf', 'middle']) {
    const session = idOf(name);
    void runtime.settled(session).then(({ status }) => ended.push(`${name} ${status}`));
  }
  return { runtime, store, clock, end: runtime.settled(id), middle: idOf('middle'), leaf: idOf('leaf'), ready, ended };
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
