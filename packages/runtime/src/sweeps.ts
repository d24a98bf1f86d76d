// sweeps.ts: when everything is read anew: at once after the first change, and at a bounded pace however fast a source flaps.

import type { Clock } from './clock.ts';

/** Two sweeps are at least this far apart, however fast a source flaps. Milliseconds; the first change is always read at once. */
const sweepGapMs = 5;

export class Sweeps {
  private readonly clock: Clock;
  private readonly readEverything: () => Promise<void>;
  private readonly onSwept: () => void;
  private isSweeping = false;
  private isDirty = false;
  private isClosed = false;
  private lastSweepAt = Number.NEGATIVE_INFINITY;
  private gapTimer: unknown;
  private waiting: (() => void)[] = [];

  constructor(clock: Clock, readEverything: () => Promise<void>, onSwept: () => void) {
    this.clock = clock;
    this.readEverything = readEverything;
    this.onSwept = onSwept;
  }

  /** Something may read differently. */
  lookAgain(): void {
    this.isDirty = true;
    this.sweepSoon();
  }

  /** Resolves after a sweep that began after this call. */
  swept(): Promise<void> {
    return new Promise((resolve) => {
      if (this.isClosed) return resolve();
      this.waiting.push(resolve);
      this.isDirty = true;
      this.clock.clearTimeout(this.gapTimer);
      this.gapTimer = undefined;
      if (!this.isSweeping) void this.sweep();
    });
  }

  close(): void {
    this.isClosed = true;
    this.clock.clearTimeout(this.gapTimer);
    for (const done of this.waiting.splice(0)) done();
  }

  private sweepSoon(): void {
    if (this.isClosed || this.isSweeping || this.gapTimer !== undefined) return;
    const wait = this.lastSweepAt + sweepGapMs - this.clock.monotonic();
    if (wait <= 0) void this.sweep();
    else {
      this.gapTimer = this.clock.setTimeout(() => {
        this.gapTimer = undefined;
        void this.sweep();
      }, wait);
    }
  }

  private async sweep(): Promise<void> {
    if (this.isSweeping || this.isClosed) return;
    this.isSweeping = true;
    try {
      while (this.isDirty && !this.isClosed) {
        this.isDirty = false;
        const waiting = this.waiting.splice(0);
        this.lastSweepAt = this.clock.monotonic();
        await this.readEverything();
        for (const done of waiting) done();
        this.onSwept();
        if (this.waiting.length === 0) break;
      }
    } finally {
      this.isSweeping = false;
    }
    // A flapping source is read at a bounded pace.
    if (this.isDirty) this.sweepSoon();
  }
}
