// journal-writer.ts: this process's own journal, `journal/<process>.<k>.log`.
//
// One write per record to a file opened for appending: when it returns, the kernel has it and a kill -9 cannot take it
// back. A loss of power can, so whoever needs that waits for a flush, and many share one.

import { join } from 'node:path';
import type { RuntimeError } from '../error.ts';
import type { JournalRecord } from '../journal.ts';
import { codeOf, type FolderFs, fileMode, flushFolder, removeIfThere, storeFailed } from './folder-fs.ts';
import { GroupFlush } from './group-flush.ts';
import { encodeLine, type ForgottenRecord } from './journal-line.ts';
import { SegmentRoots } from './segment-roots.ts';

export interface JournalWriterOptions {
  readonly disk: FolderFs;
  /** The `journal` folder. */
  readonly folder: string;
  readonly processId: string;
  readonly maxSegmentBytes: number;
  readonly retentionMs: number;
  /** Wall clock, epoch milliseconds. */
  readonly now: () => number;
  /** A record could not be written and was taken back whole: the next one may be, and then `onMended` is called. */
  readonly onRefused: (why: string) => void;
  readonly onMended: () => void;
  /** The journal cannot be trusted any more, for good; names the file and the way out. */
  readonly onBroken: (why: string) => void;
}

export class JournalWriter {
  private readonly options: JournalWriterOptions;
  private readonly roots = new SegmentRoots();
  private readonly flusher: GroupFlush;
  private fd: number | undefined;
  private segment = 0;
  /** End of the last whole record. */
  private bytes = 0;
  private isDirty = false;
  /** A name the folder has not been flushed for. */
  private isNew = false;
  /** Rotated segments that still wait for their last flush. */
  private rotated: { readonly fd: number; readonly segment: number }[] = [];
  private kept: number[] = [];
  private broken: RuntimeError | undefined;
  private isRefused = false;
  private inFlight: Promise<void> | undefined;

  constructor(options: JournalWriterOptions) {
    this.options = options;
    this.flusher = new GroupFlush(() => this.flushOnce());
  }

  append(root: string, record: JournalRecord): void {
    this.write(encodeLine(record));
    this.roots.wrote(root, this.segment, record.t === 'session' || record.t === 'claim');
    if (record.t === 'settled' && record.s === root) this.roots.settled(root);
  }

  forget(root: string): void {
    // Nothing to write where its own `settled` record says it already.
    if (!this.roots.settled(root) || this.broken) return;
    // Kept longer than needed where it cannot be written, which harms nobody; health tells of the disk.
    this.tryWrite(root);
  }

  /** After a refusal: is there room again? Told through `onMended`. */
  retry(): void {
    if (this.isRefused && !this.broken) this.tryWrite('');
  }

  flush(): Promise<void> {
    if (this.broken) return Promise.reject(this.broken);
    return this.isDirty || this.rotated.length > 0 ? this.flusher.flush() : this.lastFlush();
  }

  async close(): Promise<void> {
    await this.flush().catch(() => {});
    await this.inFlight?.catch(() => {});
    for (const { fd } of this.rotated.splice(0)) this.options.disk.closeSync(fd);
    if (this.fd !== undefined) this.options.disk.closeSync(this.fd);
    this.fd = undefined;
  }

  private tryWrite(root: string): void {
    const forgotten: ForgottenRecord = { t: 'forgotten', root };
    try {
      this.write(encodeLine(forgotten));
    } catch {
      // Told by `onRefused` and `onBroken`.
    }
  }

  private path(segment: number): string {
    return join(this.options.folder, `${this.options.processId}.${segment}.log`);
  }

  private write(line: Buffer): void {
    if (this.broken) throw this.broken;
    const { disk } = this.options;
    let cause: unknown;
    try {
      const fd = this.writable();
      // Said before the write, so that a flush which begins in between cannot take this record for flushed.
      this.isDirty = true;
      const written = disk.writeSync(fd, line);
      if (written === line.length) {
        this.bytes += written;
        if (this.isRefused) this.options.onMended();
        this.isRefused = false;
        return;
      }
      cause = new Error('only a part of it was written, so the disk is probably full');
    } catch (error) {
      cause = error;
    }
    const path = this.path(this.segment);
    try {
      if (this.fd !== undefined) disk.ftruncateSync(this.fd, this.bytes);
    } catch (error) {
      throw this.breakDown(`${path} could not be written (${words(cause)}) nor put back to its last whole record`, error);
    }
    // Most likely the disk is full. Nothing half written is left, so the journal goes on as soon as there is room.
    this.isRefused = true;
    this.options.onRefused(
      `${path} could not be written (${words(cause)}): everything is held until it can; make room on the disk`,
    );
    throw storeFailed(`${path} could not be written; the record was taken back whole`, cause);
  }

  private writable(): number {
    if (this.fd !== undefined && this.bytes < this.options.maxSegmentBytes) return this.fd;
    const next = this.fd === undefined ? this.segment : this.segment + 1;
    const fd = this.options.disk.openSync(this.path(next), 'ax', fileMode);
    if (this.fd !== undefined) {
      this.rotated.push({ fd: this.fd, segment: this.segment });
      this.kept.push(this.segment);
    }
    this.fd = fd;
    this.segment = next;
    this.bytes = 0;
    this.isNew = true;
    if (this.rotated.length > 0) {
      this.isDirty = true;
      // Its failure is in `broken` and in health; nobody waits for it here.
      this.flusher.flush().catch(() => {});
      this.clearAway();
    }
    return fd;
  }

  private lastFlush(): Promise<void> {
    return this.inFlight ?? Promise.resolve();
  }

  private flushOnce(): Promise<void> {
    const flush = this.flushFiles().finally(() => {
      if (this.inFlight === flush) this.inFlight = undefined;
    });
    flush.catch(() => {});
    this.inFlight = flush;
    return flush;
  }

  private async flushFiles(): Promise<void> {
    if (this.broken) throw this.broken;
    const { disk, folder } = this.options;
    const rotated = this.rotated.splice(0);
    const { fd, isNew } = this;
    this.isDirty = false;
    this.isNew = false;
    try {
      for (const one of rotated) await fdatasync(disk, one.fd);
      if (fd !== undefined) await fdatasync(disk, fd);
      if (isNew || rotated.length > 0) await flushFolder(disk, folder);
    } catch (error) {
      // The kernel may have dropped the pages it failed to write, and says so once. A later success would be a lie.
      throw this.breakDown(`${this.path(this.segment)} could not be flushed`, error);
    } finally {
      for (const one of rotated) disk.closeSync(one.fd);
    }
  }

  private breakDown(what: string, cause: unknown): RuntimeError {
    const why = `${what} (${words(cause)}); free or replace the disk, then restart: finished turns up to the last whole record are kept`;
    this.broken ??= storeFailed(why, cause);
    this.options.onBroken(why);
    return this.broken;
  }

  /** Removes rotated segments of ours whose graphs are settled, once they are old enough that nobody asks for them. */
  private clearAway(): void {
    const { disk, now, retentionMs } = this.options;
    this.kept = this.kept.filter((segment) => {
      try {
        if (!this.roots.isSettled(segment) || disk.statSync(this.path(segment)).mtimeMs > now() - retentionMs) return true;
      } catch {
        return false;
      }
      removeIfThere(disk, this.path(segment));
      this.roots.removed(segment);
      return false;
    });
  }
}

function fdatasync(disk: FolderFs, fd: number): Promise<void> {
  return new Promise((resolve, reject) => disk.fdatasync(fd, (error) => (error ? reject(error) : resolve())));
}

function words(cause: unknown): string {
  return codeOf(cause) || (cause instanceof Error ? cause.message : String(cause));
}
