// clock.ts: the time that everything here runs on. Injected, so that tests move it by hand and nothing sleeps.

export interface Clock {
  /** Wall clock, epoch milliseconds: for what people read. It may jump. */
  now(): number;
  /** Milliseconds that only grow: for ages and deadlines. */
  monotonic(): number;
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
}

/** The machine's own. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout),
};
