// source-contract-change.ts: positions that grow, and notices that lose no change.

import type { Reading } from '@offswitch/core';
import { expect, test } from 'vitest';
import { definite } from './definite.ts';
import { readingLatch } from './reading-latch.ts';
import type { ContractKit } from './source-contract-kit.ts';

export function testChange({ opened, global, user, hasPositions }: ContractKit): void {
  test.runIf(hasPositions)('gives positions of one series that grow with every flip (S3)', async () => {
    const harness = await opened();
    const seen = [(await definite(harness.source, global, {})).position];
    for (const flip of ['engage', 'release', 'engage', 'release'] as const) {
      await harness[flip](global);
      seen.push((await definite(harness.source, global, {})).position);
    }
    expect(new Set(seen.map((position) => position.series)).size).toBe(1);
    const ns = seen.map((position) => position.n ?? Number.NaN);
    expect(ns).toEqual([...new Set(ns)].sort((a, b) => a - b));
  });

  test('tells listeners after the change can be read, and a throwing listener keeps nobody from hearing (I13)', async () => {
    const harness = await opened();
    const heard: (readonly string[] | undefined)[] = [];
    const states: (Reading | Promise<Reading>)[] = [];
    harness.source.subscribe(() => {
      throw new Error('a listener of somebody else');
    });
    harness.source.subscribe((change) => {
      heard.push(change.flagsChanged);
      states.push(harness.source.read(global, {}));
    });
    await harness.engage(global);
    expect((await Promise.all(states)).some((reading) => reading.state === 'engaged')).toBe(true);
    expect(heard.some((keys) => keys === undefined || keys.includes(global.key))).toBe(true);
  });

  test('tells a listener nothing any more once it stopped listening', async () => {
    const harness = await opened();
    let heard = 0;
    const stopListening = harness.source.subscribe(() => {
      heard++;
    });
    stopListening();
    stopListening();
    await harness.engage(global);
    expect(heard).toBe(0);
  });

  test('may tell of several changes at once, and loses none: after the last notice all of them can be read', async () => {
    const harness = await opened();
    const targets = Array.from({ length: 12 }, (_, n) => `quick-${n}`);
    const seen = new Set<string>();
    const looks: Promise<unknown>[] = [];
    harness.source.subscribe(() => {
      for (const userId of targets) {
        looks.push(
          Promise.resolve(harness.source.read(user, { userId })).then(({ state }) => state === 'engaged' && seen.add(userId)),
        );
      }
    });
    await Promise.all(targets.map((target) => harness.engage(user, target)));
    await Promise.all(looks);
    expect([...seen].sort()).toEqual([...targets].sort());
    for (const userId of targets) expect((await definite(harness.source, user, { userId })).state).toBe('engaged');
  });

  test('tells of a release as of a stop, and of a flag that is gone', async () => {
    const harness = await opened();
    await harness.engage(global);
    const states: (Reading | Promise<Reading>)[] = [];
    harness.source.subscribe(() => states.push(harness.source.read(global, {})));
    await harness.release(global);
    expect((await Promise.all(states)).at(-1)?.state).toBe('released');
    await harness.remove(global);
    expect((await Promise.all(states)).at(-1)?.state).toBe('unknown');
  });

  test.runIf(hasPositions)('releases what it stopped, by positions alone, as often as it is flipped (S3)', async () => {
    const harness = await opened();
    const latch = readingLatch();
    for (let round = 0; round < 3; round++) {
      await harness.engage(user, 'u-1');
      latch.take(await definite(harness.source, user, { userId: 'u-1' }));
      expect([round, latch.isEngaged]).toEqual([round, true]);
      await harness.release(user, 'u-1');
      latch.take(await definite(harness.source, user, { userId: 'u-1' }));
      expect([round, latch.isEngaged]).toEqual([round, false]);
    }
  });

  test.runIf(!hasPositions)('has no position that could release: a stop is lifted by act alone (S3)', async () => {
    const harness = await opened();
    const latch = readingLatch();
    await harness.engage(user, 'u-1');
    latch.take(await definite(harness.source, user, { userId: 'u-1' }));
    await harness.release(user, 'u-1');
    expect(latch.take(await definite(harness.source, user, { userId: 'u-1' })).state).toBe('released');
    expect(latch.isEngaged).toBe(true);
  });
}
