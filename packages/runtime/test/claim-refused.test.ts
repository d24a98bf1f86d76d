// A child that is found again after a park, while the store refuses to let its epoch be claimed.

import type { Session } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { deferred, settle, type TestWorld, world } from './world.ts';

describe('a sub-agent whose claim the store refuses when its spawn finds it again', () => {
  test('is claimed once the store can, and its parent rests meanwhile and ends after it (I13, I14)', async () => {
    const first = await world();
    const gate = deferred();
    const log: string[] = [];
    const define = ({ runtime }: TestWorld) => {
      const child = runtime.agent('child', async (session: Session) => {
        await session.turn(() => gate.promise);
        await session.turn(async () => void log.push('child'));
      });
      return runtime.agent('alpha', async (session: Session) => {
        await session.turn(async (turn) => (await turn.spawn(child, undefined)).status);
        log.push('parent');
      });
    };
    const { id } = define(first).start(undefined);
    await settle(first.clock);
    const childId = first.runtime.sessions().find((one) => one.agent === 'child')!.id;
    first.source.engage('killswitch.global');
    gate.resolve();
    await settle(first.clock, 6_000);
    expect(first.runtime.session(id)?.state).toBe('parked');
    const { claim } = first.store;
    let refusals = 3;
    first.store.claim = (session, epoch) => {
      if (session === childId && refusals-- > 0) throw new Error('EIO');
      return claim(session, epoch);
    };
    const end = first.runtime.settled(id);
    first.source.release('killswitch.global');
    await settle(first.clock, 10_000);
    expect(refusals).toBeLessThan(0);
    expect((await end).status).toBe('completed');
    expect(log).toEqual(['child', 'parent']);
  });
});

describe('a parked sub-agent that is terminated while the store refuses its claim', () => {
  test('is marked once the store can, and its parent after it; people are told once (I3, S10)', async () => {
    const { runtime, source, store, clock } = await world();
    const gate = deferred();
    const child = runtime.agent('child', async (session: Session) => {
      await session.turn(() => gate.promise);
      await session.turn(async () => undefined);
    });
    const { id } = runtime
      .agent('alpha', (session: Session) => session.turn((turn) => turn.spawn(child, undefined)))
      .start(undefined);
    await settle(clock);
    const childId = runtime.sessions().find((one) => one.agent === 'child')!.id;
    source.engage('killswitch.global');
    gate.resolve();
    await settle(clock, 6_000);
    expect(runtime.session(id)?.state).toBe('parked');
    const { claim } = store;
    const alarms: string[] = [];
    runtime.subscribe((event) => {
      if (event.type === 'alarm') alarms.push(event.message);
    });
    let isRefused = true;
    store.claim = (session, epoch) => {
      if (session === childId && isRefused) throw new Error('EIO');
      return claim(session, epoch);
    };
    await runtime.stop({ session: id, reason: 'odd', by: 'ann' });
    await settle(clock, 10_000);
    expect(runtime.sessions().map((one) => one.state)).toEqual(['parked', 'parked']);
    expect(alarms.filter((one) => one.includes(childId))).toEqual([
      `session ${childId} is terminated but not marked yet: its next epoch could not be claimed: Error: EIO; it is tried again`,
    ]);
    isRefused = false;
    await settle(clock, 10_000);
    const receipt = (await runtime.receipts()).find(({ stop }) => stop.tier === 'instance');
    expect(receipt).toMatchObject({
      stages: { done: expect.any(Number) },
      sessions: [{ state: 'stopped' }, { session: childId, state: 'stopped' }],
    });
  });
});
