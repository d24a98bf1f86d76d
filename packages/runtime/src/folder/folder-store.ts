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
import { leftBehind, type OwnedClaim, withoutOwner } from '../left-behind.ts';
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
  StoreClaim,
  StoredStop,
  StoreHealth,
  StoreOpening,
} from '../store.ts';
import { AuditFiles } from './audit-files.ts';
import { ControlPoint } from './control-point.ts';
import { FolderBudgets } from './folder-budgets.ts';
import { codeOf, type FolderFs, nodeFs, storeFailed } from './folder-fs.ts';
import { FolderHealth } from './folder-health.ts';
import { childNewsMethod, FolderLineage } from './folder-lineage.ts';
import type { FolderStoreOptions } from './folder-options.ts';
import { FolderWatch } from './folder-watch.ts';
import { GrantFiles } from './grant-files.ts';
import { JournalWriter } from './journal-writer.ts';
import { journalProcesses, readJournals } from './journals.ts';
import { LostStops } from './lost-stops.ts';
import { isProcessAlive } from './processes.ts';
import { type Look, SeenStops } from './seen-stops.ts';
import { claimName, resolutionName, SmallFiles } from './small-files.ts';
import { checkMark, StopFiles } from './stop-files.ts';
import { Touched } from './touched.ts';

/** How often is looked whether a process is gone. Milliseconds, default 2000: a connection to each socket. */
const lookForDeadMs = 2_000;

const nothing: Look = { news: [], lost: [] };

/** Opens nothing yet: `open` does. */
export function folderStore(path: string = '.offswitch', options: FolderStoreOptions = {}): StateStore {
  return new FolderStore(path, options);
}

class FolderStore implements StateStore {
  readonly name = 'folder';
  readonly location: string;
  readonly processId: string = mintId('p');
  private readonly disk: FolderFs;
  private readonly clock: Clock;
  private readonly options: FolderStoreOptions;
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
  private readonly claimsTouched: Touched;
  private readonly seenClaims = new Set<string>();
  /** Who has claimed anything: such a one may die before it has written a word. */
  private readonly claimants = new Set<string>();
  /** Claims that were seen and whose owners are not among them yet. */
  private unowned: readonly StoreClaim[] = [];
  private readonly folderLineage: FolderLineage;
  private readonly folderBudgets: FolderBudgets;
  /** Processes whose journals this one was given as a dead one's. */
  private readonly taken = new Set<string>();
  /** Processes that were told to be gone. */
  private readonly gone = new Set<string>();
  private lookedForDeadAt = Number.NEGATIVE_INFINITY;

  constructor(path: string, options: FolderStoreOptions) {
    if (typeof path !== 'string' || path === '')
      throw new RuntimeError('invalid_option', 'the path of the state folder is empty');
    const { fs: disk = nodeFs, clock = systemClock, retentionMs = 604_800_000, maxSegmentBytes = 33_554_432 } = options;
    this.location = resolve(path);
    this.options = options;
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
    this.claimsTouched = new Touched(disk, [join(this.location, 'claims')]);
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
    this.control = new ControlPoint(this.location, this.processId, this.small.atomic);
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
    this.folderLineage = new FolderLineage({
      folder: this.location,
      processId: this.processId,
      atomic: this.small.atomic,
      names: (folder) => disk.readdirSync(folder),
      look: () => this.look(),
      isWritten: (key, engaged) => this.seenStops.isThere(key, engaged),
      claimed: (session) => this.small.claimed(session),
      adopt: async () => {
        const { claims, journals } = await this.readLeft();
        return { claims: claims.map(withoutOwner), journals: leftBehind(journals, this.taken, claims) };
      },
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
    if (this.memory) return { stops, resolutions, readings, claims: [], journals: [] };
    this.reading('claims', [], () => this.small.newClaims(this.seenClaims));
    const { claims, journals } = await this.readLeft();
    leftBehind(journals, this.taken, claims);
    for (const { owner } of claims) this.claimants.add(owner);
    this.reading('folder', undefined, () => {
      this.stopFiles.prune(this.stopFiles.list());
      this.small.tidy(this.clock.now());
      this.folderBudgets.tidy(this.clock.now() - (this.options.retentionMs ?? 604_800_000));
    });
    if (this.stopFiles.strangers.size > 0) {
      const names = [...this.stopFiles.strangers].slice(0, 5).join(', ');
      process.emitWarning(`${this.stopFiles.folder} holds files that are no stops and stop nobody: ${names}`, {
        code: 'OFFSWITCH_STRANGER',
      });
    }
    return { stops, resolutions, readings, claims: claims.map(withoutOwner), journals };
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
      this.healths.check();
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
    return amongAll(await this.readReceipts(stops.map(({ id }) => id)), stops);
  }

  async receipts(): Promise<readonly Receipt[]> {
    return this.memory ? this.memory.receipts() : this.readReceipts();
  }

  private async readReceipts(ids?: readonly string[]): Promise<readonly Receipt[]> {
    const grants = (await this.grants.list()).map(({ record }) => record);
    try {
      const marks = this.stopFiles.list();
      const stopOf = (key: string): StoredStop | undefined => {
        const its = marks.get(key);
        return its && this.stopFiles.read(key, its);
      };
      const isAlive = (process: string): Promise<boolean> => isProcessAlive(this.location, process);
      return await this.small.receipts(isAlive, { grants, stopOf }, new Slice(this.clock), ids);
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
        void this.lookForDead();
        this.lookForClaims();
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

  /** Who takes up what a dead process left is decided by claims: the others hear of it here. */
  private lookForClaims(): void {
    if (this.memory || !this.claimsTouched.look()) return;
    const claimed = this.reading('claims', [], () => this.small.newClaims(this.seenClaims));
    this.unowned = [...this.unowned, ...claimed];
    if (claimed.length > 0) this.tell({ claimed });
  }

  /** A process that has written or claimed and is not there any more has left what it ran. */
  private async lookForDead(): Promise<void> {
    const now = this.clock.monotonic();
    if (this.memory || now - this.lookedForDeadAt < lookForDeadMs) return;
    this.lookedForDeadAt = now;
    await this.learnClaimants();
    // First: who has written or claimed anything was alive before. It may have come and died between two looks, so that nobody saw it alive.
    const wrote = new Set([...this.whoWrote(), ...this.claimants]);
    const living = new Set((await this.lineage.processes()).map(({ id }) => id));
    const fresh = [...wrote].filter(
      (one) => one !== this.processId && !living.has(one) && !this.taken.has(one) && !this.gone.has(one),
    );
    for (const one of fresh) this.gone.add(one);
    if (fresh.length > 0 && this.phase === 'open') this.tell({ isOrphaned: true });
  }

  private async learnClaimants(): Promise<void> {
    const claims = this.unowned;
    this.unowned = [];
    const owned = await this.owned(claims);
    for (const { owner } of owned) if (owner !== '') this.claimants.add(owner);
    this.unowned = [...claims.slice(owned.length), ...this.unowned];
  }

  private whoWrote(): readonly string[] {
    try {
      return journalProcesses(this.disk, this.location);
    } catch {
      // Looked at again soon; that the folder is gone or cannot be read, health tells.
      return [];
    }
  }

  /**
   * Of whom is dead here nothing is missing: all was written before the journals were listed. Who has died since counts as living, and is
   * told of as gone later.
   */
  private async readLeft(): Promise<{ readonly claims: readonly OwnedClaim[]; readonly journals: StoreOpening['journals'] }> {
    const highest = (known?: ReadonlyMap<string, string>) =>
      this.owned(
        this.reading('claims', [], () => this.small.claims()),
        known,
      );
    const before = new Map((await highest()).map((one) => [claimName(one), one.owner]));
    const alive = new Map<string, boolean>();
    await Promise.all(
      [...new Set(before.values())].map(async (owner) => alive.set(owner, await isProcessAlive(this.location, owner))),
    );
    const journals = await this.readJournals();
    for (const { process, alive: isAlive } of journals) alive.set(process, isAlive);
    // Listed again: one whose journal is given now, and then never again, may have claimed since.
    const claims = await highest(before);
    return { claims: claims.map((one) => ({ ...one, alive: one.owner !== '' && (alive.get(one.owner) ?? true) })), journals };
  }

  /** In slices: there is a file of each. Up to the first that cannot be read; the owner is empty where it was cleared away meanwhile. */
  private async owned(
    claims: Iterable<StoreClaim>,
    known?: ReadonlyMap<string, string>,
  ): Promise<readonly Omit<OwnedClaim, 'alive'>[]> {
    const found: Omit<OwnedClaim, 'alive'>[] = [];
    const slice = new Slice(this.clock);
    for (const one of claims) {
      const owner = known?.get(claimName(one)) ?? this.reading('claims', undefined, () => this.small.ownerOf(one));
      if (owner === undefined) break;
      found.push({ ...one, owner });
      if (slice.isOver) await slice.next();
    }
    return found;
  }

  private async readJournals(): Promise<StoreOpening['journals']> {
    const { retentionMs = 604_800_000 } = this.options;
    try {
      const { journals, damage } = await readJournals({
        disk: this.disk,
        folder: this.location,
        isAlive: (process) => isProcessAlive(this.location, process),
        retentionMs,
        now: () => this.clock.now(),
      });
      if (damage !== undefined) this.healths.fail('damage', damage);
      return journals;
    } catch (error) {
      this.healths.fail('journal', cannotList(join(this.location, 'journal'), error));
      return [];
    }
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

function cannotList(path: string, error: unknown): string {
  return `${path} cannot be read (${codeOf(error) || String(error)}): everything is held until it can; mend the disk or its rights, then restart`;
}

function isChildNews(value: unknown): value is ChildNews {
  if (typeof value !== 'object' || value === null) return false;
  const { parent, call, child, state } = value as Partial<Record<keyof ChildNews, unknown>>;
  return [parent, call, child, state].every((one) => typeof one === 'string');
}
