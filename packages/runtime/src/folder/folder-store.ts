// folder-store.ts: state without a server: a folder that the processes of one machine share without locks.
//
//   stops/<stop key>.e.<n> and .r.<n>    the name is the stop (stop-files.ts)
//   journal/<process>.<k>.log            what each process wrote down of its sessions (journal-writer.ts)
//   claims/<session>.<epoch>             who took a session over
//   resolutions/  receipts/              a person's word; the record of a stop
//   grants/                              credentials lent to sessions, by reference (grant-files.ts)
//   processes/  s/                       who runs now and its local socket (processes.ts)
//   budgets/                             what was spent of each cap, and leased (folder-budgets.ts)
//   graphs/                              what crosses from one process to another (folder-lineage.ts)
//   audit/  forensics/                   what an auditor asks for (audit-files.ts); what is left of a terminated session
//   readings.json  switches.json
//
// For Linux and macOS, on a local disk.

import { join, resolve } from 'node:path';
import type { AuditLog } from '../audit/audit-log.ts';
import type { BudgetStore } from '../budget-store.ts';
import { type Clock, systemClock } from '../clock.ts';
import { RuntimeError } from '../error.ts';
import type { ForensicsStore } from '../forensics/forensics-store.ts';
import type { GrantStore } from '../grants/grant-record.ts';
import { mintId } from '../id.ts';
import type { JournalRecord, Resolution } from '../journal.ts';
import type { ChildNews, LineageStore } from '../lineage-store.ts';
import { memoryStore } from '../memory-store.ts';
import type { Receipt, ReceiptPart } from '../receipt.ts';
import { amongAll } from '../receipts-to-go-on.ts';
import { Slice } from '../slices.ts';
import type {
  ControlHandler,
  KeptReading,
  StateStore,
  StopDetails,
  StopToGoOn,
  StoreChange,
  StoredStop,
  StoreHealth,
  StoreOpening,
} from '../store.ts';
import { AuditFiles } from './audit-files.ts';
import { ControlPoint } from './control-point.ts';
import { DeadProcesses } from './dead-processes.ts';
import { FolderBudgets } from './folder-budgets.ts';
import { codeOf, type FolderFs, nodeFs, storeFailed } from './folder-fs.ts';
import { cannotList, FolderHealth } from './folder-health.ts';
import { childNewsMethod, FolderLineage } from './folder-lineage.ts';
import type { FolderStoreOptions } from './folder-options.ts';
import { keepsOwner } from './folder-owner.ts';
import { FolderWatch } from './folder-watch.ts';
import { GrantFiles } from './grant-files.ts';
import { JournalWriter } from './journal-writer.ts';
import { LostStops } from './lost-stops.ts';
import { isProcessAlive } from './processes.ts';
import { type Look, SeenStops } from './seen-stops.ts';
import { resolutionName, SmallFiles, type Which } from './small-files.ts';
import { checkMark, StopFiles } from './stop-files.ts';
import { Touched } from './touched.ts';

/** Milliseconds: a week. */
const defaultRetentionMs = 604_800_000;

const nothing: Look = { news: [], lost: [] };

/** Opens nothing yet: `open` does. */
export function folderStore(path: string = '.offswitch', options: FolderStoreOptions = {}): StateStore {
  return new FolderStore(path, options, true);
}

/** For one who writes a word there and goes: to open it takes no longer where much was left, because that is not read. */
export function folderWriter(path: string): StateStore {
  return new FolderStore(path, {}, false);
}

class FolderStore implements StateStore {
  readonly name = 'folder';
  readonly location: string;
  readonly processId: string = mintId('p');
  private readonly disk: FolderFs;
  private readonly clock: Clock;
  private readonly options: FolderStoreOptions;
  /** Of what processes that are gone left: who does not reads none of it, and clears none of it away. */
  private readonly takesUp: boolean;
  private readonly healths: FolderHealth;
  private readonly stopFiles: StopFiles;
  private readonly seenStops: SeenStops;
  private readonly lostStops: LostStops;
  private readonly small: SmallFiles;
  private readonly journal: JournalWriter;
  private readonly auditFiles: AuditFiles;
  private readonly grantFiles: GrantFiles;
  private readonly control: ControlPoint;
  private readonly seenResolutions = new Set<string>();
  private readonly listeners = new Set<(change: StoreChange) => void>();
  /** Where everything goes when the folder cannot be written. */
  private memory: StateStore | undefined;
  private watcher: FolderWatch | undefined;
  private phase: 'new' | 'open' | 'closed' = 'new';
  private closing: Promise<void> | undefined;
  private readonly touched: Touched;
  private readonly dead: DeadProcesses;
  private readonly folderLineage: FolderLineage;
  private readonly folderBudgets: FolderBudgets;

  constructor(path: string, options: FolderStoreOptions, takesUp: boolean) {
    if (typeof path !== 'string' || path === '')
      throw new RuntimeError('invalid_option', 'the path of the state folder is empty');
    const { clock = systemClock, retentionMs = defaultRetentionMs, maxSegmentBytes = 33_554_432 } = options;
    this.location = resolve(path);
    const disk = keepsOwner(options.fs ?? nodeFs, this.location);
    this.options = options;
    this.takesUp = takesUp;
    this.disk = disk;
    this.clock = clock;
    this.healths = new FolderHealth(
      disk,
      this.location,
      (health) => this.tell({ health }),
      () => this.watcher?.listen(),
    );
    this.stopFiles = new StopFiles(disk, join(this.location, 'stops'), (why) => this.healths.fail('flush', why));
    this.touched = new Touched(disk, [this.stopFiles.folder, join(this.location, 'resolutions')]);
    this.seenStops = new SeenStops(this.stopFiles);
    this.lostStops = new LostStops(
      (one) => this.stopFiles.restore(one, clock.now()),
      () => this.touched.forget(),
    );
    this.small = new SmallFiles(disk, this.location, this.processId);
    this.auditFiles = new AuditFiles(disk, this.location, this.processId);
    this.grantFiles = new GrantFiles({
      disk,
      clock,
      folder: this.location,
      atomic: this.small.atomic,
      processId: this.processId,
      mustBeOpen: () => this.mustBeOpen(),
      isAlive: (process) => isProcessAlive(this.location, process),
    });
    this.control = new ControlPoint(this.location, this.processId, this.small.atomic, disk);
    this.journal = new JournalWriter({
      disk,
      folder: join(this.location, 'journal'),
      processId: this.processId,
      maxSegmentBytes,
      retentionMs,
      now: () => clock.now(),
      onRefused: (why) => this.healths.fail('append', why),
      onMended: () => this.healths.mend('append'),
      onBroken: (why) => this.healths.fail('journal', why),
    });
    this.folderBudgets = new FolderBudgets(disk, this.location, this.processId, this.small.atomic, () => clock.now());
    this.dead = new DeadProcesses({
      disk,
      clock,
      folder: this.location,
      processId: this.processId,
      retentionMs,
      small: this.small,
      healths: this.healths,
      reading: (otherwise, read) => this.reading('claims', otherwise, read),
      living: () => this.folderLineage.processes(),
    });
    this.folderLineage = new FolderLineage({
      folder: this.location,
      processId: this.processId,
      atomic: this.small.atomic,
      names: (folder) => disk.readdirSync(folder),
      look: () => this.look(),
      isWritten: (key, engaged) => this.seenStops.isThere(key, engaged),
      claimed: (session) => this.small.claimed(session),
      adopt: () => this.dead.adopt(),
      tell: (children) => this.tell({ children }),
      failed: (why) => process.emitWarning(why),
    });
  }

  get lineage(): LineageStore {
    return this.memory?.lineage ?? this.folderLineage;
  }

  get budgets(): BudgetStore {
    return this.memory?.budgets ?? this.folderBudgets;
  }

  get health(): StoreHealth {
    return this.healths.current;
  }

  /** Needs no opening: the command line reads it, and adds to it, with no process alive. */
  get audit(): AuditLog {
    return this.memory?.audit ?? this.auditFiles;
  }

  get forensics(): ForensicsStore {
    return this.memory?.forensics ?? this.small;
  }

  get grants(): GrantStore {
    return this.memory?.grants ?? this.grantFiles;
  }

  async open(): Promise<StoreOpening> {
    if (this.phase !== 'new') throw new RuntimeError('invalid_option', 'a store is opened once; make another');
    this.phase = 'open';
    const unwritable = this.healths.prepare(this.processId);
    if (unwritable !== undefined) {
      process.emitWarning(unwritable, { code: 'OFFSWITCH_MEMORY' });
      this.memory = memoryStore();
      await this.memory.open();
    }
    const stops = this.reading('stops', nothing, () => this.seenStops.look()).news;
    const resolutions = this.reading('resolutions', [], () => this.small.newResolutions(this.seenResolutions));
    const readings = this.small.readings();
    // Sessions in a folder where nothing can be claimed are not ours to resume.
    if (this.memory || !this.takesUp) return { stops, resolutions, readings, claims: [], journals: [] };
    const left = await this.dead.open();
    this.reading('folder', undefined, () => {
      this.stopFiles.prune(this.stopFiles.list());
      this.small.tidy(this.clock.now());
      this.folderBudgets.tidy(this.clock.now() - (this.options.retentionMs ?? defaultRetentionMs));
    });
    if (this.stopFiles.strangers.size > 0) {
      const names = [...this.stopFiles.strangers].slice(0, 5).join(', ');
      process.emitWarning(`${this.stopFiles.folder} holds files that are no stops and stop nobody: ${names}`, {
        code: 'OFFSWITCH_STRANGER',
      });
    }
    return { stops, resolutions, readings, ...left };
  }

  async mark(key: string, side: 'engaged' | 'released', n: number, details: StopDetails): Promise<void> {
    this.mustBeOpen();
    checkMark(key, n);
    this.seenStops.own(key, side, n);
    if (this.memory) return this.memory.mark(key, side, n, details);
    try {
      await this.stopFiles.mark(key, side, n, details);
      this.seenStops.written(key, side, n);
    } catch (error) {
      this.healths.check();
      throw error;
    }
  }

  async stops(): Promise<readonly StoredStop[]> {
    const kept = (await this.memory?.stops()) ?? [];
    try {
      const found = [...this.stopFiles.list()].map(([key, marks]) => this.stopFiles.read(key, marks));
      return [...found, ...kept];
    } catch (error) {
      if (this.memory) return kept;
      // Who only looks makes nothing in a folder, which may be somebody else's.
      if (this.phase === 'open') this.healths.check();
      throw storeFailed(`${this.stopFiles.folder} cannot be listed`, error);
    }
  }

  append(root: string, record: JournalRecord): void {
    if (this.phase !== 'open') this.mustBeOpen();
    if (this.memory) this.memory.append(root, record);
    else this.journal.append(root, record);
  }

  async flush(): Promise<void> {
    this.mustBeOpen();
    if (!this.memory) await Promise.all([this.journal.flush(), this.folderLineage.flush()]);
  }

  claim(session: string, epoch: number): boolean {
    this.mustBeOpen();
    return this.memory ? this.memory.claim(session, epoch) : this.small.claim(session, epoch);
  }

  forget(root: string): void {
    this.mustBeOpen();
    if (!this.memory) this.journal.forget(root);
  }

  async resolve(resolution: Resolution): Promise<boolean> {
    this.mustBeOpen();
    if (this.memory) {
      return this.seenResolutions.has(resolutionName(resolution)) ? false : this.memory.resolve(resolution);
    }
    const isFirst = await this.small.resolve(resolution);
    // The first word of somebody else is news to us, and is told as such.
    if (isFirst) this.seenResolutions.add(resolutionName(resolution));
    return isFirst;
  }

  async writeReceipt(receipt: ReceiptPart): Promise<void> {
    this.mustBeOpen();
    await (this.memory ?? this.small).writeReceipt(receipt);
  }

  async receiptsToGoOn(stops: readonly StopToGoOn[]): Promise<ReadonlyMap<string, Receipt | undefined>> {
    if (this.memory) return this.memory.receiptsToGoOn(stops);
    return amongAll(await this.readReceipts({ ids: stops.map(({ id }) => id) }), stops);
  }

  async receipts(unread?: (what: string) => void): Promise<readonly Receipt[]> {
    return this.memory ? this.memory.receipts(unread) : this.readReceipts({ unread });
  }

  private async readReceipts(which: Which): Promise<readonly Receipt[]> {
    const grants = (await this.grants.list()).map(({ record }) => record);
    try {
      const marks = this.stopFiles.list();
      const stopOf = (key: string): StoredStop | undefined => {
        const its = marks.get(key);
        return its && this.stopFiles.read(key, its);
      };
      const isAlive = (process: string): Promise<boolean> => isProcessAlive(this.location, process);
      return await this.small.receipts(isAlive, { grants, stopOf }, new Slice(this.clock), which);
    } catch (error) {
      throw storeFailed(`${join(this.location, 'receipts')} cannot be listed`, error);
    }
  }

  async keepReadings(readings: readonly KeptReading[]): Promise<void> {
    this.mustBeOpen();
    await (this.memory ?? this.small).keepReadings(readings);
  }

  async writeDocument(name: 'switches', value: unknown): Promise<void> {
    this.mustBeOpen();
    await (this.memory ?? this.small).writeDocument(name, value);
  }

  async readDocument(name: 'switches'): Promise<unknown> {
    return (await this.memory?.readDocument(name)) ?? this.small.readDocument(name);
  }

  watch(listener: (change: StoreChange) => void): () => void {
    this.mustBeOpen();
    const own = (change: StoreChange): void => listener(change);
    this.listeners.add(own);
    this.watcher ??= new FolderWatch({
      disk: this.disk,
      clock: this.clock,
      pollMs: this.options.watchPollMs ?? 500,
      folders: [this.stopFiles.folder, join(this.location, 'resolutions')],
      isKnown: (name) => this.seenStops.isKnown(name) || this.seenResolutions.has(name),
      look: () => this.look(),
      poll: () => {
        // In memory the folder is only read, and may appear later.
        this.journal.retry();
        this.lookForDead();
        if (this.memory || (this.healths.check() && (this.health.state !== 'ok' || this.touched.look()))) this.look();
      },
    });
    return () => {
      this.listeners.delete(own);
      if (this.listeners.size > 0) return;
      this.watcher?.close();
      this.watcher = undefined;
    };
  }

  async serve(handler: ControlHandler, options: { readonly keepsAlive?: boolean } = {}): Promise<string> {
    this.mustBeOpen();
    const withNews: ControlHandler = (method, params) =>
      method === childNewsMethod ? this.hear(params) : handler(method, params);
    return this.control.open(withNews, {
      isOutside: this.memory !== undefined,
      startedAt: this.clock.now(),
      keepsAlive: options.keepsAlive ?? true,
      ...(this.options.socketDir === undefined ? {} : { socketDir: this.options.socketDir }),
    });
  }

  close(): Promise<void> {
    this.closing ??= this.closeOnce();
    return this.closing;
  }

  private async closeOnce(): Promise<void> {
    this.phase = 'closed';
    this.listeners.clear();
    this.watcher?.close();
    // The journal first: while the socket takes connections, nobody else resumes what is in it.
    await this.journal.close();
    await this.folderBudgets.close();
    await this.small.atomic.settle();
    await this.control.close();
    await this.memory?.close();
  }

  private async hear(params: Readonly<Record<string, unknown>>): Promise<unknown> {
    if (Array.isArray(params.news)) this.tell({ children: params.news.filter(isChildNews) });
    return { heard: true };
  }

  private lookForDead(): void {
    if (this.memory) return;
    void this.dead.look().then((isOrphaned) => {
      if (isOrphaned) this.tell({ isOrphaned });
    });
    const claimed = this.dead.newClaims();
    if (claimed.length > 0) this.tell({ claimed });
  }

  /** Tells the listeners what is new in the folder. */
  private look(): void {
    const { news: stops, lost } = this.reading('stops', nothing, () => this.seenStops.look());
    const resolutions = this.reading('resolutions', [], () => this.small.newResolutions(this.seenResolutions));
    // Written again once told, so that whoever is told first sees it gone.
    const { fresh, write } = this.lostStops.take(this.memory ? [] : lost);
    if (stops.length > 0 || resolutions.length > 0 || fresh.length > 0) {
      this.tell({
        ...(stops.length > 0 ? { stops } : {}),
        ...(fresh.length > 0 ? { lost: fresh } : {}),
        ...(resolutions.length > 0 ? { resolutions } : {}),
      });
    }
    write();
  }

  /** What cannot be read makes the health `failed`, never an answer that looks empty. In memory there may be nothing to read. */
  private reading<T>(what: 'stops' | 'resolutions' | 'claims' | 'folder', otherwise: T, read: () => T): T {
    try {
      const answer = read();
      this.healths.mend(what);
      return answer;
    } catch (error) {
      if (!this.memory || (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'ENOTDIR'))
        this.healths.fail(what, cannotList(what === 'folder' ? this.location : join(this.location, what), error));
      return otherwise;
    }
  }

  private tell(change: StoreChange): void {
    for (const listener of this.listeners) {
      try {
        listener(change);
      } catch (error) {
        // One listener's fault keeps no other from hearing of a stop (I13).
        process.emitWarning(`a listener of the state folder threw: ${String(error)}`);
      }
    }
  }

  private mustBeOpen(): void {
    if (this.phase === 'open') return;
    throw this.phase === 'closed'
      ? new RuntimeError('closed', `the store in ${this.location} was closed`)
      : new RuntimeError('invalid_option', 'open the store first');
  }
}

function isChildNews(value: unknown): value is ChildNews {
  if (typeof value !== 'object' || value === null) return false;
  const { parent, call, child, state } = value as Partial<Record<keyof ChildNews, unknown>>;
  return [parent, call, child, state].every((one) => typeof one === 'string');
}
