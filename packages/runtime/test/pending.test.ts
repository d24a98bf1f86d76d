// pending.test.ts: a flip that a person made through a vendor's control, latched before any process has read it (S3).

import type { KillSwitches } from '@offswitch/core';
import { formatStopKey, pendingSeries, subjectKey } from '@offswitch/runtime';
import { memorySource } from '@offswitch/testing';
import { describe, expect, test } from 'vitest';
import { settle, switches, type TestWorld, world } from './world.ts';

const pending = (tier: 'global' | 'user', subject = '', series = 'memory:test'): string =>
  formatStopKey({ kind: 'switch', tier, subject: subjectKey(subject), series: pendingSeries(series, 'c1') });
const words = { reason: 'bad letters', by: 'ann', at: 7, series: 'memory:test' };

/** As another process, the command line, does it. */
async function latch(w: TestWorld, key: string, subject = ''): Promise<void> {
  await w.store.mark(key, 'engaged', 0, { ...words, subject });
  await w.runtime.refresh();
  await settle(w.clock);
}
const inForce = (w: TestWorld): string[] => w.runtime.stops().map((stop) => stop.id);

describe('a flip latched before any process has read it (S3)', () => {
  test('stops at once, and no released reading lifts it, at whatever position', async () => {
    const w = await world();
    await latch(w, pending('global'));
    expect(w.runtime.stops()).toMatchObject([{ cause: 'switch', reason: 'bad letters', by: 'ann' }]);
    w.source.engage('killswitch.feature.alpha');
    w.source.release('killswitch.feature.alpha');
    await w.runtime.refresh();
    await settle(w.clock);
    expect(inForce(w)).toEqual([pending('global')]);
  });
  test('takes its position from the first live engaged reading, keeps its words, and a later release releases it', async () => {
    const w = await world();
    await latch(w, pending('global'));
    w.source.engage('killswitch.global');
    await settle(w.clock);
    expect(w.runtime.stops()).toMatchObject([{ reason: 'bad letters', by: 'ann', since: 7 }]);
    expect(inForce(w)).not.toContain(pending('global'));
    w.source.release('killswitch.global');
    await settle(w.clock);
    expect(inForce(w)).toEqual([]);
    expect((await w.restart()).runtime.stops()).toEqual([]);
  });
  test('is told of once: neither that its reading came nor that it was taken over is news', async () => {
    const w = await world();
    const told: boolean[] = [];
    w.runtime.subscribe((event) => {
      if (event.type === 'stop') told.push(event.engaged);
    });
    await latch(w, pending('global'));
    w.source.engage('killswitch.global');
    await settle(w.clock);
    expect(told).toEqual([true]);
    w.source.release('killswitch.global');
    await settle(w.clock);
    expect(told).toEqual([true, false]);
  });
  test('is released by act until then', async () => {
    const w = await world();
    await latch(w, pending('global'));
    await w.runtime.release({ stop: pending('global'), reason: 'a slip of the hand', by: 'ann' });
    expect(inForce(w)).toEqual([]);
  });
  test('of a user with no session here is read for, and taken over all the same', async () => {
    const w = await world();
    await latch(w, pending('user', 'u-1'), 'u-1');
    w.source.engage('killswitch.user', 'u-1');
    await settle(w.clock);
    expect(inForce(w)).not.toContain(pending('user', 'u-1'));
    w.source.release('killswitch.user', 'u-1');
    await settle(w.clock);
    expect(inForce(w)).toEqual([]);
  });
  test('of a user whose id is written down after the stop itself is read for as soon as it is', async () => {
    const w = await world();
    const key = pending('user', 'U 1');
    const { stops } = w.store;
    w.store.stops = async () => (await stops.call(w.store)).map(({ engaged: _, ...nameless }) => nameless);
    await latch(w, key, 'U 1');
    w.source.engage('killswitch.user', 'U 1');
    await settle(w.clock);
    expect(inForce(w)).toEqual([key]);
    w.store.stops = stops;
    await w.runtime.refresh();
    await settle(w.clock);
    expect(inForce(w)).not.toContain(key);
    expect(inForce(w)).toHaveLength(1);
  });
  test('is not taken over by a reading of another series, whose release would then lift it', async () => {
    const w = await world({ source: memorySource(switches as KillSwitches, { series: 'other' }) as never });
    await latch(w, pending('global'));
    w.source.engage('killswitch.global');
    w.source.release('killswitch.global');
    await settle(w.clock);
    expect(inForce(w)).toEqual([pending('global')]);
  });
  test('of a series nobody knew yet is taken over by the first that is read', async () => {
    const w = await world();
    await latch(w, pending('global', '', ''));
    w.source.engage('killswitch.global');
    await settle(w.clock);
    expect(inForce(w)).not.toContain(pending('global', '', ''));
    expect(inForce(w)).toHaveLength(1);
  });
  test('is kept while the stop that takes it over cannot be written down (S4, I13)', async () => {
    const w = await world();
    await latch(w, pending('global'));
    const { mark } = w.store;
    let isFull = true;
    w.store.mark = (...args) => (isFull ? Promise.reject(new Error('disk full')) : mark.apply(w.store, args));
    w.source.engage('killswitch.global');
    await settle(w.clock);
    expect(inForce(w)).toContain(pending('global'));
    isFull = false;
    await settle(w.clock, 1_000);
    await w.runtime.refresh();
    await settle(w.clock);
    expect(inForce(w)).not.toContain(pending('global'));
    expect(inForce(w)).toHaveLength(1);
  });
  test('takes hold in a process that starts later (S4)', async () => {
    const w = await world();
    await latch(w, pending('global'));
    const again = await w.restart();
    expect(inForce(again)).toEqual([pending('global')]);
  });
});
