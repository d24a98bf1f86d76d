// floors.ts: how far each switch's history was already read, by this process or an earlier one. A live reading below that is of an
// older copy: it releases nothing (S3), and must not look like the vendor's present either (S13).

import type { Position, SwitchFlag } from '@offswitch/core';
import type { KeptReading } from './store.ts';

export class Floors {
  private readonly floors = new Map<string, number>();

  constructor(kept: readonly KeptReading[]) {
    for (const { key, series, n } of kept) if (n !== undefined) this.raise(key, series, n);
  }

  /** What is wrong with a live reading at this position, for people; `undefined` where nothing is. */
  below(flag: SwitchFlag, { series, n }: Position): string | undefined {
    if (n === undefined) return undefined;
    const floor = this.floors.get(nameOf(flag.key, series)) ?? n;
    if (n < floor)
      return `reads at ${n}, and was read at ${floor} before: an older copy was put back. Nothing is released by it; bring the newer one back, or flip it again`;
    this.raise(flag.key, series, n);
    return undefined;
  }

  private raise(key: string, series: string, n: number): void {
    const name = nameOf(key, series);
    if (n > (this.floors.get(name) ?? -1)) this.floors.set(name, n);
  }
}

function nameOf(key: string, series: string): string {
  return `${series}\n${key}`;
}
