// limiter.ts: slows calls down; no stop (a token bucket per workflow, over all its sessions in this process).

import type { Clock } from './clock.ts';

export class Limiter {
  private readonly clock: Clock;
  private readonly perMs: number;
  private readonly burst: number;
  private tokens: number;
  private at: number;

  /** `callsPerMinute` on average, a tenth of it in one burst (at least one). */
  constructor(clock: Clock, callsPerMinute: number) {
    this.clock = clock;
    this.perMs = callsPerMinute / 60_000;
    this.burst = Math.max(1, callsPerMinute / 10);
    this.tokens = this.burst;
    this.at = clock.monotonic();
  }

  /** Takes one call's token, in advance if need be. Returns how long to wait before the call. Milliseconds. */
  take(): number {
    const now = this.clock.monotonic();
    this.tokens = Math.min(this.burst, this.tokens + (now - this.at) * this.perMs);
    this.at = now;
    this.tokens -= 1;
    return this.tokens >= 0 ? 0 : -this.tokens / this.perMs;
  }
}
