// lost-stops.ts: stops whose files somebody removed, on their way back into the folder.

import type { StoredStop } from '../store.ts';

export class LostStops {
  private readonly restore: (stop: StoredStop) => Promise<void>;
  private readonly onFailed: () => void;
  private readonly restoring = new Set<string>();
  /** Those whose writing failed: told of already. */
  private readonly failed = new Set<string>();

  /** `onFailed`: the folder must be looked at again, whether or not it changes. */
  constructor(restore: (stop: StoredStop) => Promise<void>, onFailed: () => void) {
    this.restore = restore;
    this.onFailed = onFailed;
  }

  /** Of what is missing now: what nobody was told of yet, and the writing of all of it, to be done after the telling. */
  take(missing: readonly StoredStop[]): { readonly fresh: readonly StoredStop[]; readonly write: () => void } {
    const due = missing.filter((one) => !this.restoring.has(one.key));
    return {
      fresh: due.filter((one) => !this.failed.has(one.key)),
      write: () => {
        for (const one of due) void this.writeAgain(one);
      },
    };
  }

  /** Tried at each poll until it is written: a stop that is in force here must be in force in the next process (S4). */
  private async writeAgain(stop: StoredStop): Promise<void> {
    this.restoring.add(stop.key);
    try {
      await this.restore(stop);
      this.failed.delete(stop.key);
    } catch {
      this.failed.add(stop.key);
      this.onFailed();
    } finally {
      this.restoring.delete(stop.key);
    }
  }
}
