// folder-watch.ts: notices what other processes, or a person's hand, put into the folder.
//
// The system's own notices make it quick; a poll beside them makes it certain, because notices get lost and some file
// systems have none.

import type { FSWatcher } from 'node:fs';
import { join } from 'node:path';
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
    this.listen();
    this.wait();
  }

  /** Listens anew: a folder that was removed and made again is another. */
  listen(): void {
    for (const watcher of this.watchers.splice(0)) watcher.close();
    for (const folder of this.options.folders) {
      try {
        const watcher = this.options.disk.watch(folder, { persistent: false }, (event, name) =>
          this.noticed(folder, event, name),
        );
        watcher.on('error', () => watcher.close());
        this.watchers.push(watcher);
      } catch {
        // No watches left on this machine, or the folder is gone: the poll sees the same, later.
      }
    }
  }

  close(): void {
    this.isClosed = true;
    this.options.clock.clearTimeout(this.timer);
    for (const watcher of this.watchers) watcher.close();
  }

  private noticed(folder: string, event: string, name: string | null): void {
    if (this.isLooking || (name !== null && this.options.isKnown(name) && !this.isRemoved(folder, event, name))) return;
    // Notices come in swarms; one look after the swarm sees all of it.
    this.isLooking = true;
    setImmediate(() => {
      this.isLooking = false;
      if (!this.isClosed) this.options.look();
    });
  }

  /** The system says `rename` of a name that came and of one that went. */
  private isRemoved(folder: string, event: string, name: string): boolean {
    return event === 'rename' && this.options.disk.statSync(join(folder, name), { throwIfNoEntry: false }) === undefined;
  }

  private wait(): void {
    this.timer = this.options.clock.setTimeout(() => {
      this.options.poll();
      if (!this.isClosed) this.wait();
    }, this.options.pollMs);
    (this.timer as Partial<NodeJS.Timeout> | undefined)?.unref?.();
  }
}
