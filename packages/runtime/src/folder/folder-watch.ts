// folder-watch.ts: notices what other processes, or a person's hand, put into the folder.
//
// The system's own notices make it quick; a poll beside them makes it certain, because notices get lost and some file
// systems have none.

import type { FSWatcher } from 'node:fs';
import type { Clock } from '../clock.ts';
import type { FolderFs } from './folder-fs.ts';

export interface FolderWatchOptions {
  readonly disk: FolderFs;
  readonly clock: Clock;
  readonly pollMs: number;
  readonly folders: readonly string[];
  /** A notice for a name that tells us nothing new is dropped here, before anything is read. */
  readonly isKnown: (name: string) => boolean;
  /** A notice came. */
  readonly look: () => void;
  /** The time of the poll came. */
  readonly poll: () => void;
}

export class FolderWatch {
  private readonly options: FolderWatchOptions;
  private readonly watchers: FSWatcher[] = [];
  private timer: unknown;
  private isClosed = false;
  private isLooking = false;

  constructor(options: FolderWatchOptions) {
    this.options = options;
    for (const folder of options.folders) {
      try {
        const watcher = options.disk.watch(folder, { persistent: false }, (_, name) => this.noticed(name));
        watcher.on('error', () => watcher.close());
        this.watchers.push(watcher);
      } catch {
        // No watches left on this machine, or the folder is gone: the poll sees the same, later.
      }
    }
    this.wait();
  }

  close(): void {
    this.isClosed = true;
    this.options.clock.clearTimeout(this.timer);
    for (const watcher of this.watchers) watcher.close();
  }

  private noticed(name: string | null): void {
    if (this.isLooking || (name !== null && this.options.isKnown(name))) return;
    // Notices come in swarms; one look after the swarm sees all of it.
    this.isLooking = true;
    setImmediate(() => {
      this.isLooking = false;
      if (!this.isClosed) this.options.look();
    });
  }

  private wait(): void {
    this.timer = this.options.clock.setTimeout(() => {
      this.options.poll();
      if (!this.isClosed) this.wait();
    }, this.options.pollMs);
    (this.timer as Partial<NodeJS.Timeout> | undefined)?.unref?.();
  }
}
