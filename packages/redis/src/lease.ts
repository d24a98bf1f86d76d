// lease.ts: how long this process may go on without hearing from Redis.
//
// Two clocks, and whichever says that it is over is right: the monotonic one stands still on some machines while they sleep, the
// wall clock can be set. Looked at when asked, so that a process that was halted is refused by its first check, before any timer ran.

import type { Clock } from '@offswitch/runtime';

export interface Instant {
  readonly wall: number;
  readonly monotonic: number;
}

export class Lease {
  private readonly clock: Clock;
  private readonly leaseMs: number;
  private until: Instant = { wall: Number.NEGATIVE_INFINITY, monotonic: Number.NEGATIVE_INFINITY };

  constructor(clock: Clock, leaseMs: number) {
    this.clock = clock;
    this.leaseMs = leaseMs;
  }

  instant(): Instant {
    return { wall: this.clock.now(), monotonic: this.clock.monotonic() };
  }

  get isOut(): boolean {
    return this.isEnded || this.clock.monotonic() >= this.until.monotonic || this.clock.now() >= this.until.wall;
  }

  /** Milliseconds that are left; 0 when it is out. */
  get leftMs(): number {
    return Math.max(0, Math.min(this.until.monotonic - this.clock.monotonic(), this.until.wall - this.clock.now()));
  }

  /** It has run out, whatever the clocks say here: others count this process as gone. */
  end(): void {
    this.isEnded = true;
  }
  private isEnded = false;

  /** For how long it has been out. Milliseconds. */
  get outMs(): number {
    return Math.max(0, this.clock.now() - this.until.wall);
  }

  /** Renewed by a request that was sent at this instant. An older renewal that is heard of later changes nothing. */
  extend(sentAt: Instant): void {
    const monotonic = sentAt.monotonic + this.leaseMs;
    if (monotonic <= this.until.monotonic) return;
    this.until = { monotonic, wall: sentAt.wall + this.leaseMs };
    this.isEnded = false;
  }
}
