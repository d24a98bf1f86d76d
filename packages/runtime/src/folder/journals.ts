// journals.ts: reads every journal of the folder, and clears away the segments that nobody will ask for again.
//
// A segment goes when its process is dead, every graph in it is settled, and it is older than the retention time. With any
// damage about, nothing is cleared away: what is missing might be what says that a graph is not settled.

import { join } from 'node:path';
import type { JournalRecord } from '../journal.ts';
import { type Breathe, inSteps } from '../steps.ts';
import { subjectKey } from '../stop-key.ts';
import type { StoreOpening } from '../store.ts';
import { codeOf, type FolderFs, removeIfThere } from './folder-fs.ts';
import { decodeSegment, type Segment } from './journal-line.ts';

const segmentName = /^([a-z0-9]+)\.(\d{1,9})\.log$/;

interface Found extends Segment {
  readonly path: string;
  readonly process: string;
  readonly isAlive: boolean;
}

export interface JournalsOptions {
  readonly disk: FolderFs;
  /** The state folder. */
  readonly folder: string;
  readonly isAlive: (process: string) => Promise<boolean>;
  readonly retentionMs: number;
  /** Wall clock, epoch milliseconds. */
  readonly now: () => number;
  /** Not given, each journal is read at once. */
  readonly breathe?: Breathe | undefined;
}

export interface Journals {
  readonly journals: StoreOpening['journals'];
  /** Names the file, the byte and the way out. */
  readonly damage?: string;
}

/** Throws what the disk says when the journals cannot be listed. */
export async function readJournals(options: JournalsOptions): Promise<Journals> {
  const { disk, folder } = options;
  const { segments, alive } = await listSegments(options);
  const found: Found[] = [];
  const troubles: string[] = [];
  let broken: string | undefined;
  for (const [index, { process, name }] of segments.entries()) {
    // After damage the rest of that process's journal would be read without what it follows from.
    if (broken === process) continue;
    const path = join(folder, 'journal', name);
    let bytes: Buffer;
    try {
      bytes = disk.readFileSync(path);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') continue;
      troubles.push(
        `${path} cannot be read (${codeOf(error) || String(error)}): mend the disk, or move this file away; the sessions in it are lost`,
      );
      broken = process;
      continue;
    }
    const segment = await inSteps(decodeSegment(bytes), options.breathe);
    const isLast = segments[index + 1]?.process !== process;
    const damage =
      segment.damage ??
      // A live journal may have been extended since the list was made, so its last one is not known.
      (segment.tailBytes > 0 && !isLast && !alive.get(process)
        ? { offset: bytes.length - segment.tailBytes, what: 'an incomplete record in a segment that was finished' }
        : undefined);
    if (damage) {
      troubles.push(
        `${path} is damaged at byte ${damage.offset} (${damage.what}): move this file away and restart; the sessions in it are lost${named(segment.records)}`,
      );
      broken = process;
    }
    found.push({ ...segment, path, process, isAlive: alive.get(process)! });
  }
  const kept = troubles.length > 0 ? found : clearAway(found, options);
  const byProcess = new Map<string, { process: string; alive: boolean; records: JournalRecord[] }>();
  for (const { process, isAlive, records } of kept) {
    const journal = byProcess.get(process) ?? { process, alive: isAlive, records: [] };
    byProcess.set(process, journal);
    for (const record of records) journal.records.push(record);
  }
  return { journals: [...byProcess.values()], ...(troubles.length > 0 ? { damage: troubles.join('; ') } : {}) };
}

/** A process found dead has written its last before the list that is returned, so nothing of it is missed. */
async function listSegments({ disk, folder, isAlive }: JournalsOptions) {
  const alive = new Map<string, boolean>();
  for (;;) {
    const segments = disk
      .readdirSync(join(folder, 'journal'))
      .flatMap((name) => {
        const parts = segmentName.exec(name);
        return parts ? [{ process: parts[1]!, k: Number(parts[2]), name }] : [];
      })
      .sort((a, b) => (a.process < b.process ? -1 : a.process > b.process ? 1 : a.k - b.k));
    const unasked = new Set(segments.map(({ process }) => process).filter((process) => !alive.has(process)));
    if (unasked.size === 0) return { segments, alive };
    await Promise.all([...unasked].map(async (process) => alive.set(process, await isAlive(process))));
  }
}

/** Who has written a journal that is still there. Throws what the disk says. */
export function journalProcesses(disk: FolderFs, folder: string): string[] {
  const names = disk.readdirSync(join(folder, 'journal'));
  return [...new Set(names.flatMap((name) => segmentName.exec(name)?.[1] ?? []))];
}

function clearAway(found: readonly Found[], { disk, folder, retentionMs, now }: JournalsOptions): readonly Found[] {
  const isSettled = settledRoots(found);
  const rootOf = rootsOf(found);
  const isDone = (record: JournalRecord): boolean => {
    const root = rootOf.get(record.s);
    // Its session's own record was cleared away before, with the settled graph it belonged to.
    return root === undefined || isSettled(root);
  };
  const kept: Found[] = [];
  const gone: Found[] = [];
  for (const segment of found) {
    const isOver = !segment.isAlive && segment.records.every(isDone) && isOld(disk, segment.path, now() - retentionMs);
    (isOver ? gone : kept).push(segment);
  }
  for (const segment of gone) removeIfThere(disk, segment.path);
  forgetClaims(disk, folder, gone, kept);
  return kept;
}

/**
 * A root is settled by `forget`, or by its own `settled` record: not by one of a process that had lost it to a later claim and
 * did not know.
 */
function settledRoots(found: readonly Found[]): (root: string) => boolean {
  const forgotten = new Set<string>();
  const settledIn = new Map<string, number>();
  const claimedIn = new Map<string, number>();
  for (const segment of found) {
    for (const root of segment.forgotten) forgotten.add(root);
    for (const record of segment.records) {
      const epochs = record.t === 'settled' ? settledIn : claimedIn;
      epochs.set(record.s, Math.max(epochs.get(record.s) ?? 0, record.e));
    }
  }
  return (root) => forgotten.has(root) || (settledIn.get(root) ?? -1) >= (claimedIn.get(root) ?? 0);
}

function rootsOf(found: readonly Found[]): Map<string, string> {
  const roots = new Map<string, string>();
  for (const { records } of found) for (const record of records) if (record.t === 'session') roots.set(record.s, record.root);
  return roots;
}

function forgetClaims(disk: FolderFs, folder: string, gone: readonly Found[], kept: readonly Found[]): void {
  const sessions = new Set(gone.flatMap(({ records }) => records.map(({ s }) => subjectKey(s))));
  for (const { records } of kept) for (const { s } of records) sessions.delete(subjectKey(s));
  if (sessions.size === 0) return;
  for (const name of disk.readdirSync(join(folder, 'claims'))) {
    if (sessions.has(name.slice(0, name.lastIndexOf('.')))) removeIfThere(disk, join(folder, 'claims', name));
  }
}

function isOld(disk: FolderFs, path: string, before: number): boolean {
  try {
    return disk.statSync(path).mtimeMs < before;
  } catch {
    return false;
  }
}

function named(records: readonly JournalRecord[]): string {
  const sessions = [...new Set(records.map(({ s }) => s))];
  if (sessions.length === 0) return '';
  return ` (among them ${sessions.slice(0, 5).join(', ')}${sessions.length > 5 ? ` and ${sessions.length - 5} more` : ''})`;
}
