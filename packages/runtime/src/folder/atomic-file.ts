// atomic-file.ts: small JSON files that are there whole or not at all, whatever dies in between.

import { dirname, join } from 'node:path';
import { turnOfLoop } from '../slices.ts';
import { codeOf, type FolderFs, fileMode, flushFolder, removeIfThere, storeFailed } from './folder-fs.ts';

/** Left behind by a process that died while writing; cleared away at open. */
export const temporaryName: RegExp = /^\.tmp\.[a-z0-9]+\.\d+$/;

export class AtomicFiles {
  private readonly disk: FolderFs;
  private readonly owner: string;
  private readonly pending = new Map<string, Promise<unknown>>();
  private count = 0;

  /** `owner`: the process id, so that two processes never write one temporary file. */
  constructor(disk: FolderFs, owner: string) {
    this.disk = disk;
    this.owner = owner;
  }

  /** Replaces `path`. Durable when it resolves. Writes of one path land in the order in which they were asked for. */
  write(path: string, value: unknown): Promise<void> {
    return this.writePieces(path, [JSON.stringify(value)]);
  }

  /** The same with the text in pieces, each written in a turn of the event loop of its own. */
  writePieces(path: string, pieces: Iterable<string>): Promise<void> {
    return this.inTurn(path, () =>
      this.throughTemporary(path, pieces, async (temporary) => {
        this.disk.renameSync(temporary, path);
      }),
    );
  }

  /** Replaces `path` without a flush: it survives the loss of the process when it resolves, that of power some seconds later. */
  async writeUnflushed(path: string, text: string): Promise<void> {
    const temporary = join(dirname(path), `.tmp.${this.owner}.${this.count++}`);
    try {
      const fd = this.disk.openSync(temporary, 'wx', fileMode);
      try {
        const bytes = Buffer.from(text);
        for (let at = 0; at < bytes.length; ) at += this.disk.writeSync(fd, bytes, at);
      } finally {
        this.disk.closeSync(fd);
      }
      this.disk.renameSync(temporary, path);
    } catch (error) {
      removeIfThere(this.disk, temporary);
      throw storeFailed(`${path} could not be written`, error);
    }
  }

  /** Creates `path` with its whole content; false when it was there already. A file that cannot be read counts as not there. */
  create(path: string, value: unknown): Promise<boolean> {
    const text = JSON.stringify(value);
    return this.inTurn(path, async () => {
      let isFirst = true;
      await this.throughTemporary(path, [text], async (temporary) => {
        try {
          this.disk.linkSync(temporary, path);
        } catch (error) {
          if (codeOf(error) !== 'EEXIST') throw error;
          isFirst = this.read(path) === undefined;
          if (isFirst) this.disk.renameSync(temporary, path);
        }
      });
      return isFirst;
    });
  }

  /** `undefined` when it is not there or is no JSON. */
  read(path: string): unknown {
    try {
      return JSON.parse(this.disk.readFileSync(path, 'utf8'));
    } catch {
      return undefined;
    }
  }

  /** Resolves when nothing is being written any more. */
  async settle(): Promise<void> {
    await Promise.allSettled(this.pending.values());
  }

  private async inTurn<T>(path: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.pending.get(path) ?? Promise.resolve()).then(work, work);
    this.pending.set(path, turn);
    try {
      return await turn;
    } catch (error) {
      throw storeFailed(`${path} could not be written`, error);
    } finally {
      if (this.pending.get(path) === turn) this.pending.delete(path);
    }
  }

  private async throughTemporary(
    path: string,
    pieces: Iterable<string>,
    place: (temporary: string) => Promise<void>,
  ): Promise<void> {
    const temporary = join(dirname(path), `.tmp.${this.owner}.${this.count++}`);
    const fd = this.disk.openSync(temporary, 'wx', fileMode);
    try {
      try {
        let isFirst = true;
        for (const piece of pieces) {
          if (!isFirst) await turnOfLoop();
          isFirst = false;
          const bytes = Buffer.from(piece);
          for (let at = 0; at < bytes.length; ) at += this.disk.writeSync(fd, bytes, at);
        }
        await new Promise<void>((resolve, reject) => this.disk.fsync(fd, (error) => (error ? reject(error) : resolve())));
      } finally {
        this.disk.closeSync(fd);
      }
      await place(temporary);
      await flushFolder(this.disk, dirname(path));
    } finally {
      // After a rename it is gone; after a link, or a failure, it is litter.
      removeIfThere(this.disk, temporary);
    }
  }
}
