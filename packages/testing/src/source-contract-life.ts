// source-contract-life.ts: opening, closing, what is left behind, and what must not end the process.

import { expect, test } from 'vitest';
import { leftBehindBy } from './active-resources.ts';
import { read } from './definite.ts';
import { watchHost } from './host-watch.ts';
import { readingLatch } from './reading-latch.ts';
import type { ContractKit } from './source-contract-kit.ts';

export function testLife({ made, opened, unowned, global, user, openWithinMs, noticesLoss, ownsVendor }: ContractKit): void {
  test('has a name, and says nothing definite before it is opened (S5)', async () => {
    const harness = await made();
    expect(harness.source.name).toMatch(/\S/);
    expect(harness.source.health.state).toBe('starting');
    expect((await read(harness.source, global, {})).state).toBe('unknown');
  });

  test('opens within its bound and is then fresh, by our own clock', async () => {
    const harness = await made();
    const before = Date.now();
    await harness.source.open();
    expect(Date.now() - before).toBeLessThan(openWithinMs);
    expect(harness.source.health.state).toBe('fresh');
    expect(Number.isFinite(harness.source.health.since)).toBe(true);
  });

  test('closes once and for all: idempotent, closed in health, nothing live any more', async () => {
    const harness = await opened();
    await harness.engage(global);
    await Promise.all([harness.source.close(), harness.source.close()]);
    await harness.source.close();
    expect(harness.source.health.state).toBe('closed');
    const reading = await read(harness.source, global, {});
    expect(reading.state === 'unknown' || reading.origin === 'cached').toBe(true);
  });

  test('closes even when it was never opened', async () => {
    const harness = await made();
    await harness.source.close();
    expect(harness.source.health.state).toBe('closed');
  });

  test('closes while it is still opening, and stays closed', async () => {
    const harness = await made();
    const opening = harness.source.open();
    await harness.source.close();
    await opening;
    await harness.source.open();
    expect(harness.source.health.state).toBe('closed');
    expect((await read(harness.source, global, {})).state).toBe('unknown');
  });

  test('opens within its bound where the vendor does not answer, and says that it knows nothing (S5)', async ({ skip }) => {
    const harness = await made();
    if (!harness.unanswered) skip('the harness has no vendor that does not answer');
    const source = await harness.unanswered!();
    try {
      const before = performance.now();
      await source.open();
      expect(performance.now() - before).toBeLessThan(openWithinMs);
      if (noticesLoss) {
        expect(['starting', 'stale']).toContain(source.health.state);
        expect(source.health.why).toMatch(/\S/);
      }
      expect((await read(source, global, {})).state).toBe('unknown');
    } finally {
      await source.close();
    }
  });

  test.runIf(ownsVendor)(
    'closes at once while it waits for a vendor that does not answer, with nothing left behind',
    async ({ skip }) => {
      const harness = await made();
      if (!harness.unanswered) skip('the harness has no vendor that does not answer');
      const left = await leftBehindBy(async () => {
        const source = await harness.unanswered!();
        const opening = source.open();
        await source.close();
        await opening;
        expect(source.health.state).toBe('closed');
        await harness.close();
      });
      expect(left).toEqual([]);
    },
  );

  test.runIf(ownsVendor)('leaves no timer, socket or watcher behind', async () => {
    const left = await leftBehindBy(async () => {
      const harness = await unowned();
      await harness.source.open();
      await harness.engage(global);
      await harness.lose();
      await harness.source.close();
      await harness.close();
    });
    expect(left).toEqual([]);
  });

  test('outlives garbage: nothing crashes, nobody is released, and proper data is taken after it (I13)', async ({ skip }) => {
    const harness = await opened();
    if (!harness.feed) skip('the harness cannot feed a text');
    await harness.engage(global);
    const latch = readingLatch();
    latch.take(await read(harness.source, global, {}));
    const host = watchHost();
    for (const [name, text] of Object.entries(garbage)) {
      await harness.feed!(text);
      const reading = latch.take(await read(harness.source, global, {}));
      expect([name, reading.state]).not.toEqual([name, 'released']);
      expect([name, latch.isEngaged]).toEqual([name, true]);
    }
    await host.end();
    expect(host.uncaught).toEqual([]);
    await harness.engage(user, 'u-1');
    expect(await read(harness.source, user, { userId: 'u-1' })).toMatchObject({ state: 'engaged', origin: 'live' });
  });
}

/** What a vendor, a proxy or a portal in between may send in place of data. */
const garbage = {
  nothing: '',
  'a space': ' ',
  null: 'null',
  true: 'true',
  'a number': '1e999',
  'a string': '"flags"',
  'an empty list': '[]',
  'an empty object': '{}',
  'half a document': '{"flags":{"killswitch.global":{"st',
  'flags that are null': '{"flags":null,"features":null}',
  'flags that are a list': '{"flags":[1],"features":[1]}',
  'flags that are a string': '{"flags":"x","features":"x"}',
  'flags that are null one by one': '{"flags":{"killswitch.global":null},"features":{"killswitch.global":null}}',
  'a prototype': '{"__proto__":{"flags":{}},"constructor":{"prototype":{}}}',
  'a portal': '<!doctype html><title>Sign in</title>',
  'a byte order mark': '\ufeff{"flags":{}',
  'control characters': '\u0000\u0001\u0002',
  'deep nesting': `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
  'two documents': '{"flags":{}}{"flags":{}}',
};
