// audit-files.ts: the audit log in the state folder: one file per process, one line per entry, only ever appended to.
//
//   audit/<process>.log

import { join } from 'node:path';
import type { AuditChain, AuditLog } from '../audit/audit-log.ts';
import { canonical } from '../audit/canonical.ts';
import type { AuditEntry } from '../audit/entry.ts';
import { codeOf, type FolderFs, fileMode, flushFolder, folderMode, storeFailed } from './folder-fs.ts';

const ending = '.log';

export class AuditFiles implements AuditLog {
  private readonly disk: FolderFs;
  private readonly folder: string;
  private readonly process: string;
  /** Bytes of whole entries that are known to be written, and the number of the last of them. */
  private bytes = 0;
  private last = 0;
  private isNew = true;
  /** More may stand in the file than that. */
  private isTorn = false;
  private isNamed = false;

  constructor(disk: FolderFs, folder: string, process: string) {
    this.disk = disk;
    this.folder = join(folder, 'audit');
    this.process = process;
  }

  /** The file is opened anew each time: entries are few, and a process that has none makes no file. */
  async append(entries: readonly AuditEntry[]): Promise<void> {
    const path = join(this.folder, `${this.process}${ending}`);
    const { disk } = this;
    // Asked for again, what is written already is there once.
    const fresh = entries.filter(({ n }) => n > this.last);
    try {
      if (this.isNew) disk.mkdirSync(this.folder, { recursive: true, mode: folderMode });
      const fd = disk.openSync(path, this.isNew ? 'ax' : 'a', fileMode);
      try {
        if (this.isTorn) disk.ftruncateSync(fd, this.bytes);
        this.isTorn = true;
        const bytes = Buffer.from(fresh.map((entry) => `${canonical(entry)}\n`).join(''));
        let at = 0;
        try {
          while (at < bytes.length) {
            const count = disk.writeSync(fd, bytes, at);
            if (count === 0) throw new Error('nothing more was written, so the disk is probably full');
            at += count;
          }
          await new Promise<void>((resolve, reject) => disk.fdatasync(fd, (error) => (error ? reject(error) : resolve())));
        } catch (error) {
          disk.ftruncateSync(fd, this.bytes);
          this.isTorn = false;
          throw error;
        } finally {
          this.isNew = false;
        }
        this.isTorn = false;
        this.bytes += bytes.length;
        this.last = fresh.at(-1)?.n ?? this.last;
      } finally {
        disk.closeSync(fd);
      }
      if (!this.isNamed) await flushFolder(disk, this.folder);
      this.isNamed = true;
    } catch (error) {
      throw storeFailed(`${path} could not be written`, error);
    }
  }

  async chains(): Promise<readonly AuditChain[]> {
    let names: readonly string[];
    try {
      names = this.disk.readdirSync(this.folder);
    } catch (error) {
      // Before the first entry of anybody.
      if (codeOf(error) === 'ENOENT') return [];
      throw storeFailed(`${this.folder} cannot be listed`, error);
    }
    return names
      .filter((name) => name.endsWith(ending))
      .sort()
      .map((name) => this.read(name));
  }

  private read(name: string): AuditChain {
    const process = name.slice(0, -ending.length);
    try {
      const lines = this.disk.readFileSync(join(this.folder, name), 'utf8').split('\n');
      // What follows the last line break was never said to be written: the process died in the middle of it.
      return { process, lines: lines.slice(0, -1) };
    } catch (error) {
      return { process, lines: [], damage: `${name} cannot be read (${codeOf(error) || String(error)})` };
    }
  }
}
