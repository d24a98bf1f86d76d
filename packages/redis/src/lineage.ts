// lineage.ts: several processes, one graph: the sessions they make known to each other, and what one takes over from another.

import { setTimeout as pause } from 'node:timers/promises';
import {
  type Adoption,
  type Confirmation,
  hasEnded,
  type JournalRecord,
  type LineageStore,
  type Registered,
  type RegisteredSession,
  type RegisteredState,
  type Registration,
  RuntimeError,
  type SettledRecord,
  type StoreChange,
  type StoreProcess,
  type UnheardProcess,
} from '@offswitch/runtime';
import { type AllHave, Confirming, processesIn } from './confirm.ts';
import { type Reply, ServerRefusal } from './connection/link.ts';
import type { Wire } from './connection/wire.ts';
import type { Hearing } from './hearing.ts';
import { hasRecord, type Left, readClaim, readEnds, readLeft } from './journals.ts';
import type { Membership } from './membership.ts';
import { invalid, type Settings } from './options.ts';
import { mayForgetMs, type Outbox, type Write } from './outbox.ts';
import {
  checkRegistration,
  describedIn,
  letterOf,
  localRootFrom,
  localRootsOf,
  pageIn,
  readStates,
  wordsOf,
} from './registry.ts';

/** Local roots looked at in one step of the server; those that were taken over are read before the next. */
const adoptedTogether = 200;
/** Local roots asked for at once. */
const askedTogether = 500;
/** Registrations that are kept because Redis may forget them. */
const mostRecent = 20_000;
/** So many are made known again at once. */
const againTogether = 200;
/** How often, and after how many milliseconds, one is made known again whose root is another process's to make known. */
const againTimes = 5;
const againAfterMs = 500;

/** Sessions that are not this process's any more and of which a late word may come. */
const mostRemembered = 10_000;

/** Graphs in which a session is looked for at the same time. */
const locatedTogether = 200;

export interface LineageOptions {
  readonly settings: Settings;
  readonly process: string;
  readonly control: Wire;
  readonly bulk: Wire;
  /** For journals, of which a page may be long. */
  readonly reading: Wire;
  readonly hearing: () => Hearing;
  readonly membership: Membership;
  readonly outbox: Outbox;
  readonly mustBeOpen: () => void;
  /** Why this process may not go on, while it may not. */
  readonly whyCutOff: () => string | undefined;
  readonly tell: (change: StoreChange) => void;
  /** It was found out by asking: whoever is told of health must be told of this, or would not be told of its end. */
  readonly onCutOff: () => void;
}

export class RedisLineage implements LineageStore {
  private readonly options: LineageOptions;
  /** Sessions of this process, with their local roots. */
  private readonly mine = new Map<string, string>();
  private readonly epochs = new Map<string, number>();
  /** Of local roots that are no roots. */
  private readonly roots = new Map<string, string>();
  /** Of these, those that have ended, the oldest first: there may be a late word of one. */
  private readonly over = new Set<string>();
  /** Local roots whose registration was sent and not answered: ours, if it came about. */
  private readonly unanswered = new Set<string>();
  /** Local roots that another process took over: what is written here of sessions under them counts for nothing. */
  private readonly lost = new Set<string>();
  /** Taken over and not handed on yet. */
  private readonly pages = new Set<Page>();
  /** Given to this process, and damaged as they are: read again with the next. */
  private readonly unreadable = new Map<string, { readonly root: string; readonly why: string }>();
  private adopting: Promise<unknown> = Promise.resolve();
  /** Registered a little while before Redis was last heard from, the oldest first. */
  private readonly recent = new Map<string, Recent>();
  private readonly confirming: Confirming;

  constructor(options: LineageOptions) {
    this.options = options;
    const { control: wire, process, settings } = options;
    this.confirming = new Confirming({ wire, process, leaseMs: settings.leaseMs });
  }

  /** Who may carry or take over is known from here alone: nobody else sees this process's memory or disk. */
  readonly registersAll = true;

  isCutOff(): boolean {
    if (this.options.whyCutOff() === undefined) return false;
    this.options.onCutOff();
    return true;
  }

  async register(registration: Registration): Promise<Registered> {
    this.mustHold();
    checkRegistration(registration);
    const { session, isLocalRoot } = registration;
    const { process, control, hearing, settings } = this.options;
    const [status, detail, life] = (await control.fn('register', this.argsOf(registration)).catch((error) => {
      if (isLocalRoot && !(error instanceof ServerRefusal)) this.unanswered.add(session);
      return refused(error);
    })) as readonly [string, Reply, Reply?];
    if (status === 'exists') {
      const first = describedIn(detail)!;
      if (first.process === process && this.unanswered.has(first.session)) this.own(first);
      return { status: 'exists', session: first };
    }
    const isRefused = status === 'root_unknown' || status === 'root_settled';
    if (!isRefused) {
      this.own(registration);
      this.keepRecent(registration);
    }
    hearing().isIn(String(life));
    if (!(await hearing().reached(String(detail), settings.leaseMs)))
      throw new RuntimeError('store_failed', `the stops there are when ${session} began could not be read in time`);
    return isRefused ? { status: 'refused', code: status } : { status: 'registered' };
  }

  private argsOf(registration: Registration): string[] {
    const { path, agent, call = '', isLocalRoot, isLoop } = registration;
    const { process, membership, settings } = this.options;
    return [
      process,
      membership.gen,
      membership.storeId,
      wordsOf(registration),
      agent,
      call,
      isLoop ? 'loop' : isLocalRoot ? '1' : '0',
      String(settings.retentionMs),
      ...path,
    ];
  }

  private keepRecent(registration: Registration): void {
    this.recent.delete(registration.session);
    this.recent.set(registration.session, { registration, at: performance.now(), end: undefined });
    this.heard();
  }

  /** Redis has answered: it forgets nothing any more that is older than what it may forget. Not by the time alone: it may be away for longer. */
  heard(): void {
    const now = performance.now();
    for (const [session, { at }] of this.recent) {
      const isSafe = !this.isAgain && now - at > mayForgetMs;
      if (!isSafe && this.recent.size <= mostRecent) return;
      this.recent.delete(session);
    }
  }

  /** Redis was killed, and may have lost what was registered last. Never rejects. */
  registerAgain(): Promise<void> {
    // What has begun may be past what was lost since.
    this.nextAgain ??= this.again.then(() => {
      this.nextAgain = undefined;
      this.again = this.registerRecent();
      return this.again;
    });
    return this.nextAgain;
  }
  private again: Promise<void> = Promise.resolve();
  private nextAgain: Promise<void> | undefined;
  private isRegistering = false;
  private get isAgain(): boolean {
    return this.isRegistering || this.nextAgain !== undefined;
  }

  private async registerRecent(): Promise<void> {
    this.isRegistering = true;
    let left: readonly Recent[] = [...this.recent.values()];
    for (let time = 0; left.length > 0 && time < againTimes; time++) {
      if (time > 0) await pause(againAfterMs, undefined, { ref: false });
      const still: Recent[] = [];
      // A page at a time: every process does the same now, and their renewals must not wait behind it.
      for (let i = 0; i < left.length; i += againTogether)
        still.push(...(await this.unregistered(left.slice(i, i + againTogether))));
      left = still;
    }
    this.isRegistering = false;
  }

  /** Makes these known; those that were not taken in, and may be later. */
  private async unregistered(some: readonly Recent[]): Promise<readonly Recent[]> {
    const { control } = this.options;
    const answers = await Promise.allSettled(some.map((one) => control.fn('register', this.argsOf(one.registration))));
    return some.filter(({ end }, i) => {
      const answer = answers[i]!;
      if (answer.status === 'rejected') return !(answer.reason instanceof ServerRefusal && isForGood(answer.reason));
      const [status] = answer.value as readonly Reply[];
      // Its graph may have been cleared away since: what Redis has of its end is of that one.
      if (status === 'registered' && end) this.options.outbox.push(end);
      return status === 'root_unknown';
    });
  }

  private own({ session, path, isLocalRoot }: Registration): void {
    this.unanswered.delete(session);
    this.lost.delete(session);
    this.over.delete(session);
    const localRoot = isLocalRoot ? session : this.localRootOf(path.at(-2) ?? session);
    this.mine.set(session, localRoot);
    if (localRoot === session && path[0] !== session) this.roots.set(session, path[0]!);
  }

  note(session: string, root: string, state: RegisteredState): void {
    this.options.mustBeOpen();
    const write: Write = { fn: 'note', root, localRoot: this.localRootOf(session), args: [session, letterOf(state)] };
    this.options.outbox.push(write);
    if (!hasEnded(state)) return;
    const recent = this.recent.get(session);
    if (recent) recent.end = write;
    this.mine.delete(session);
    this.epochs.delete(session);
    if (this.roots.has(session)) for (const oldest of remembered(this.over, session)) this.roots.delete(oldest);
  }

  /** The root of the whole graph that a local root of ours stands in. */
  rootOf(localRoot: string): string {
    return this.roots.get(localRoot) ?? localRoot;
  }

  /** The root of the whole graph that a session stands in, also where it is another process's. */
  async rootAbove(session: string): Promise<string | undefined> {
    const localRoot = this.mine.get(session);
    return localRoot === undefined ? (await this.locate(session))?.path[0] : this.rootOf(localRoot);
  }

  localRootOf(session: string): string {
    return this.mine.get(session) ?? session;
  }

  isLost(localRoot: string): boolean {
    return this.lost.has(localRoot);
  }

  /** The local root that a record is of. A session that is not registered yet is where its parent is. */
  localRootIn(record: JournalRecord): string {
    const above = record.t === 'session' && !record.arrived ? this.mine.get(record.path.at(-2) ?? '') : undefined;
    return this.mine.get(record.s) ?? above ?? record.s;
  }

  /** Its next epoch is this process's to take as long as its lease holds: nobody else runs it. */
  claim(session: string, epoch: number): boolean {
    this.options.mustBeOpen();
    this.mustHold();
    const localRoot = this.mine.get(session);
    if (localRoot === undefined || epoch <= (this.epochs.get(session) ?? 0)) return false;
    const root = this.rootOf(localRoot);
    this.options.outbox.push({ fn: 'claim', root, localRoot, args: [session, String(epoch)] });
    this.epochs.set(session, epoch);
    return true;
  }

  async find(session: string, root: string): Promise<RegisteredSession | undefined> {
    this.options.mustBeOpen();
    return describedIn(await this.options.bulk.fn('find', [root, session]).catch(refused));
  }

  async ended(session: string, root: string): Promise<SettledRecord | undefined> {
    return (await this.ends(root, [session])).get(session);
  }

  async ends(root: string, sessions: readonly string[]): Promise<ReadonlyMap<string, SettledRecord>> {
    this.options.mustBeOpen();
    const { bulk, reading, settings } = this.options;
    const states = await readStates(bulk, settings.prefix, root, sessions).catch(refused);
    // Of one that the registry does not know any more, the journal may.
    const asked = sessions.filter((_, i) => hasEnded(states[i] ?? 'completed'));
    return readEnds(reading, settings.prefix, root, asked).catch(refused);
  }

  async claimed(session: string, root: string): ReturnType<LineageStore['claimed']> {
    const { reading, settings } = this.options;
    return readClaim(reading, settings.prefix, session, root).catch(refused);
  }

  hasBegun(session: string, root: string): Promise<boolean> {
    return hasRecord(this.options.reading, this.options.settings.prefix, session, root).catch(refused);
  }

  async subtree(
    session: string,
    root: string,
    page: { readonly after?: string; readonly limit?: number } = {},
  ): ReturnType<LineageStore['subtree']> {
    this.options.mustBeOpen();
    const { after = '', limit = 1000 } = page;
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > 5000)
      throw invalid(`a page is of 1 to 5,000 sessions, not ${limit}`);
    return pageIn(await this.options.bulk.fn('subtree', [root, session, after, limit]).catch(refused), limit);
  }

  async processes(): Promise<readonly StoreProcess[]> {
    return (await this.listed()).map(({ id, name, isAlive }) => ({ id, name, isAlive }));
  }

  async unheard(): Promise<readonly UnheardProcess[]> {
    const { bulk, settings } = this.options;
    const gone = (await this.listed()).filter(isLapsed);
    return Promise.all(
      gone.map(async ({ id }) => ({ process: id, localRoots: await localRootsOf(bulk, settings.prefix, id).catch(refused) })),
    );
  }

  async locate(session: string): Promise<RegisteredSession | undefined> {
    const { bulk, settings } = this.options;
    const own = await this.find(session, session);
    if (own) return own;
    const lists = await Promise.all(
      (await this.listed()).map(({ id }) => localRootsOf(bulk, settings.prefix, id).catch(refused)),
    );
    const roots = [...new Set(lists.flat().map(({ root }) => root))];
    for (let i = 0; i < roots.length; i += locatedTogether) {
      const found = await Promise.all(roots.slice(i, i + locatedTogether).map((root) => this.find(session, root)));
      const one = found.find((each) => each !== undefined);
      if (one) return one;
    }
    return undefined;
  }

  /** Who lives, and of whom it cannot be told: its lease has run out, and it has left what nobody has taken over. */
  async standing(): Promise<{ isAlive(process: string): boolean; isUnheard(process: string): boolean }> {
    const { bulk, settings } = this.options;
    const all = await this.listed();
    const gone = all.filter(isLapsed);
    const left = await Promise.all(gone.map(({ id }) => bulk.call(['EXISTS', `${settings.prefix}:{ctl}:agents:${id}`]))).catch(
      refused,
    );
    const living = new Set(all.filter((one) => one.isAlive).map((one) => one.id));
    const unheard = new Set(gone.filter((_, i) => left[i] === 1).map((one) => one.id));
    return { isAlive: (process) => living.has(process), isUnheard: (process) => unheard.has(process) };
  }

  private async listed(): Promise<ReturnType<typeof processesIn>> {
    this.options.mustBeOpen();
    return processesIn(await this.options.control.fn('list').catch(refused));
  }

  async living(): Promise<{ isAlive(process: string): boolean }> {
    const living = new Set((await this.processes()).filter((one) => one.isAlive).map((one) => one.id));
    return { isAlive: (process) => living.has(process) };
  }

  async confirm(key: string, engaged: number): Promise<Confirmation> {
    this.options.mustBeOpen();
    return this.confirming.confirm(key, engaged).catch(refused);
  }

  /** Every live process has taken in what somebody here waits for. */
  haveAll(word: AllHave): void {
    this.confirming.haveAll(word);
  }

  adopt(agents: readonly string[]): Promise<Adoption> {
    this.options.mustBeOpen();
    const adopted = this.adopting.then(() => this.adoptNow(agents));
    this.adopting = adopted.catch(() => {});
    return adopted;
  }

  private async adoptNow(agents: readonly string[]): Promise<Adoption> {
    this.mustHold();
    const { process, control, membership } = this.options;
    if (this.unreadable.size > 0) await this.readPage(new Map([...this.unreadable].map(([one, { root }]) => [one, root])));
    let behind: readonly string[] = ['', ''];
    for (let have = 0; ; ) {
      const args = [process, membership.gen, membership.storeId, adoptedTogether, have, ...behind, ...agents];
      const [given, ...lookedAt] = (await control.fn('adopt', args).catch(refused)) as readonly [readonly string[], ...string[]];
      const isLast = lookedAt.length === 0;
      if ((given.length === 0 && isLast) || agents.length === 0) return this.handOn();
      if (!isLast) behind = lookedAt;
      const localRoots = new Map(given.map(localRootFrom).map(({ session, root }) => [session, root]));
      // Given before, and read; then an answer was lost.
      for (const page of this.pages) for (const one of page.localRoots.keys()) localRoots.delete(one);
      await this.readPage(localRoots);
      have = given.length;
    }
  }

  private async readPage(localRoots: Page['localRoots']): Promise<void> {
    const { reading, settings } = this.options;
    const page: Page = { localRoots, left: undefined };
    this.pages.add(page);
    try {
      page.left = await readLeft(reading, settings.prefix, [...new Set(localRoots.values())], isIn(localRoots));
    } catch (error) {
      // Not acknowledged, so it is given again.
      this.pages.delete(page);
      throw error;
    }
    for (const [one, root] of localRoots) {
      const why = page.left.unreadable.get(root);
      this.unreadable.delete(one);
      if (why === undefined) continue;
      localRoots.delete(one);
      this.unreadable.set(one, { root, why });
    }
  }

  /** All that was read and not lost again meanwhile. */
  private handOn(): Adoption {
    const journals = new Map<string, Adoption['journals'][number]>();
    const claims: Adoption['claims'][number][] = [];
    for (const { localRoots, left } of this.pages) {
      if (!left) continue;
      for (const [localRoot, root] of localRoots) {
        this.lost.delete(localRoot);
        this.over.delete(localRoot);
        this.mine.set(localRoot, localRoot);
        if (root !== localRoot) this.roots.set(localRoot, root);
      }
      const written = new Set<string>();
      for (const [session, localRoot] of left.localRoots) {
        written.add(localRoot);
        if (localRoots.has(localRoot)) this.mine.set(session, localRoot);
      }
      // Its process died before the first word of it: it did nothing, nothing is under it, and nobody knows it who could ask for it again.
      for (const [one, root] of localRoots) if (one === root && !written.has(one)) this.note(one, root, 'failed');
      for (const [session, epoch] of left.epochs) this.epochs.set(session, epoch);
      for (const { process, alive, records } of left.journals) {
        const ours = records.filter(({ s }) => localRoots.has(left.localRoots.get(s) ?? ''));
        const before = journals.get(process)?.records ?? [];
        if (ours.length > 0) journals.set(process, { process, alive, records: [...before, ...ours] });
      }
      claims.push(...left.claims);
    }
    this.pages.clear();
    const unread = [...new Set([...this.unreadable.values()].map(({ why }) => why))];
    return { journals: [...journals.values()], claims, ...(unread.length > 0 ? { unread } : {}) };
  }

  /** This process was counted as gone: of what it runs it keeps what the store says is its own. */
  async loseOthers(awayMs: number): Promise<void> {
    const { control, process, settings } = this.options;
    const kept = new Set((await localRootsOf(control, settings.prefix, process)).map(({ session }) => session));
    const roots = new Map([...this.pages].flatMap(({ localRoots }) => [...localRoots]));
    for (const [localRoot, { root }] of this.unreadable) roots.set(localRoot, root);
    for (const localRoot of this.mine.values()) roots.set(localRoot, this.rootOf(localRoot));
    const others = [...roots].filter(([localRoot]) => !kept.has(localRoot));
    const lost: string[] = [];
    for (let i = 0; i < others.length; i += askedTogether)
      await Promise.all(
        others.slice(i, i + askedTogether).map(async ([localRoot, root]) => {
          const found = describedIn(await control.fn('find', [root, localRoot]));
          // What is nobody's there was lost by the store; or it has ended elsewhere, so long ago that it was cleared away.
          if (found ? found.process !== process : awayMs >= settings.retentionMs) lost.push(localRoot);
        }),
      );
    this.lose(lost);
  }

  /** Sessions under these are another process's now. */
  lose(localRoots: readonly string[]): void {
    const lost = new Set(localRoots);
    const known = new Set<string>();
    for (const page of this.pages) for (const one of lost) if (page.localRoots.delete(one)) known.add(one);
    for (const [session, { end }] of this.recent)
      if (lost.has(end?.localRoot ?? this.localRootOf(session))) this.recent.delete(session);
    for (const [session, localRoot] of this.mine)
      if (lost.has(localRoot)) {
        known.add(localRoot);
        this.mine.delete(session);
        this.epochs.delete(session);
      }
    for (const one of lost) {
      remembered(this.lost, one);
      this.roots.delete(one);
      this.over.delete(one);
      this.unreadable.delete(one);
    }
    this.options.outbox.drop(lost);
    if (known.size > 0) this.options.tell({ takenOver: [...known] });
  }

  private mustHold(): void {
    this.options.mustBeOpen();
    const why = this.options.whyCutOff();
    if (why !== undefined) throw new RuntimeError('store_failed', why);
  }
}

interface Recent {
  readonly registration: Registration;
  /** By the monotonic clock. */
  readonly at: number;
  /** What was written of its end. */
  end: Write | undefined;
}

/** Local roots with their roots, and what was read of them. */
interface Page {
  readonly localRoots: Map<string, string>;
  left: Left | undefined;
}

/** It ran sessions, and is not heard from. */
function isLapsed({ isAlive, runsSessions }: ReturnType<typeof processesIn>[number]): boolean {
  return !isAlive && runsSessions;
}

/** Adds one that is new last; those that are forgotten for it. */
function remembered(sessions: Set<string>, session: string): readonly string[] {
  sessions.delete(session);
  sessions.add(session);
  if (sessions.size <= mostRemembered) return [];
  const [oldest] = sessions;
  sessions.delete(oldest!);
  return [oldest!];
}

function isIn(localRoots: ReadonlyMap<string, string>): (localRoot: string, root: string) => boolean {
  return (localRoot, root) => localRoots.get(localRoot) === root;
}

/** It is another store, or another process has the session. Memory, for one, may be there again later. */
function isForGood({ code }: ServerRefusal): boolean {
  return code === 'OTHERSTORE' || code === 'TAKEN';
}

/** What the server refuses is a failure of the store, whatever it is. */
export function refused(error: unknown): never {
  if (error instanceof ServerRefusal) throw new RuntimeError('store_failed', `Redis refused: ${error.message}`, { cause: error });
  throw error;
}
