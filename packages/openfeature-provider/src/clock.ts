// clock.ts: time as a parameter, so that deadlines and the staleness grace can be tested without waiting.

/** Wall clock and timers, in milliseconds. The runtime's clock and the testing package's manual clock both fit. */
export interface ProviderClock {
  /** Epoch milliseconds. */
  now(): number;
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
}

/** The machine's own. Its timers do not keep a process alive. */
export const systemClock: ProviderClock = {
  now: () => Date.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms).unref(),
  clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout | undefined),
};

/** The longest delay a Node timer holds; anything above fires at once. 2^31 - 1 ms, about 25 days (Node timers documentation). */
export const maxTimerMs: number = 2 ** 31 - 1;
