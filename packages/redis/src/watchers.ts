// watchers.ts: who is told of changes, synchronously.

import type { StoreChange } from '@offswitch/runtime';

type Watcher = (change: StoreChange) => void;

export class Watchers {
  private readonly all = new Set<Watcher>();

  add(watcher: Watcher): () => void {
    const own = (change: StoreChange): void => watcher(change);
    this.all.add(own);
    return () => void this.all.delete(own);
  }

  tell(change: StoreChange): void {
    for (const one of this.all) tellOne(one, change);
  }

  clear(): void {
    this.all.clear();
  }
}

/** One watcher's fault keeps no other from hearing of a stop (I13). */
function tellOne(watcher: Watcher, change: StoreChange): void {
  try {
    watcher(change);
  } catch (error) {
    process.emitWarning(`a listener of the store in Redis threw: ${String(error)}`);
  }
}
