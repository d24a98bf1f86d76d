// freshness.ts: how old what we hold is, by our own clock. The client's own word, `isSynchronized`, stays true for ever once it
// was true, whatever happened to the connection since.

import type { SourceHealth } from '@offswitch/core';

export interface FreshnessOptions {
  readonly staleAfterMs: number;
  /** Wall clock of `since`. */
  readonly now: () => number;
  readonly location: string;
  /** State or reason changed, and nobody asked. */
  readonly onChange: () => void;
}

export interface Freshness {
  readonly health: SourceHealth;
  /** What we hold was confirmed by an answer to a request that was sent then (monotonic milliseconds). */
  contact(sentAt: number): void;
  /**
   * A request failed. A definite failure (refused token, wrong shape, no such place) counts at once; another only the second
   * time in a row, since one lost packet is no outage.
   */
  fault(why: string, isDefinite: boolean): void;
  close(): void;
}

export const monotonic = (): number => performance.now();

export function freshness(options: FreshnessOptions): Freshness {
  const { staleAfterMs, now, location, onChange } = options;
  let contactAt: number | undefined;
  let contactWallAt = 0;
  let faults = 0;
  let isDefinite = false;
  let why: string | undefined;
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;
  let health: SourceHealth = { state: 'starting', since: now(), why: `${location} was not read yet` };

  // A machine that slept has a monotonic clock that slept with it; a wall clock may be set back. The larger age is believed.
  const ageMs = (): number => Math.max(monotonic() - (contactAt ?? 0), now() - contactWallAt);
  const look = (): Pick<SourceHealth, 'state' | 'why'> => {
    if (isClosed) return { state: 'closed' };
    if (contactAt === undefined) return { state: 'starting', why: why ?? `${location} was not read yet` };
    if (why !== undefined && (isDefinite || faults > 1)) return { state: 'stale', why };
    if (ageMs() > staleAfterMs)
      return { state: 'stale', why: why ?? `${location} has not answered for more than ${staleAfterMs} ms` };
    return { state: 'fresh' };
  };
  const update = (): boolean => {
    const next = look();
    if (next.state === health.state && next.why === health.why) return false;
    health = { ...next, since: next.state === health.state ? health.since : now() };
    return true;
  };
  const told = (): void => {
    if (update()) onChange();
  };
  const watch = (): void => {
    if (timer !== undefined || isClosed || contactAt === undefined) return;
    timer = setTimeout(
      () => {
        timer = undefined;
        told();
        if (health.state === 'fresh') watch();
      },
      Math.max(1, staleAfterMs - ageMs() + 1),
    );
    timer.unref();
  };

  return {
    get health() {
      // The loop may have been blocked past the timer: whoever asks is told the truth, and the others soon.
      if (update()) queueMicrotask(onChange);
      return health;
    },
    contact(sentAt) {
      contactAt = sentAt;
      contactWallAt = now() - (monotonic() - sentAt);
      faults = 0;
      isDefinite = false;
      why = undefined;
      watch();
      told();
    },
    fault(reason, definite) {
      faults++;
      isDefinite = definite;
      why = reason;
      told();
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      clearTimeout(timer);
      told();
    },
  };
}
