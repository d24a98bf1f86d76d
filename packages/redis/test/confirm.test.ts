// confirm.test.ts: when those who have not taken a stop in are asked for again.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type AllHave, Confirming } from '../src/confirm.ts';
import type { Wire } from '../src/connection/wire.ts';

type Answer = readonly [process: string, state: 'took' | 'waits' | 'lapsed', left: string, info: string];

/** Answers in turn, the last one for ever. */
function wireThat(...answers: Answer[]): { wire: Wire; asked: () => number } {
  let count = 0;
  const fn = async (): Promise<unknown> => ['1-0', 'second', answers[Math.min(count++, answers.length - 1)]];
  return { wire: { fn } as unknown as Wire, asked: () => count };
}

const info = '{"name":"worker","runsSessions":true}';
const waits: Answer = ['p2', 'waits', '4000', info];
const took: Answer = ['p2', 'took', '4000', info];
const all = (id: string, ...living: string[]): AllHave => ({ id, life: 'second', living: new Set(living) });

describe('who has taken a stop in', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('is known without another question when the last one says so', async () => {
    const { wire, asked } = wireThat(waits);
    const confirming = new Confirming({ wire, process: 'p1', leaseMs: 5_000 });
    const confirmed = confirming.confirm('key', 0);
    await vi.waitFor(() => expect(asked()).toBe(1), 10_000);
    confirming.haveAll(all('1-0', 'p1', 'p2'));
    await expect(confirmed).resolves.toEqual({ confirmed: ['p2'], runners: ['p2'], unconfirmed: [] });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked()).toBe(1);
  });

  it('is heard although the word comes before the first answer does', async () => {
    const { wire } = wireThat(waits);
    const confirming = new Confirming({ wire, process: 'p1', leaseMs: 5_000 });
    const confirmed = confirming.confirm('key', 0);
    confirming.haveAll(all('1-1', 'p1', 'p2'));
    await expect(confirmed).resolves.toMatchObject({ confirmed: ['p2'], unconfirmed: [] });
  });

  it('I3: is asked again where the word is of something that came before this stop', async () => {
    const { wire, asked } = wireThat(waits, took);
    const confirming = new Confirming({ wire, process: 'p1', leaseMs: 5_000 });
    const confirmed = confirming.confirm('key', 0);
    confirming.haveAll(all('0-9', 'p1', 'p2'));
    await expect(confirmed).resolves.toMatchObject({ confirmed: ['p2'], unconfirmed: [] });
    expect(asked()).toBe(2);
  });

  it('I1: is asked again where the word is of the server before it was restarted: its ids may be given out again', async () => {
    const { wire, asked } = wireThat(waits, took);
    const confirming = new Confirming({ wire, process: 'p1', leaseMs: 5_000 });
    const confirmed = confirming.confirm('key', 0);
    confirming.haveAll({ ...all('1-0', 'p1', 'p2'), life: 'first' });
    await expect(confirmed).resolves.toMatchObject({ confirmed: ['p2'], unconfirmed: [] });
    expect(asked()).toBe(2);
  });

  it('is not said of one whose lease ran out meanwhile: it is confirmed as gone, and nothing is expected of it', async () => {
    const { wire } = wireThat(waits);
    const confirming = new Confirming({ wire, process: 'p1', leaseMs: 5_000 });
    const confirmed = confirming.confirm('key', 0);
    confirming.haveAll(all('1-0', 'p1'));
    await expect(confirmed).resolves.toEqual({ confirmed: ['p2'], runners: [], unconfirmed: [] });
  });

  it('is asked again where the word is lost', async () => {
    const { wire, asked } = wireThat(waits, waits, took);
    const confirmed = new Confirming({ wire, process: 'p1', leaseMs: 5_000 }).confirm('key', 0);
    await vi.advanceTimersByTimeAsync(100);
    await expect(confirmed).resolves.toMatchObject({ confirmed: ['p2'], unconfirmed: [] });
    expect(asked()).toBe(3);
  });

  it('I3: is told by name when it has not within its lease, whatever was said meanwhile', async () => {
    const { wire } = wireThat(waits);
    const confirming = new Confirming({ wire, process: 'p1', leaseMs: 100 });
    const confirmed = confirming.confirm('key', 0);
    for (let i = 0; i < 5; i++) confirming.haveAll(all('0-9', 'p1', 'p2'));
    await vi.advanceTimersByTimeAsync(1_000);
    const { confirmed: have, unconfirmed } = await confirmed;
    expect(have).toEqual([]);
    expect(unconfirmed).toEqual([expect.stringContaining('process p2 (worker) has not taken it in')]);
  });
});
