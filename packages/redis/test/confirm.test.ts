// confirm.test.ts: when those who have not taken a stop in are asked for again.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Confirming } from '../src/confirm.ts';
import type { Wire } from '../src/connection/wire.ts';

type Answer = readonly [process: string, state: 'took' | 'waits' | 'lapsed', left: string, info: string];

/** Answers in turn, the last one for ever. */
function wireThat(...answers: Answer[]): { wire: Wire; asked: () => number } {
  let count = 0;
  const fn = async (): Promise<unknown> => ['1-0', answers[Math.min(count++, answers.length - 1)]];
  return { wire: { fn } as unknown as Wire, asked: () => count };
}

const waits: Answer = ['p2', 'waits', '4000', '{"name":"worker"}'];
const took: Answer = ['p2', 'took', '4000', '{"name":"worker"}'];

describe('who has taken a stop in', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('is asked again at once when the last one says so', async () => {
    const { wire, asked } = wireThat(waits, took);
    const confirming = new Confirming({ wire, process: 'p1', leaseMs: 5_000 });
    const confirmed = confirming.confirm('key', 0);
    await vi.waitFor(() => expect(asked()).toBe(1));
    confirming.haveAll();
    await expect(confirmed).resolves.toMatchObject({ confirmed: ['p2'], unconfirmed: [] });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is heard although the word comes before the first answer does', async () => {
    const { wire } = wireThat(waits, took);
    const confirming = new Confirming({ wire, process: 'p1', leaseMs: 5_000 });
    const confirmed = confirming.confirm('key', 0);
    confirming.haveAll();
    await expect(confirmed).resolves.toMatchObject({ confirmed: ['p2'], unconfirmed: [] });
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
    for (let i = 0; i < 5; i++) confirming.haveAll();
    await vi.advanceTimersByTimeAsync(1_000);
    const { confirmed: have, unconfirmed } = await confirmed;
    expect(have).toEqual([]);
    expect(unconfirmed).toEqual([expect.stringContaining('process p2 (worker) has not taken it in')]);
  });
});
