// source-contract-loss.ts: a vendor that is lost, silent, old or back, and what may release a stop then.

import { expect, test } from 'vitest';
import { definite, read } from './definite.ts';
import { readingLatch } from './reading-latch.ts';
import type { ContractKit } from './source-contract-kit.ts';
import { waitUntil } from './wait-until.ts';

export function testLoss({ opened, global, rewrite, user, hasPositions, noticesLoss, staleWithinMs }: ContractKit): void {
  test('answers from what it knew, as cached and never live, while the vendor is lost (S3, I13)', async () => {
    const harness = await opened();
    await harness.engage(global);
    await harness.engage(user, 'u-1');
    const before = harness.source.health.since;
    await harness.lose();
    if (noticesLoss) {
      expect(harness.source.health.state).toBe('stale');
      expect(harness.source.health.since).toBeGreaterThanOrEqual(before);
      expect(harness.source.health.why).toMatch(/\S/);
    }
    for (const [flag, subject, state] of [
      [global, {}, 'engaged'],
      [user, { userId: 'u-1' }, 'engaged'],
      [user, { userId: 'u-2' }, 'released'],
      [rewrite, { workflow: 'resume-rewrite' }, 'released'],
    ] as const) {
      const reading = await read(harness.source, flag, subject);
      if (reading.state === 'unknown') expect(state, 'an engaged switch was forgotten').toBe('released');
      else expect([flag.key, reading.state, reading.origin]).toEqual([flag.key, state, noticesLoss ? 'cached' : reading.origin]);
    }
  });

  test('is fresh and live again once the vendor is back, with the same series', async () => {
    const harness = await opened();
    await harness.engage(global);
    const before = await definite(harness.source, global, {});
    await harness.lose();
    await harness.recover();
    expect(harness.source.health.state).toBe('fresh');
    const after = await definite(harness.source, global, {});
    expect([after.state, after.origin, after.position.series]).toEqual(['engaged', 'live', before.position.series]);
    await harness.release(global);
    expect(await definite(harness.source, global, {})).toMatchObject({ state: 'released', origin: 'live' });
  });

  test('releases nothing while the vendor is lost, and once it is back what was released there (S3)', async ({ skip }) => {
    const harness = await opened();
    if (!harness.store) skip('the harness cannot store a change behind the back of the source');
    const latch = readingLatch();
    await harness.engage(global);
    latch.take(await definite(harness.source, global, {}));
    await harness.lose();
    await harness.store!('release', global);
    await harness.store!('engage', user, 'u-9');
    const lost = latch.take(await read(harness.source, global, {}));
    expect(lost.state === 'released' && lost.origin === 'live').toBe(false);
    expect(latch.isEngaged).toBe(true);
    await harness.recover();
    expect(latch.take(await definite(harness.source, global, {}))).toMatchObject({ state: 'released', origin: 'live' });
    expect(await definite(harness.source, user, { userId: 'u-9' })).toMatchObject({ state: 'engaged', origin: 'live' });
    expect(latch.isEngaged).toBe(!hasPositions);
  });

  test('notices by its own clock that the vendor has gone silent, and comes back by itself (S5)', async ({ skip }) => {
    const harness = await opened();
    if (!harness.stall) skip('the harness cannot silence its vendor');
    await harness.engage(global);
    const latch = readingLatch();
    latch.take(await definite(harness.source, global, {}));
    await harness.stall!();
    expect(await waitUntil(harness.source, staleWithinMs, () => harness.source.health.state !== 'fresh')).toBe(true);
    expect(harness.source.health.why).toMatch(/\S/);
    const reading = latch.take(await read(harness.source, global, {}));
    if (reading.state !== 'unknown') expect([reading.state, reading.origin]).toEqual(['engaged', 'cached']);
    expect(latch.isEngaged).toBe(true);
    await harness.recover();
    expect(await definite(harness.source, global, {})).toMatchObject({ state: 'engaged', origin: 'live' });
  });

  test('takes older data for no release (S3, I10)', async ({ skip }) => {
    const harness = await opened();
    if (!harness.serveOlder) skip('the harness cannot serve older data');
    const latch = readingLatch();
    await harness.engage(global);
    await harness.engage(user, 'u-1');
    latch.take(await definite(harness.source, global, {}));
    await harness.serveOlder!();
    const reading = latch.take(await read(harness.source, global, {}));
    expect(reading.state === 'released' && reading.origin === 'live').toBe(false);
    expect(latch.isEngaged).toBe(true);
    expect((await read(harness.source, user, { userId: 'u-2' })).state).not.toBe('engaged');
  });

  test('speaks for its own environment alone: what another one reads releases nothing here (S3)', async ({ skip }) => {
    const harness = await opened();
    if (!harness.elsewhere) skip('the harness has no second environment');
    const latch = readingLatch();
    await harness.engage(global);
    const here = latch.take(await definite(harness.source, global, {}));
    const other = await harness.elsewhere!();
    try {
      await other.open();
      const there = latch.take(await definite(other, global, {}));
      expect(there.state).toBe('released');
      expect(there.position.series).not.toBe(here.position.series);
      expect(latch.isEngaged).toBe(true);
    } finally {
      await other.close();
    }
  });
}
