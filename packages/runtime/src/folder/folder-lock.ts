// folder-lock.ts: one step at a time among the processes of a folder, without a lock that a dead one keeps.
//
//   lock.<n>   by exclusive creation, its contents the owner; the highest n is the lock
//   free.<n>   its owner has let it go
//
// Nobody removes a lock to take it: who finds the highest one let go, or its owner dead, creates the next. The highest is never
// removed, so of two who saw the same one only one comes through.

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, type FolderFs, fileMode, removeIfThere, storeFailed } from './folder-fs.ts';

/** How long another process may hold it. Milliseconds: a step is a few flushes of the disk. */
const waitMs = 5_000;

const lockName = /^lock\.(\d+)$/;

export class FolderLock {
  private readonly disk: FolderFs;
  private readonly folder: string;
  private readonly owner: string;
  private readonly isAlive: (process: string) => Promise<boolean>;
  private turn: Promise<unknown> = Promise.resolve();
  private count = 0;
  /** Ours, let go, but the disk did not take it: it is nobody's, whatever others see. */
  private unfreed: number | undefined;

  constructor(disk: FolderFs, folder: string, owner: string, isAlive: (process: string) => Promise<boolean>) {
    this.disk = disk;
    this.folder = folder;
    this.owner = owner;
    this.isAlive = isAlive;
  }

  /** Runs the step alone among all processes. Rejects with `store_failed` when the lock cannot be had. */
  hold<T>(step: () => Promise<T>): Promise<T> {
    const mine = this.turn.then(async () => {
      const n = await this.take();
      try {
        return await step();
      } finally {
        this.free(n);
      }
    });
    this.turn = mine.catch(() => undefined);
    return mine;
  }

  /** Resolves when no step of this process runs or waits any more. */
  async settle(): Promise<void> {
    await this.turn;
  }

  private async take(): Promise<number> {
    if (this.unfreed !== undefined) this.free(this.unfreed);
    const giveUpAt = performance.now() + waitMs;
    for (;;) {
      const last = this.highest();
      const holder = last === 0 ? undefined : this.holderOf(last);
      if (holder === undefined || !(await this.isAlive(holder))) {
        if (this.create(last + 1)) {
          // Somebody may have come and gone since we looked, and cleared our number away.
          if (this.highest() === last + 1) {
            this.clear(last);
            return last + 1;
          }
          removeIfThere(this.disk, this.path('lock', last + 1));
        }
      } else if (performance.now() > giveUpAt) {
        throw storeFailed(`${this.path('lock', last)} is held by process ${holder} for more than ${waitMs} ms`);
      } else await sleep(1 + Math.random() * 3);
    }
  }

  private free(n: number): void {
    try {
      this.disk.closeSync(this.disk.openSync(this.path('free', n), 'wx', fileMode));
      this.unfreed = undefined;
    } catch (error) {
      this.unfreed = codeOf(error) === 'EEXIST' ? undefined : n;
    }
  }

  private create(n: number): boolean {
    const temporary = join(this.folder, `.tmp.${this.owner}.l${this.count++}`);
    try {
      const fd = this.disk.openSync(temporary, 'wx', fileMode);
      try {
        this.disk.writeSync(fd, this.owner);
      } finally {
        this.disk.closeSync(fd);
      }
      this.disk.linkSync(temporary, this.path('lock', n));
      return true;
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      throw storeFailed(`${this.path('lock', n)} could not be made`, error);
    } finally {
      removeIfThere(this.disk, temporary);
    }
  }

  private highest(): number {
    try {
      return Math.max(0, ...this.disk.readdirSync(this.folder).map((name) => Number(lockName.exec(name)?.[1] ?? 0)));
    } catch (error) {
      throw storeFailed(`${this.folder} cannot be listed`, error);
    }
  }

  /** `undefined`: it was let go. A file without contents is of before a loss of power, which nobody survived: '' is alive nowhere. */
  private holderOf(n: number): string | undefined {
    if (n === this.unfreed) return undefined;
    try {
      this.disk.statSync(this.path('free', n));
      return undefined;
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw storeFailed(`${this.path('free', n)} cannot be looked at`, error);
    }
    try {
      return this.disk.readFileSync(this.path('lock', n), 'utf8');
    } catch (error) {
      // Cleared away meanwhile: there is a higher one.
      if (codeOf(error) === 'ENOENT') return undefined;
      throw storeFailed(`${this.path('lock', n)} cannot be read`, error);
    }
  }

  private clear(below: number): void {
    for (let n = below; n > 0 && n > below - 8; n--)
      for (const kind of ['lock', 'free'] as const) removeIfThere(this.disk, this.path(kind, n));
  }

  private path(kind: 'lock' | 'free', n: number): string {
    return join(this.folder, `${kind}.${n}`);
  }
}
