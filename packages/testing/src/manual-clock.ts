// manual-clock.ts: time that moves only when a test says so, so that no test sleeps and none depends on a busy machine.

/** Structurally the clock the runtime takes: wall clock, monotonic clock and timers, all in milliseconds. */
export interface ManualClock {
  /** Wall clock, epoch milliseconds. Moved by `advance` and by `jump`. */
  now(): number;
  /** Never goes back. Milliseconds since the clock was made; moved by `advance` alone. */
  monotonic(): number;
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
  /**
   * Moves both clocks on by `ms`, running each timer that falls due at its own time and in order, with every promise
   * settled in between. Rejects with what a timer threw, after the others have run.
   */
  advance(ms: number): Promise<void>;
  /** Moves the wall clock alone, either way: an NTP step, a suspended laptop. No timer runs. */
  jump(ms: number): void;
  /** Timers not yet run: zero after a part was closed, or it left one behind. */
  readonly pending: number;
}

interface Timer {
  readonly dueAtMs: number;
  readonly order: number;
  readonly callback: () => void;
}

// Taken at load, so that a test that fakes timers cannot stop the clock from draining promises.
const realImmediate = setImmediate;
const settlePromises = (): Promise<void> => new Promise((resolve) => realImmediate(resolve));

/** `startMs`: the first reading of the wall clock. Default 2026-01-01T00:00:00Z, a date no code of ours treats specially. */
export function manualClock(startMs: number = Date.UTC(2026, 0, 1)): ManualClock {
  const timers = new Map<number, Timer>();
  let wallMs = startMs;
  let monotonicMs = 0;
  let order = 0;

  const nextDue = (untilMs: number): [number, Timer] | undefined => {
    let next: [number, Timer] | undefined;
    for (const entry of timers) {
      const [, timer] = entry;
      if (timer.dueAtMs > untilMs) continue;
      const best = next?.[1];
      if (!best || timer.dueAtMs < best.dueAtMs || (timer.dueAtMs === best.dueAtMs && timer.order < best.order)) next = entry;
    }
    return next;
  };
  const moveTo = (targetMs: number): void => {
    wallMs += targetMs - monotonicMs;
    monotonicMs = targetMs;
  };

  return {
    now: () => wallMs,
    monotonic: () => monotonicMs,
    setTimeout(callback, ms) {
      const id = ++order;
      timers.set(id, { dueAtMs: monotonicMs + Math.max(0, Number.isFinite(ms) ? ms : 0), order: id, callback });
      return id;
    },
    clearTimeout(handle) {
      if (typeof handle === 'number') timers.delete(handle);
    },
    async advance(ms) {
      if (!(ms >= 0)) throw new RangeError(`advance(${ms}): time does not go back; use jump() to move the wall clock alone`);
      const untilMs = monotonicMs + ms;
      const thrown: unknown[] = [];
      await settlePromises();
      for (let due = nextDue(untilMs); due; due = nextDue(untilMs)) {
        const [id, timer] = due;
        timers.delete(id);
        moveTo(Math.max(monotonicMs, timer.dueAtMs));
        try {
          timer.callback();
        } catch (error) {
          thrown.push(error);
        }
        await settlePromises();
      }
      // A second `advance` may have run while this one waited.
      if (untilMs > monotonicMs) moveTo(untilMs);
      await settlePromises();
      if (thrown.length > 0) throw thrown[0];
    },
    jump(ms) {
      wallMs += ms;
    },
    get pending() {
      return timers.size;
    },
  };
}
