// latches.ts: stops are written down, and what could not be is tried again; a failure lifts nothing (S4, I13).

import { join } from '@offswitch/core';
import type { Clock } from './clock.ts';
import type { StopEntry } from './stop-entry.ts';
import type { StateStore } from './store.ts';

/** How long to wait before a failed latch is written again. */
const retryAfterMs = 250;

export interface LatchesOptions {
  readonly store: StateStore;
  readonly clock: Clock;
  readonly onStoreError: (error: unknown) => void;
  /** A stop that could not be written down was, at last. */
  readonly onLatched: (entry: StopEntry) => void;
}

export class Latches {
  private readonly options: LatchesOptions;
  /** Every stop there is. */
  private readonly entries: () => Iterable<StopEntry>;
  /** Stops whose writing failed and was not made up for yet. */
  private readonly unlatched = new Set<StopEntry>();
  private retryTimer: unknown;
  private isClosed = false;

  constructor(options: LatchesOptions, entries: () => Iterable<StopEntry>) {
    this.options = options;
    this.entries = entries;
  }

  /** Writes down what is not stored yet. False when that failed: it is tried again until it does not. */
  async latch(entry: StopEntry): Promise<boolean> {
    const { engaged, released } = entry.marks;
    try {
      if (engaged > entry.stored.engaged) await this.options.store.mark(entry.name, 'engaged', engaged, entry.details!);
      if (released > entry.stored.released)
        await this.options.store.mark(entry.name, 'released', released, entry.releasedDetails!);
      entry.stored = join(entry.stored, { engaged, released });
      if (this.unlatched.delete(entry)) this.options.onLatched(entry);
      return true;
    } catch (error) {
      this.unlatched.add(entry);
      this.options.onStoreError(error);
      if (!this.isClosed) this.retryLater();
      return false;
    }
  }

  close(): void {
    this.isClosed = true;
    this.options.clock.clearTimeout(this.retryTimer);
  }

  private retryLater(): void {
    if (this.retryTimer !== undefined) return;
    this.retryTimer = this.options.clock.setTimeout(() => {
      this.retryTimer = undefined;
      if (this.isClosed) return;
      for (const entry of this.entries()) {
        if (entry.marks.engaged > entry.stored.engaged || entry.marks.released > entry.stored.released) void this.latch(entry);
      }
    }, retryAfterMs);
  }
}
