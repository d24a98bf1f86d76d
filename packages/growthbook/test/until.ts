// until.ts: waiting for what a source says, on its own notices and never on the clock.

import type { SwitchSource } from '@offswitch/core';

/** Resolves when `holds` is true: now, or after one of the source's notices. The test's own time limit bounds it. */
export async function until(source: SwitchSource, holds: () => boolean): Promise<void> {
  if (holds()) return;
  await new Promise<void>((resolve) => {
    const stop = source.subscribe(() => {
      if (!holds()) return;
      stop();
      resolve();
    });
  });
}
