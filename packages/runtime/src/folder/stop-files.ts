// stop-files.ts: stops as names of files. `stops/<stop key>.e.<n>` engages, `.r.<n>` releases (stop-key.ts).
//
// Two processes need no lock for that, because a stop is a join of the two highest n; a person may make one with `touch`;
// and one flush of the directory makes it durable, whatever the size of the graph. What is in the file, who and why,
// follows without a flush of its own: losing it loses words, not the stop (S4, I5).

import { join as joinPath } from 'node:path';
import { join, type Marks, unmarked } from '@offswitch/core';
import { RuntimeError } from '../error.ts';
import { parseStopKey } from '../stop-key.ts';
import type { StopDetails, StoredStop } from '../store.ts';
import { codeOf, type FolderFs, fileMode, flushFolder, removeIfThere, storeFailed } from './folder-fs.ts';
import { GroupFlush } from './group-flush.ts';

const fileName = /^(.+)\.([er])\.(0|[1-9]\d{0,15})$/;

type Side = 'engaged' | 'released';

export class StopFiles {
  readonly folder: string;
  /** Names in the folder that are no stop's: told to people, and never taken for one. */
  readonly strangers: Set<string> = new Set();
  private readonly disk: FolderFs;
  private readonly flusher: GroupFlush;
  private readonly details = new Map<string, StopDetails>();
  private readonly durable = new Set<string>();
  private failedFlush: unknown;

  constructor(disk: FolderFs, folder: string, onFlushFailed: (why: string) => void) {
    this.disk = disk;
    this.folder = folder;
    this.flusher = new GroupFlush(async () => {
      try {
        await flushFolder(disk, folder);
      } catch (error) {
        // A second flush may succeed although the first one's data is lost, so no later success is believed.
        if (codeOf(error) !== 'ENOENT' && this.failedFlush === undefined) {
          this.failedFlush = error;
          onFlushFailed(
            `${folder} could not be flushed (${codeOf(error) || String(error)}): stops written there may not survive a loss of power; check the disk, then restart`,
          );
        }
        throw error;
      }
    });
  }

  /** The marks of every stop. Throws what the disk says when the folder cannot be listed. */
  list(): Map<string, Marks> {
    const found = new Map<string, Marks>();
    for (const name of this.disk.readdirSync(this.folder)) {
      const mark = parseName(name);
      if (!mark) {
        this.strangers.add(name);
        continue;
      }
      found.set(mark.key, join(found.get(mark.key) ?? unmarked, { ...unmarked, [mark.side]: mark.n }));
    }
    return found;
  }

  /** One stop with what is known of who and why. */
  read(key: string, marks: Marks): StoredStop {
    const engaged = marks.engaged < 0 ? undefined : this.readDetails(nameOf(key, 'engaged', marks.engaged));
    const released = marks.released < 0 ? undefined : this.readDetails(nameOf(key, 'released', marks.released));
    return { key, marks, ...(engaged ? { engaged } : {}), ...(released ? { released } : {}) };
  }

  async mark(key: string, side: Side, n: number, details: StopDetails): Promise<void> {
    const name = nameOf(key, side, n);
    if (this.durable.has(name)) return;
    const path = joinPath(this.folder, name);
    try {
      // Kept, so that they can be written again: of the one who was first.
      if (this.create(path, details)) this.details.set(name, details);
      else this.readDetails(name);
      await this.flusher.flush();
    } catch (error) {
      throw storeFailed(`the stop ${path} could not be made durable`, error);
    }
    if (this.failedFlush !== undefined) {
      throw storeFailed(
        `the stop ${path} was written, but an earlier flush of its folder failed and none is believed since`,
        this.failedFlush,
      );
    }
    this.durable.add(name);
  }

  /** Writes a stop again whose marks somebody removed, whatever was believed of them. Durable when it resolves. */
  async restore({ key, marks, engaged, released }: StoredStop, now: number): Promise<void> {
    const nobody: StopDetails = { reason: 'who and why were removed from the folder while it was in force', at: now };
    for (const [side, details] of [
      ['engaged', engaged ?? nobody],
      ['released', released ?? nobody],
    ] as const) {
      if (marks[side] < 0) continue;
      this.durable.delete(nameOf(key, side, marks[side]));
      await this.mark(key, side, marks[side], details);
    }
  }

  /** Removes marks that a higher one of the same stop has made meaningless. */
  prune(found: ReadonlyMap<string, Marks>): void {
    for (const name of this.disk.readdirSync(this.folder)) {
      const mark = parseName(name);
      const marks = mark && found.get(mark.key);
      if (mark && marks && mark.n < marks[mark.side]) removeIfThere(this.disk, joinPath(this.folder, name));
    }
  }

  /** False where it is there already. */
  private create(path: string, details: StopDetails): boolean {
    let fd: number;
    try {
      fd = this.disk.openSync(path, 'wx', fileMode);
    } catch (error) {
      // Somebody else engaged it at this very n. Whether they flushed it is not known, so we do.
      if (codeOf(error) === 'EEXIST') return false;
      throw error;
    }
    try {
      this.disk.writeSync(fd, JSON.stringify(details));
    } catch {
      // A full disk takes names when it takes no more contents: the stop stands without its words.
    } finally {
      this.disk.closeSync(fd);
    }
    return true;
  }

  private readDetails(name: string): StopDetails | undefined {
    const kept = this.details.get(name);
    if (kept) return kept;
    let value: unknown;
    try {
      value = JSON.parse(this.disk.readFileSync(joinPath(this.folder, name), 'utf8'));
    } catch {
      return undefined;
    }
    const details = checkDetails(value);
    if (details) this.details.set(name, details);
    return details;
  }
}

function nameOf(key: string, side: Side, n: number): string {
  return `${key}.${side === 'engaged' ? 'e' : 'r'}.${n}`;
}

/** What a file name says; `undefined` for a name that is no stop's. */
export function parseName(name: string): { key: string; side: Side; n: number } | undefined {
  const parts = fileName.exec(name);
  if (!parts || !parseStopKey(parts[1]!)) return undefined;
  const n = Number(parts[3]);
  return Number.isSafeInteger(n) ? { key: parts[1]!, side: parts[2] === 'e' ? 'engaged' : 'released', n } : undefined;
}

/** Throws `invalid_option` for a mark that no reader would take for one. */
export function checkMark(key: string, n: number): void {
  if (!parseStopKey(key))
    throw new RuntimeError('invalid_option', `${JSON.stringify(key)} is no stop's key; make it with formatStopKey`);
  if (!Number.isSafeInteger(n) || n < 0)
    throw new RuntimeError('invalid_option', `a mark's n is a non-negative safe integer, not ${n}`);
}

function checkDetails(value: unknown): StopDetails | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { reason, by, at, subject, series, allowance } = value as Partial<Record<keyof StopDetails, unknown>>;
  if (typeof reason !== 'string' || typeof at !== 'number') return undefined;
  return {
    reason,
    at,
    ...(typeof by === 'string' ? { by } : {}),
    ...(typeof subject === 'string' ? { subject } : {}),
    ...(typeof series === 'string' ? { series } : {}),
    ...(typeof allowance === 'number' ? { allowance } : {}),
  };
}
