// pending.property.test.ts: flips through a vendor that processes read late: whatever the interleaving, what was stopped stays
// stopped until it is released, and nothing is left pending once everybody has read (S3, S4).

import { isEngaged, type Reading } from '@offswitch/core';
import { formatStopKey, memoryStore, parseStopKey, pendingSeries } from '@offswitch/runtime';
import { manualClock } from '@offswitch/testing';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StopSet } from '../src/stop-set.ts';
import { settle, switches } from './world.ts';

const series = 'vendor';
type Step =
  | { readonly do: 'poll'; readonly which: number }
  | { readonly do: 'engage'; readonly reads: readonly number[] }
  | { readonly do: 'release' | 'elsewhere' };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('poll' as const), which: fc.nat(1) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('engage' as const), reads: fc.array(fc.nat(1), { maxLength: 2 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('elsewhere' as const) }) },
);

class Fleet {
  readonly store = memoryStore();
  readonly clock = manualClock();
  readonly sets: StopSet[] = [0, 1].map(
    () =>
      new StopSet({
        store: this.store,
        clock: this.clock,
        effects: new Map(),
        onChange: () => {},
        onStoreError: () => {},
        onLatched: () => {},
        onWords: () => {},
      }),
  );
  vendor = { isEngaged: false, n: 1 };
  readonly seen = this.sets.map(() => this.vendor);
  private flips = 0;
  /** A broken variant: the command does not say above what the flip is. */
  isBlind = false;

  /** The newest that a process has heard is read again whenever it looks. */
  async read(which: number, hears: boolean): Promise<void> {
    if (hears) this.seen[which] = this.vendor;
    const { isEngaged: is, n } = this.seen[which]!;
    const reading: Reading = { state: is ? 'engaged' : 'released', origin: 'live', position: { series, n } };
    this.sets[which]!.learn(await this.store.stops());
    this.sets[which]!.read(switches.global, '', reading);
    await settle(this.clock);
    for (const set of this.sets) set.learn(await this.store.stops());
  }
  private async pend(n: number): Promise<string> {
    const name = pendingSeries(series, `c${++this.flips}`);
    const key = formatStopKey({ kind: 'switch', tier: 'global', subject: '-', series: name });
    await this.store.mark(key, 'engaged', n, { reason: 'bad', at: 0, subject: '', series });
    for (const which of [0, 1]) await this.read(which, false);
    return key;
  }
  /** As the command line does it. */
  async engage(reads: readonly number[]): Promise<void> {
    const known = this.isBlind ? -1 : Math.max(...this.seen.map((one) => one.n));
    const first = await this.pend(known + 1);
    for (const which of reads) await this.read(which, true);
    if (!this.vendor.isEngaged) this.vendor = { isEngaged: true, n: this.vendor.n + 1 };
    else {
      await this.pend(Math.max(0, known));
      await this.store.mark(first, 'released', known + 1, { reason: 'so already', at: 0 });
    }
  }
  async release(): Promise<void> {
    if (this.vendor.isEngaged) this.vendor = { isEngaged: false, n: this.vendor.n + 1 };
    for (const { key, marks } of await this.pending())
      await this.store.mark(key, 'released', marks.engaged, { reason: 'mended', at: 0 });
  }
  async pending() {
    return (await this.store.stops()).filter(({ key, marks }) => key.includes('~') && isEngaged(marks) && parseStopKey(key));
  }
  isStopped(which: number): boolean {
    return this.sets[which]!.against('global', '-').action === 'pause';
  }
}

async function play(steps: readonly Step[], isBlind: boolean): Promise<void> {
  const fleet = new Fleet();
  fleet.isBlind = isBlind;
  let mustStop = false;
  const look = (): void => {
    if (mustStop) expect([fleet.isStopped(0), fleet.isStopped(1)]).toEqual([true, true]);
  };
  for (const one of steps) {
    switch (one.do) {
      case 'poll':
        await fleet.read(one.which, true);
        break;
      case 'engage':
        await fleet.engage(one.reads);
        mustStop = true;
        break;
      case 'release':
        mustStop = false;
        await fleet.release();
        break;
      case 'elsewhere':
        // Another switch of the vendor's was flipped: its one counter moves on.
        fleet.vendor = { ...fleet.vendor, n: fleet.vendor.n + 1 };
        break;
    }
    look();
  }
  for (const which of [0, 1, 0, 1]) await fleet.read(which, true);
  look();
  expect(await fleet.pending()).toEqual([]);
  expect([fleet.isStopped(0), fleet.isStopped(1)]).toEqual([fleet.vendor.isEngaged, fleet.vendor.isEngaged]);
}

describe('flips through a vendor that two processes read late', () => {
  test('stop until they are released, are never left pending, and go with their release (S3, S4)', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 14 }), (steps) => play(steps, false)),
      { numRuns: 150 },
    );
  });
  test('engaged, released and engaged again within one poll: the older engage, read live, takes nothing over', async () => {
    const steps = [
      { do: 'engage', reads: [] },
      { do: 'poll', which: 0 },
      { do: 'release' },
      { do: 'engage', reads: [0] },
    ] as const;
    await play(steps, false);
    await expect(play(steps, true)).rejects.toThrow();
  });
});
