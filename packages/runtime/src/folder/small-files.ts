// small-files.ts: resolutions, receipts, readings, claims and documents: one small JSON file each, in its own folder.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { ForensicsStore } from '../forensics/forensics-store.ts';
import type { Resolution } from '../journal.ts';
import type { Receipt, ReceiptPart } from '../receipt.ts';
import { joinInSlices, type Standing } from '../receipt-join.ts';
import { isReceiptPart } from '../receipt-shape.ts';
import { receiptPieces } from '../receipt-text.ts';
import type { Slice } from '../slices.ts';
import { subjectKey } from '../stop-key.ts';
import type { KeptReading, StoreClaim } from '../store.ts';
import { AtomicFiles, temporaryName } from './atomic-file.ts';
import { codeOf, type FolderFs, fileMode, removeIfThere, storeFailed } from './folder-fs.ts';

/** A temporary file this old belongs to nobody who still writes it. */
const litterAfterMs = 3_600_000;

/** Which receipts are read: all, or those of `ids` together with what goes on in them, and no other file. */
export interface Which {
  readonly ids?: readonly string[] | undefined;
  /** Told of each part that cannot be read. */
  readonly unread?: ((what: string) => void) | undefined;
}

export class SmallFiles implements ForensicsStore {
  readonly atomic: AtomicFiles;
  private readonly disk: FolderFs;
  private readonly folder: string;
  private readonly owner: string;

  constructor(disk: FolderFs, folder: string, owner: string) {
    this.disk = disk;
    this.folder = folder;
    this.owner = owner;
    this.atomic = new AtomicFiles(disk, owner);
  }

  /** The claim appears with its owner in it or not at all: whoever finds it must be able to ask whether the owner lives. */
  claim(session: string, epoch: number): boolean {
    const folder = join(this.folder, 'claims');
    const path = join(folder, claimName({ session: subjectKey(session), epoch }));
    const ticket = join(folder, `ticket.${this.owner}`);
    try {
      removeIfThere(this.disk, ticket);
      const fd = this.disk.openSync(ticket, 'wx', fileMode);
      try {
        this.disk.writeSync(fd, this.owner);
      } finally {
        // Also where the disk is full: a claim is tried again and again.
        this.disk.closeSync(fd);
      }
      try {
        this.disk.linkSync(ticket, path);
      } finally {
        removeIfThere(this.disk, ticket);
      }
      return true;
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      throw storeFailed(`${path} could not be claimed`, error);
    }
  }

  /** Names of claims that are not in `seen`, which they are added to. */
  newClaims(seen: Set<string>): StoreClaim[] {
    const fresh: StoreClaim[] = [];
    for (const name of this.disk.readdirSync(join(this.folder, 'claims'))) {
      if (seen.has(name)) continue;
      seen.add(name);
      const dot = name.lastIndexOf('.');
      const epoch = Number(name.slice(dot + 1));
      if (Number.isSafeInteger(epoch)) fresh.push({ session: name.slice(0, dot), epoch });
    }
    return fresh;
  }

  /** Empty where it was cleared away meanwhile. */
  ownerOf(claim: StoreClaim): string {
    try {
      return this.disk.readFileSync(join(this.folder, 'claims', claimName(claim)), 'utf8');
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return '';
      throw error;
    }
  }

  /** The highest claim of each session. Tickets of processes that died on the way to a claim are none. */
  claims(): StoreClaim[] {
    const highest = new Map<string, number>();
    const folder = join(this.folder, 'claims');
    for (const name of this.disk.readdirSync(folder)) {
      const dot = name.lastIndexOf('.');
      const epoch = Number(name.slice(dot + 1));
      const session = name.slice(0, dot);
      if (Number.isSafeInteger(epoch) && epoch > (highest.get(session) ?? 0)) highest.set(session, epoch);
    }
    return [...highest].map(([session, epoch]) => ({ session, epoch }));
  }

  /** The highest claim of this session, and whose it is. */
  claimed(session: string): { readonly epoch: number; readonly process: string } | undefined {
    const claim = this.claims().find((one) => one.session === subjectKey(session));
    return claim && { epoch: claim.epoch, process: this.ownerOf(claim) };
  }

  resolve(resolution: Resolution): Promise<boolean> {
    return this.atomic.create(join(this.folder, 'resolutions', resolutionName(resolution)), resolution);
  }

  /** The resolutions under names that are not in `known`, which they are then added to. */
  newResolutions(known: Set<string>): Resolution[] {
    const found: Resolution[] = [];
    const folder = join(this.folder, 'resolutions');
    for (const name of this.disk.readdirSync(folder)) {
      if (known.has(name) || !isDocument(name)) continue;
      const value = this.atomic.read(join(folder, name));
      if (!isResolution(value)) continue;
      known.add(name);
      found.push(value);
    }
    return found;
  }

  /** Not flushed: a stop may end a hundred thousand sessions, and the flushes would hold up those of the next stop. */
  writeBundle(session: string, text: string): Promise<void> {
    return this.atomic.writeUnflushed(this.bundlePath(session), text);
  }

  async readBundle(session: string): Promise<string | undefined> {
    const path = this.bundlePath(session);
    try {
      return this.disk.readFileSync(path, 'utf8');
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw storeFailed(`${path} cannot be read`, error);
    }
  }

  private bundlePath(session: string): string {
    return join(this.folder, 'forensics', `${safeName(session)}.json`);
  }

  writeReceipt(receipt: ReceiptPart): Promise<void> {
    const name = `${safeName(receipt.id)}.${receipt.process}.json`;
    return this.atomic.writePieces(join(this.folder, 'receipts', name), receiptPieces(receipt));
  }

  /** In slices: there is a file of each stop and process, for good. */
  async receipts(
    isAlive: (process: string) => Promise<boolean>,
    standing: Omit<Standing, 'isAlive'>,
    slice: Slice,
    { ids, unread }: Which,
  ): Promise<Receipt[]> {
    const names = this.disk.readdirSync(join(this.folder, 'receipts')).filter(isDocument);
    const parts = await this.receiptParts(names, slice, { ids, unread });
    if (ids) {
      const former = new Set(parts.flatMap(({ formerly = [] }) => formerly));
      for (const id of ids) former.delete(id);
      parts.push(...(await this.receiptParts(names, slice, { ids: [...former], unread })));
    }
    const asked: (readonly [string, Promise<boolean>])[] = [];
    for (const process of new Set(parts.flatMap(({ process, others }) => [process, ...others]))) {
      asked.push([process, isAlive(process)]);
      if (slice.isOver) await slice.next();
    }
    const alive = new Map<string, boolean>();
    await Promise.all(asked.map(async ([process, answer]) => alive.set(process, await answer)));
    return joinInSlices(parts, { ...standing, isAlive: (process) => alive.get(process) === true }, slice);
  }

  private async receiptParts(names: readonly string[], slice: Slice, { ids, unread }: Which): Promise<ReceiptPart[]> {
    const wanted = ids && new Set(ids.map(safeName));
    const parts: ReceiptPart[] = [];
    for (const name of names) {
      if (wanted && !wanted.has(receiptIn(name))) continue;
      const part = this.receiptPart(name, unread);
      if (part) parts.push(part);
      if (slice.isOver) await slice.next();
    }
    return parts;
  }

  private receiptPart(name: string, unread: Which['unread']): ReceiptPart | undefined {
    let value: unknown;
    try {
      value = JSON.parse(this.disk.readFileSync(join(this.folder, 'receipts', name), 'utf8'));
    } catch (error) {
      // Cleared away meanwhile is not there; everything else is.
      if (codeOf(error) !== 'ENOENT') unread?.(`receipts/${name} cannot be read (${codeOf(error) || 'it is torn'})`);
      return undefined;
    }
    if (isReceiptPart(value)) return value;
    unread?.(`receipts/${name} is no receipt`);
    return undefined;
  }

  keepReadings(readings: readonly KeptReading[]): Promise<void> {
    return this.atomic.write(join(this.folder, 'readings.json'), readings);
  }

  readings(): KeptReading[] {
    const value = this.atomic.read(join(this.folder, 'readings.json'));
    return Array.isArray(value) ? value.filter(isReading) : [];
  }

  writeDocument(name: string, value: unknown): Promise<void> {
    return this.atomic.write(join(this.folder, `${name}.json`), value);
  }

  /** `undefined` when there is none. Throws `store_failed` for one that cannot be read. */
  readDocument(name: string): unknown {
    const path = join(this.folder, `${name}.json`);
    try {
      return JSON.parse(this.disk.readFileSync(path, 'utf8'));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw storeFailed(
        `${path} cannot be read; start the program that declares the switches again, and it is written anew`,
        error,
      );
    }
  }

  /** Removes what processes that died while writing left behind. */
  tidy(now: number): void {
    for (const place of ['', 'receipts', 'resolutions', 'forensics', 'graphs', 'budgets', 'grants', 'processes']) {
      const folder = join(this.folder, place);
      for (const name of this.disk.readdirSync(folder)) {
        if (!temporaryName.test(name)) continue;
        const path = join(folder, name);
        // Of another process that is writing it is gone in a moment.
        const found = this.disk.statSync(path, { throwIfNoEntry: false });
        if (found && found.mtimeMs < now - litterAfterMs) removeIfThere(this.disk, path);
      }
    }
  }
}

/** The session as stop-key.ts names subjects. */
export function claimName({ session, epoch }: StoreClaim): string {
  return `${session}.${epoch}`;
}

export function resolutionName({ session, call }: { readonly session: string; readonly call: string }): string {
  return `${subjectKey(session)}.${subjectKey(call)}.json`;
}

/** A receipt's id where it can be a file's name, else its hash: people look into this folder. */
function safeName(id: string): string {
  return /^[a-z0-9_~-][a-z0-9._~-]{0,199}$/.test(id) ? id : `~${createHash('sha256').update(id).digest('hex').slice(0, 40)}`;
}

/** The safe name of the receipt that a file holds a part of: in a process's id there is no dot. */
function receiptIn(name: string): string {
  const part = name.slice(0, -'.json'.length);
  return part.slice(0, part.lastIndexOf('.'));
}

function isDocument(name: string): boolean {
  return name.endsWith('.json') && !name.startsWith('.');
}

type Fields<T> = Partial<Record<keyof T, unknown>>;

function isResolution(value: unknown): value is Resolution {
  if (typeof value !== 'object' || value === null) return false;
  const { session, call, verdict, by, at } = value as Fields<Resolution>;
  return (
    [session, call, by].every((one) => typeof one === 'string') &&
    typeof at === 'number' &&
    (verdict === 'happened' || verdict === 'did-not')
  );
}

function isReading(value: unknown): value is KeptReading {
  if (typeof value !== 'object' || value === null) return false;
  const { key, state, series, n, at } = value as Fields<KeptReading>;
  const isWhole =
    typeof key === 'string' && typeof series === 'string' && typeof at === 'number' && (n === undefined || typeof n === 'number');
  return isWhole && (state === 'engaged' || state === 'released');
}
