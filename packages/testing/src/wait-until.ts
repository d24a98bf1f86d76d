// wait-until.ts: waits for what a source tells of, and for what it does not, within a bound.

import type { SwitchSource } from '@offswitch/core';

const lookEveryMs = 5;

/**
 * True as soon as `holds` does: it is asked now, after each notice of the source, and every few milliseconds for what a source
 * says nothing of. False once `withinMs` have passed.
 */
export async function waitUntil(
  source: SwitchSource,
  withinMs: number,
  holds: () => boolean | Promise<boolean>,
): Promise<boolean> {
  const endsAt = performance.now() + withinMs;
  let wake = (): void => {};
  const stop = source.subscribe(() => wake());
  try {
    for (;;) {
      if (await holds()) return true;
      if (performance.now() >= endsAt) return false;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, lookEveryMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  } finally {
    stop();
  }
}
