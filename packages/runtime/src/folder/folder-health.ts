// folder-health.ts: whether the folder can be believed, and is still the one that was opened.

import { join } from 'node:path';
import { RuntimeError } from '../error.ts';
import type { StoreHealth } from '../store.ts';
import { codeOf, type FolderFs, fileMode, folderMode, removeIfThere } from './folder-fs.ts';

const folders = [
  'stops',
  'journal',
  'claims',
  'resolutions',
  'receipts',
  'graphs',
  'budgets',
  'grants',
  'audit',
  'forensics',
  'processes',
];

/** A folder that cannot be written, as opposed to a disk that fails. */
const unwritableCodes: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ENOSPC', 'EDQUOT', 'ENOENT']);

export type Trouble = 'folder' | 'claims' | 'stops' | 'resolutions' | 'journal' | 'append' | 'flush' | 'damage';

export class FolderHealth {
  current: StoreHealth = { state: 'ok' };
  private readonly disk: FolderFs;
  private readonly folder: string;
  private readonly onChange: (health: StoreHealth) => void;
  private readonly onStopsGone: () => void;
  private readonly troubles = new Map<Trouble, string>();
  private memory: { readonly code: string; readonly why: string } | undefined;
  /** Device and inode of the folder, and of `stops` in it. */
  private identity: string | undefined;
  private stops: string | undefined;

  /** `onStopsGone`: the folder is the one that was opened, but `stops` in it is another, and what was in it must be written again. */
  constructor(disk: FolderFs, folder: string, onChange: (health: StoreHealth) => void, onStopsGone: () => void) {
    this.disk = disk;
    this.folder = folder;
    this.onChange = onChange;
    this.onStopsGone = onStopsGone;
  }

  /** Makes the folder and writes to it once. Returns why it cannot be written, if so; throws `invalid_option` for a file. */
  prepare(owner: string): string | undefined {
    this.refuseFile();
    const probe = join(this.folder, 'claims', `probe.${owner}`);
    try {
      for (const name of folders) this.disk.mkdirSync(join(this.folder, name), { recursive: true, mode: folderMode });
      this.identity = this.identify('.');
      this.stops = this.identify('stops');
      const fd = this.disk.openSync(probe, 'wx', fileMode);
      try {
        const bytes = Buffer.from(owner);
        if (this.disk.writeSync(fd, bytes) !== bytes.length)
          throw Object.assign(new Error('the disk is full'), { code: 'ENOSPC' });
      } finally {
        this.disk.closeSync(fd);
        removeIfThere(this.disk, probe);
      }
    } catch (error) {
      if (!unwritableCodes.has(codeOf(error))) {
        this.fail('folder', `${this.folder} cannot be used (${codeOf(error) || String(error)}): mend the disk, then restart`);
        return undefined;
      }
      const code = codeOf(error);
      const why = `the state folder ${this.folder} cannot be written (${code}): stops and checkpoints are kept in memory and are lost with this process; make it writable, then restart`;
      this.memory = { code, why };
      this.update();
      return why;
    }
    this.keepOutOfGit();
    return undefined;
  }

  /** Is it there, the same one, and writable? */
  check(): boolean {
    if (this.memory !== undefined) return true;
    let isStopsGone = false;
    try {
      const identity = this.identify('.');
      if (this.identity !== undefined && identity !== this.identity) {
        this.fail(
          'folder',
          `${this.folder} was replaced by another folder while this process ran: everything is held; restart it, or put the old folder back`,
        );
        return false;
      }
      isStopsGone = this.remakeStops();
      this.disk.accessSync(join(this.folder, 'stops'), 2 /* W_OK */);
    } catch (error) {
      const what = codeOf(error) === 'ENOENT' ? 'is gone' : `cannot be used any more (${codeOf(error) || String(error)})`;
      this.fail(
        'folder',
        `the state folder ${this.folder} ${what}: everything is held; put it back as it was, or restart to begin anew without what was in it`,
      );
      return false;
    }
    this.mend('folder');
    if (isStopsGone) this.onStopsGone();
    return true;
  }

  /** Removing the stops releases none (S4): there is a folder for them again at once. True when it is not the one we knew. */
  private remakeStops(): boolean {
    const path = join(this.folder, 'stops');
    if (this.disk.statSync(path, { throwIfNoEntry: false }) === undefined)
      this.disk.mkdirSync(path, { mode: folderMode, recursive: true });
    const before = this.stops;
    this.stops = this.identify('stops');
    return before !== undefined && before !== this.stops;
  }

  fail(trouble: Trouble, why: string): void {
    if (this.troubles.get(trouble) === why) return;
    this.troubles.set(trouble, why);
    this.update();
  }

  mend(trouble: Trouble): void {
    if (this.troubles.delete(trouble)) this.update();
  }

  private update(): void {
    const unwritable = this.memory === undefined ? {} : { unwritable: this.memory.code };
    if (this.troubles.size > 0) this.current = { state: 'failed', why: [...this.troubles.values()].join('; '), ...unwritable };
    else if (this.memory !== undefined) this.current = { state: 'memory', why: this.memory.why, ...unwritable };
    else this.current = { state: 'ok' };
    this.onChange(this.current);
  }

  private identify(name: string): string {
    const { dev, ino } = this.disk.statSync(join(this.folder, name));
    return `${dev}:${ino}`;
  }

  private refuseFile(): void {
    let isFolder = true;
    try {
      isFolder = this.disk.statSync(this.folder).isDirectory();
    } catch {
      // Not there yet, or not to be seen: making it says which.
    }
    if (!isFolder) throw new RuntimeError('invalid_option', `${this.folder} is a file; the state folder needs a path of its own`);
  }

  /** What agents were told and did is nothing for a repository. */
  private keepOutOfGit(): void {
    try {
      const fd = this.disk.openSync(join(this.folder, '.gitignore'), 'wx', fileMode);
      this.disk.writeSync(fd, '*\n');
      this.disk.closeSync(fd);
    } catch {
      // There already, or of no use here.
    }
  }
}

/** What the health says of what cannot be read. */
export function cannotList(path: string, error: unknown): string {
  return `${path} cannot be read (${codeOf(error) || String(error)}): everything is held until it can; mend the disk or its rights, then restart`;
}
