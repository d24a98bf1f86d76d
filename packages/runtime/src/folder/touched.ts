// touched.ts: whether a folder is worth listing again, from the times of its last changes.

import type { FolderFs } from './folder-fs.ts';

/**
 * A folder that has not changed for two polls has nothing new to list. Two, because a change within one tick of the file
 * system's clock leaves the time as it was.
 */
export class Touched {
  private readonly disk: FolderFs;
  private readonly folders: readonly string[];
  private stamp = '';
  private polls = 0;

  constructor(disk: FolderFs, folders: readonly string[]) {
    this.disk = disk;
    this.folders = folders;
  }

  /** True when in doubt. */
  look(): boolean {
    try {
      const stamp = this.folders.map((path) => this.disk.statSync(path).mtimeMs).join();
      this.polls = stamp === this.stamp ? this.polls + 1 : 0;
      this.stamp = stamp;
      return this.polls < 2;
    } catch {
      return true;
    }
  }

  /** The next look is told that it changed. */
  forget(): void {
    this.stamp = '';
  }
}
