// at-most.ts: waits for what somebody else does, and no longer than that.

import type { Clock } from './clock.ts';

/** Resolves when the work has ended, or after `ms`; rejects when it rejects in time. */
export async function atMost(clock: Clock, ms: number, act: () => Promise<void>): Promise<void> {
  let timer: unknown;
  const late = new Promise<void>((resolve) => {
    timer = clock.setTimeout(resolve, ms);
  });
  try {
    await Promise.race([act(), late]);
  } finally {
    clock.clearTimeout(timer);
  }
}
