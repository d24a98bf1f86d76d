// freshness.ts: how far the data can be believed, by our own clock.
//
// Fresh is earned and runs out: something confirmed the data less than `staleAfterMs` ago, and nothing is wrong with it. Two
// clocks are asked and the worse counts: the monotonic one stands still while a machine sleeps, the wall clock may be set back.

import type { SourceHealth } from '@offswitch/core';

export interface FreshnessOptions {
  readonly staleAfterMs: number;
  readonly now: () => number;
  readonly hasData: () => boolean;
  /** Health changed. */
  changed(): void;
  /** Nothing confirmed the data for `staleAfterMs`; called again after as long while it stays so. */
  ranOut(): void;
}

export interface Freshness {
  readonly health: SourceHealth;
  /** The data is what the vendor held at `at` (by `performance.now`). */
  confirm(at: number): void;
  /** Something is wrong with the data itself; undefined: no longer. */
  problem(why: string | undefined): void;
  /** What went wrong last on the way; shown once the data is stale. */
  trouble(why: string): void;
  /** Looks at the clock. */
  check(): void;
  close(): void;
}

export function createFreshness(options: FreshnessOptions): Freshness {
  const { staleAfterMs, now } = options;
  let confirmedAt = Number.NEGATIVE_INFINITY;
  let confirmedWall = Number.NEGATIVE_INFINITY;
  let why: string | undefined;
  let lastTrouble: string | undefined;
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;
  let health: SourceHealth = { state: 'starting', since: now(), why: 'nothing was asked of LaunchDarkly yet' };

  const ageMs = (): number => Math.max(performance.now() - confirmedAt, now() - confirmedWall);
  const current = (): Pick<SourceHealth, 'state' | 'why'> => {
    if (isClosed) return { state: 'closed' };
    if (!options.hasData()) return { state: 'starting', why: lastTrouble ?? 'LaunchDarkly has not answered yet' };
    if (why !== undefined) return { state: 'stale', why };
    if (ageMs() <= staleAfterMs) return { state: 'fresh' };
    const since = `nothing confirmed the flags for ${staleAfterMs} ms`;
    return { state: 'stale', why: lastTrouble === undefined ? since : `${since}: ${lastTrouble}` };
  };
  const look = (): void => {
    const next = current();
    if (next.state === health.state && next.why === health.why) return;
    const isSame = next.state === health.state;
    health = { ...next, since: isSame ? health.since : now() };
    // Another reason for the same state is no news that anybody has to act on.
    if (!isSame) options.changed();
  };
  const arm = (): void => {
    if (timer || isClosed) return;
    const left = staleAfterMs - ageMs();
    timer = setTimeout(
      () => {
        timer = undefined;
        look();
        if (ageMs() > staleAfterMs) options.ranOut();
        arm();
      },
      left > 0 && Number.isFinite(left) ? left + 1 : staleAfterMs,
    );
    timer.unref();
  };

  return {
    get health() {
      // Read between two looks of the timer, it must not be fresher than it is.
      if (health.state === 'fresh' && ageMs() > staleAfterMs) return { ...current(), since: health.since + staleAfterMs };
      return health;
    },
    confirm(at) {
      if (at > confirmedAt) {
        confirmedWall = now() - (performance.now() - at);
        confirmedAt = at;
      }
      arm();
      look();
    },
    problem(next) {
      why = next;
      arm();
      look();
    },
    trouble(next) {
      lastTrouble = next;
      arm();
      look();
    },
    check: look,
    close() {
      isClosed = true;
      clearTimeout(timer);
      look();
    },
  };
}
