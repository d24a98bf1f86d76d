// pacer.ts: releases come to many sessions at once; they go on a few at a time, so that lifting a stop is no stampede (S7).

import type { Clock } from './clock.ts';

/** How many go on together. */
const batch = 32;
/** The pause between two batches. Milliseconds: 32 every 10 ms is 3,200 sessions a second. */
const gapMs = 10;

export class Pacer {
  private readonly clock: Clock;
  private readonly queue = new Set<() => void>();
  private timer: unknown;
  private lastAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Runs `wake` in its turn. Queued twice, it runs once. */
  add(wake: () => void): void {
    this.queue.add(wake);
    if (this.timer !== undefined) return;
    const wait = Math.max(0, this.lastAt + gapMs - this.clock.monotonic());
    this.timer = this.clock.setTimeout(() => this.drain(), wait);
  }

  remove(wake: () => void): void {
    this.queue.delete(wake);
  }

  close(): void {
    this.clock.clearTimeout(this.timer);
    this.timer = undefined;
    this.queue.clear();
  }

  private drain(): void {
    this.timer = undefined;
    this.lastAt = this.clock.monotonic();
    let left = batch;
    for (const wake of this.queue) {
      if (left-- === 0) break;
      this.queue.delete(wake);
      wake();
    }
    if (this.queue.size > 0) this.timer = this.clock.setTimeout(() => this.drain(), gapMs);
  }
}
