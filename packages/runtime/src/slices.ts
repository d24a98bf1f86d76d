// slices.ts: long walks over many sessions give the event loop back in between, cut by time.

import type { Clock } from './clock.ts';

/**
 * How long a walk may hold the event loop. Milliseconds: far below what anybody may notice, because the garbage of the walk is collected
 * on top, and a loop that turns often lets the others on in between.
 */
export const sliceMs = 0.2;

/** The time that a walk has left in this turn of the event loop. */
export class Slice {
  private readonly clock: Clock;
  private startedAt: number;
  /** What the walk has taken in all its slices before this one. Milliseconds. */
  private before = 0;

  constructor(clock: Clock) {
    this.clock = clock;
    this.startedAt = clock.monotonic();
  }

  /** Asked after each step. */
  get isOver(): boolean {
    return this.clock.monotonic() - this.startedAt > sliceMs;
  }

  /** The next slice, in a later turn of the event loop. */
  async next(): Promise<void> {
    this.before = this.tookMs;
    await turnOfLoop();
    this.startedAt = this.clock.monotonic();
  }

  /** What the walk itself has taken, without what ran in between. Milliseconds. */
  get tookMs(): number {
    return this.before + this.clock.monotonic() - this.startedAt;
  }
}

export function turnOfLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
