// deadline.ts: an end for work of somebody else's making. The OpenFeature SDK has none: a resolver that never settles hangs
// the evaluation for ever.

import { maxTimerMs, type ProviderClock } from './clock.ts';

/** Runs work with an end. `cancel` ends everything under way, at close, so that no timer is left behind. */
export interface Deadline {
  /** What `work` gives, or `late()` once the time is over, or `failed(error)` if it throws or rejects. Never rejects. */
  run<T>(work: () => T | PromiseLike<T>, late: () => T, failed: (error: unknown) => T): Promise<T>;
  cancel(): void;
}

/** `ms`: for each run, milliseconds. */
export function deadline(ms: number, clock: ProviderClock): Deadline {
  const underWay = new Set<() => void>();
  return {
    run<T>(work: () => T | PromiseLike<T>, late: () => T, failed: (error: unknown) => T): Promise<T> {
      let answer: T | PromiseLike<T>;
      try {
        answer = work();
      } catch (error) {
        return Promise.resolve(failed(error));
      }
      if (!isThenable(answer)) return Promise.resolve(answer);
      const pending = answer;
      return new Promise((resolve) => {
        const timer = clock.setTimeout(() => settle(late()), Math.min(ms, maxTimerMs));
        const settle = (value: T): void => {
          clock.clearTimeout(timer);
          underWay.delete(giveUp);
          resolve(value);
        };
        const giveUp = (): void => settle(late());
        underWay.add(giveUp);
        pending.then(settle, (error: unknown) => settle(failed(error)));
      });
    },
    cancel() {
      for (const giveUp of [...underWay]) giveUp();
    },
  };
}

function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

/** An error of anybody's making as words; a thrown value that cannot be printed is said to be that. */
export function wordsOf(error: unknown): string {
  try {
    return error instanceof Error ? error.message : String(error);
  } catch {
    return 'a value that cannot be printed';
  }
}
