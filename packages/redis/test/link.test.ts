// link.test.ts: when a connection is given up that says nothing any more, and when it is not.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Link, linksTo } from '../src/connection/link.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => void vi.useRealTimers());

/** A connection whose answers come when the test says so, in order. */
async function quiet() {
  const answers: (() => void)[] = [];
  const client = {
    isOpen: true,
    connect: async () => {},
    destroy: () => {},
    ref: () => {},
    unref: () => {},
    on: () => {},
    sendCommand: () => new Promise((resolve) => answers.push(() => resolve('OK'))),
  };
  const link = await linksTo({ client: { duplicate: () => client } })({ connectTimeoutMs: 1_000, keepsAlive: true });
  const answer = async (): Promise<void> => {
    answers.shift()!();
    await vi.advanceTimersByTimeAsync(0);
  };
  return { link, answer };
}

/** How long it takes until the link is given up. Milliseconds. */
async function givenUpAfter(link: Link): Promise<number> {
  const from = performance.now();
  for (let i = 0; i < 1_000 && !link.isGone; i++) await vi.advanceTimersByTimeAsync(100);
  return performance.now() - from;
}

const ignored = (): void => {};

test('silence is noticed by the bound of the call that waits, whatever longer one was answered before it (I14)', async () => {
  const { link, answer } = await quiet();
  const long = link.call(['XRANGE'], 10_000);
  await answer();
  await long;
  link.call(['FCALL'], 2_000).catch(ignored);
  expect(await givenUpAfter(link)).toBe(2_000);
});

test('silence is noticed by the bound of the call that waits, also where a longer one before it was answered while it did (I14)', async () => {
  const { link, answer } = await quiet();
  link.call(['XRANGE'], 10_000).catch(ignored);
  const short = link.call(['FCALL'], 2_000);
  short.catch(ignored);
  await vi.advanceTimersByTimeAsync(1_000);
  await answer();
  // It could not be answered before that.
  expect(await givenUpAfter(link)).toBe(2_000);
  await expect(short).rejects.toThrow('no answer in time');
});

test('a call waits for a longer one before it that has not been answered: the bound of that one counts', async () => {
  const { link } = await quiet();
  link.call(['XRANGE'], 10_000).catch(ignored);
  link.call(['FCALL'], 2_000).catch(ignored);
  expect(await givenUpAfter(link)).toBe(10_000);
});

test('a connection that answers is not given up, however many calls wait on it: each is due its bound after the answer before it (I14)', async () => {
  const { link, answer } = await quiet();
  const calls = Array.from({ length: 50 }, () => link.call(['XRANGE'], 1_000));
  for (const one of calls) {
    await vi.advanceTimersByTimeAsync(900);
    await answer();
    expect(await one).toBe('OK');
  }
  link.call(['XRANGE'], 1_000).catch(ignored);
  expect(await givenUpAfter(link)).toBe(1_000);
});
