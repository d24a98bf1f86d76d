// redis-store.ts: state for processes on several machines: a Redis that they share.
//
// Stops are joined in one hash, and told through one stream that every process reads from the last id on. A process may act only
// while it holds its lease and has taken in every stop that there was when it renewed it; so whoever cannot be reached refuses by itself.
// docs/redis.md names every key, and what happens when Redis is lost.

import { hostname } from 'node:os';
import {
  type BudgetStore,
  type ControlHandler,
  type GrantStore,
  type JournalRecord,
  type KeptReading,
  mintId,
  parseStopKey,
  type Receipt,
  type ReceiptPart,
  type Resolution,
  RuntimeError,
  type Standing,
  type StateStore,
  type StopDetails,
  type StopToGoOn,
  type StoreChange,
  type StoredStop,
  type StoreHealth,
  type StoreOpening,
} from '@offswitch/runtime';
import { Asked, answerTo } from './asking.ts';
import { atMost } from './at-most.ts';
import { RedisAudit } from './audit.ts';
import { RedisBudgets } from './budgets.ts';
import { linksToOwner } from './connection/cluster.ts';
import type { Reply } from './connection/link.ts';
import { textOf, Wire } from './connection/wire.ts';
import { RedisGrants } from './grants.ts';
import { type Fields, Hearing, type Position } from './hearing.ts';
import { RedisLineage, refused } from './lineage.ts';
import { Membership } from './membership.ts';
import { invalid, type RedisStoreOptions, type Settings, settingsOf } from './options.ts';
import { Outbox } from './outbox.ts';
import { placeOf } from './place.ts';
import { Receipts } from './receipts.ts';
import { stateOf } from './registry.ts';
import { checkServer } from './server-check.ts';
import { KnownStops, type Mark, markOf, missingIn, sideLetter, stopsOf } from './stops.ts';
import { Trusted } from './trusted.ts';
import { parsed, Unreadable } from './unreadable.ts';
import { Watchers } from './watchers.ts';
import { readWhole, type Whole } from './whole.ts';
import { Words } from './words.ts';

/** How often everything is read again and compared, although nothing seems to be missing. Milliseconds. */
const compareMs = 30_000;

const nothing: Whole = { marks: [], assumed: [], spoiled: [], words: [] };

/** Throws `invalid_option` for options that cannot be meant. */
export function redisStore(options: RedisStoreOptions): StateStore {
  return new RedisStore(options);
}

class RedisStore implements StateStore {
  readonly name = 'redis';
  readonly location: string;
  readonly processId: string = mintId('p');
  readonly lineage: RedisLineage;
  readonly grants: GrantStore;
  readonly budgets: BudgetStore;
  readonly audit: RedisAudit;
  readonly forensics: RedisAudit;
  private readonly settings: Settings;
  private readonly control: Wire;
  private readonly bulk: Wire;
  /** What may take long to read, so that nothing that is written waits behind it, nor the notice that a connection has gone silent. */
  private readonly reading: Wire;
  private readonly hearing: Hearing;
  private readonly membership: Membership;
  private readonly outbox: Outbox;
  private readonly receiptStore: Receipts;
  private readonly trusted: Trusted;
  private readonly known = new KnownStops();
  private readonly words = new Words();
  private readonly asked = new Asked();
  private readonly watchers = new Watchers();
  private phase: 'new' | 'open' | 'closed' = 'new';
  private closing: Promise<void> | undefined;
  private handler: ControlHandler | undefined;
  private keepAlive: NodeJS.Timeout | undefined;
  private compareTimer: NodeJS.Timeout | undefined;
  private outboxWhy: string | undefined;
  private memoryWhy: string | undefined;
  private readonly unreadable = new Unreadable(() => this.announce());
  private toldHealth = '{"state":"ok"}';
  private joining: Promise<Whole> | undefined;
  /** To be let in. */
  private hasAsked = false;
  /** A mark that is known here could not be written. */
  private isBehind = false;

  constructor(options: RedisStoreOptions) {
    const settings = settingsOf(options);
    const { prefix, timeoutMs } = settings;
    this.settings = settings;
    this.location = placeOf(options, prefix);
    const open = linksToOwner(options, prefix);
    const wire = { open, timeoutMs, prefix, where: this.location };
    this.control = new Wire({ ...wire, onUp: () => void this.isBack(), onDown: () => this.announce() });
    this.bulk = new Wire({ ...wire, onUp: () => this.outbox.retry() });
    this.reading = new Wire(wire);
    this.hearing = new Hearing({
      open,
      timeoutMs,
      stream: `${prefix}:{ctl}:ev`,
      inbox: `${prefix}:{ctl}:in:${this.processId}`,
      onEvents: (events) => this.heard(events),
      onInbox: (fields) => this.heardAlone(fields),
      readAll: async () => {
        const position = await this.compare();
        // That a process is gone is told by an event alone, and what it left may be credentials.
        this.tell({ isOrphaned: true });
        return position;
      },
      onPosition: ({ id, life }, link) =>
        void this.control.fn('seen', [this.processId, id, life], timeoutMs, link).then(
          (now) => this.hearing.isIn(String(now)),
          () => {},
        ),
      onLife: () => {
        void this.lineage.registerAgain();
        this.outbox.probe();
        this.tell({ isSetBack: true });
      },
    });
    this.membership = new Membership({
      settings,
      wire: this.control,
      hearing: () => this.hearing,
      process: this.processId,
      info: () => this.info(),
      tell: (change) => this.tell(change),
      onLapsed: (awayMs) => this.lineage.loseOthers(awayMs),
      onOther: (id) => this.isOther(id),
      onUnjoined: () => void this.isBack(),
      onRenewed: () => this.lineage.heard(),
      onChange: () => {
        this.outbox.retry();
        this.writeLeft();
        this.announce();
      },
    });
    this.outbox = new Outbox({
      wire: this.bulk,
      process: this.processId,
      timeoutMs,
      // One attempt to connect may be lost in a dead link; after the lease everything is held anyway.
      flushWithinMs: settings.leaseMs,
      maxBytes: settings.maxQueuedBytes,
      retentionMs: settings.retentionMs,
      gen: () => this.membership.gen,
      onLost: (localRoots) => this.lineage.lose(localRoots),
      onLoss: () => this.lineage.registerAgain(),
      onTrouble: (why) => {
        this.outboxWhy = why;
        this.announce();
      },
    });
    this.receiptStore = new Receipts({ writing: this.bulk, reading: this.reading, prefix, process: this.processId });
    this.audit = new RedisAudit(this.bulk, prefix, settings.retentionMs, () => this.trusted.mustBeOurs());
    this.forensics = this.audit;
    this.grants = new RedisGrants({
      wire: this.bulk,
      prefix,
      process: this.processId,
      mustBeOpen: () => this.mustBeUsable(),
      storeId: () => this.trusted.ownId,
      living: () => this.lineage.living(),
      unreadable: this.unreadable,
    });
    this.budgets = new RedisBudgets({
      wire: this.bulk,
      prefix,
      process: this.processId,
      membership: this.membership,
      mustBeOpen: () => this.mustBeUsable(),
      retentionMs: settings.retentionMs,
    });
    this.trusted = new Trusted({
      anchor: settings.anchor,
      prefix,
      location: this.location,
      joined: () => this.membership.storeId,
      stops: () => this.known.all(),
      onOther: () => this.announce(),
    });
    this.lineage = new RedisLineage({
      settings,
      process: this.processId,
      control: this.control,
      bulk: this.bulk,
      reading: this.reading,
      hearing: () => this.hearing,
      membership: this.membership,
      outbox: this.outbox,
      mustBeOpen: () => this.mustBeOpen(),
      whyCutOff: () => this.whyCutOff(),
      tell: (change) => this.tell(change),
      onCutOff: () => this.announce(),
    });
  }

  get health(): StoreHealth {
    const failed = this.whyCutOff() ?? this.outboxWhy;
    if (failed !== undefined) return { state: 'failed', why: failed };
    const warnings = [this.memoryWhy, this.unreadable.why].filter((why) => why !== undefined);
    return warnings.length === 0 ? { state: 'ok' } : { state: 'memory', why: warnings.join('; ') };
  }

  async open({ runsSessions = false } = {}): Promise<StoreOpening> {
    if (this.phase !== 'new') throw invalid('a store is opened once; make another');
    this.runsSessions = runsSessions;
    this.phase = 'open';
    this.known.learn((await this.trusted.read())?.marks ?? [], false);
    try {
      this.memoryWhy = await checkServer(this.control, this.location, this.settings.prefix);
      const whole = await this.join();
      this.mustBeOpen();
      const opening = await this.openingIn(whole);
      this.mustBeOpen();
      this.begin();
      return opening;
    } catch (error) {
      this.mustBeOpen();
      if (RuntimeError.is(error) && error.code === 'invalid_option') {
        await this.close();
        throw error;
      }
      this.membership.lastTrouble = textOf(error);
      // Nothing is known of what runs and what is stopped, so nothing may: it is taken up when Redis answers.
      this.begin();
      return { stops: this.known.all(), resolutions: [], readings: [], claims: [], journals: [] };
    }
  }

  async mark(key: string, side: 'engaged' | 'released', n: number, details: StopDetails): Promise<void> {
    this.mustBeOpen();
    if (!parseStopKey(key)) throw invalid(`${JSON.stringify(key)} is no stop's key; make it with formatStopKey`);
    if (!Number.isSafeInteger(n) || n < 0) throw invalid(`a mark's n is a non-negative safe integer, not ${n}`);
    const mark: Mark = { key, side, n, details };
    // Known from here on, so that it is written again where Redis loses it.
    this.known.learn([mark], false);
    this.trusted.keep();
    await this.write(mark).catch(refused);
    this.known.learn([mark], true);
  }

  async stops(): Promise<readonly StoredStop[]> {
    const { marks, assumed } = await this.control
      .fn('sync')
      .then((head) => this.wholeOf(head as Reply[]))
      .catch(refused);
    this.trusted.mustBeOurs();
    return stopsOf([...marks, ...assumed]);
  }

  append(root: string, record: JournalRecord): void {
    if (this.phase !== 'open') this.mustBeOpen();
    // A copy that was abandoned may still have a word to say, and its graph is not known by its first session any more.
    if (this.lineage.isLost(root)) return;
    // The runtime knows graphs by their first session here; a graph's journal is one, whoever writes it. What is written of a session that is not
    // registered yet is refused with its graph, too, once that is another's (I6).
    this.outbox.push({
      fn: 'journal',
      root: this.lineage.rootOf(root),
      localRoot: root,
      args: [JSON.stringify(record)],
      isEnd: record.t === 'settled',
    });
  }

  async flush(): Promise<void> {
    this.mustBeOpen();
    await this.outbox.flush();
  }

  claim(session: string, epoch: number): boolean {
    return this.lineage.claim(session, epoch);
  }

  forget(root: string): void {
    this.mustBeOpen();
    // What came from another process is forgotten with its graph.
    if (this.lineage.rootOf(root) !== root) return;
    this.outbox.push({ fn: 'forget', root, localRoot: this.lineage.localRootOf(root), args: [] });
  }

  async resolve(resolution: Resolution): Promise<boolean> {
    this.mustBeUsable();
    // Where that cannot be told soon the word is kept for good: nobody waits for it.
    const root = await atMost(this.lineage.rootAbove(resolution.session), this.settings.timeoutMs).catch(() => undefined);
    const args = [this.trusted.ownId, Words.key(resolution), JSON.stringify(resolution), root ?? '', resolution.session];
    const isFirst = (await this.control.fn('resolve', args).catch(refused)) === 1;
    if (isFirst) this.words.said(resolution);
    return isFirst;
  }

  async writeReceipt(receipt: ReceiptPart): Promise<void> {
    this.mustBeUsable();
    await this.receiptStore.write(receipt).catch(refused);
  }

  async receipts(unread?: (what: string) => void): Promise<readonly Receipt[]> {
    return this.receiptStore.all(await this.standing(), unread).catch(refused);
  }

  async receiptsToGoOn(stops: readonly StopToGoOn[]): Promise<ReadonlyMap<string, Receipt | undefined>> {
    return this.receiptStore.toGoOn(stops, await this.standing()).catch(refused);
  }

  private async standing(): Promise<Standing> {
    this.mustBeUsable();
    const [standing, kept] = await Promise.all([this.lineage.standing(), this.grants.list()]);
    return { ...standing, grants: kept.map(({ record }) => record), stopOf: (key) => this.known.get(key) };
  }

  async keepReadings(readings: readonly KeptReading[]): Promise<void> {
    await this.keep('readings', readings);
  }

  async writeDocument(name: 'switches', value: unknown): Promise<void> {
    await this.keep(`document:${name}`, value);
  }

  private async keep(name: string, value: unknown): Promise<void> {
    this.mustBeUsable();
    await this.bulk.fn('keep', [this.trusted.ownId, name, JSON.stringify(value)]).catch(refused);
  }

  async readDocument(name: 'switches'): Promise<unknown> {
    return (await this.one(this.key(`document:${name}`), () => true))[0];
  }

  watch(listener: (change: StoreChange) => void): () => void {
    this.mustBeOpen();
    return this.watchers.add(listener);
  }

  async serve(handler: ControlHandler, options: { readonly keepsAlive?: boolean } = {}): Promise<string> {
    this.mustBeOpen();
    this.handler = handler;
    if (options.keepsAlive ?? true) this.keepAlive ??= setInterval(() => {}, 2_147_483_647);
    await this.membership.renew();
    return `${this.location} ${this.processId}`;
  }

  close(): Promise<void> {
    this.closing ??= this.closeOnce();
    return this.closing;
  }

  private async closeOnce(): Promise<void> {
    this.phase = 'closed';
    this.watchers.clear();
    clearInterval(this.keepAlive);
    clearInterval(this.compareTimer);
    // The lease first of all is kept until everything is written: what is written after it would be refused.
    await this.outbox.close();
    this.membership.close();
    this.hearing.close();
    // Also where the answer is still awaited: it may be joined by now.
    if (this.hasAsked && this.control.trouble === undefined) await this.control.fn('leave', [this.processId]).catch(() => {});
    this.control.close();
    this.bulk.close();
    this.reading.close();
    await this.trusted.settle();
  }

  private isBegun = false;
  private begin(): void {
    const { membership, hearing } = this;
    this.isBegun = true;
    membership.start();
    hearing.start(this.from);
    this.compareTimer = setInterval(() => void this.compare().catch(() => {}), compareMs);
    this.compareTimer.unref();
    this.toldHealth = JSON.stringify(this.health);
  }

  private from: Position | undefined;

  /** Joins the store, or finds that it is another one than the one that was known. One at a time. */
  private join(): Promise<Whole> {
    this.joining ??= this.joinOnce().finally(() => {
      this.joining = undefined;
    });
    return this.joining;
  }

  private async joinOnce(): Promise<Whole> {
    const sentAt = this.membership.instant();
    const { leaseMs, founds } = this.settings;
    const args = [this.processId, this.info(), leaseMs, this.trusted.idToJoin, founds ? mintId('r') : ''];
    this.hasAsked = true;
    const head = (await this.control.fn('join', args)) as Reply[];
    const [id, tail, seq, life, gen] = head;
    // Before it is joined: whoever may go on has taken everything in.
    const whole = await this.wholeOf(head);
    this.from = { id: String(tail), seq: Number(seq), life: String(life) };
    this.outbox.joined(String(life));
    // Whoever listens already is told before it may go on.
    const before = this.isBegun ? this.learn(whole) : [];
    if (before.length > 0) this.tell({ stops: before });
    if (gen === '') this.isOther(String(id));
    else this.membership.joined(sentAt, String(id), String(gen));
    return whole;
  }

  private async openingIn(whole: Whole): Promise<StoreOpening> {
    const before = this.known.snapshot();
    this.learn(whole);
    this.writeMissing([...missingIn(before, whole.marks), ...whole.assumed]);
    this.trusted.keep();
    const resolutions = this.newWords(whole.words, []);
    // Without them switches are read before anything begins (S5); what else there is must not be lost with them.
    const readings = this.trusted.isForeign
      ? []
      : await this.one<KeptReading[]>(this.key('readings'), Array.isArray).catch(() => []);
    // What processes that are gone left is not ours before it was adopted, and is read then.
    return { stops: this.known.all(), resolutions, readings: readings[0] ?? [], claims: [], journals: [] };
  }

  /** Connected again: what is missing on either side is made good. */
  private async isBack(): Promise<void> {
    if (this.phase !== 'open' || !this.isBegun) return;
    try {
      // Where Redis did not answer when the store was opened, or refused.
      if (this.membership.storeId === '' && this.trusted.otherWhy === undefined) {
        this.memoryWhy = await checkServer(this.control, this.location, this.settings.prefix);
        // Another try may have come first, and this process acts since: who joins has taken in all that there is.
        if (this.membership.storeId === '') await this.join();
        this.trusted.keep();
      }
      await this.membership.renew();
      await this.compare();
      this.outbox.retry();
    } catch (error) {
      this.membership.lastTrouble = textOf(error);
    }
    this.announce();
  }

  /** Reads everything, tells what is new of it, and writes what is missing there. */
  private async compare(): Promise<Position> {
    const before = this.known.snapshot();
    const told = this.words.toldOf();
    const head = (await this.control.fn('sync')) as Reply[];
    const [, tail, seq, life] = head;
    const whole = await this.wholeOf(head);
    const news = this.learn(whole);
    const resolutions = this.newWords(whole.words, told);
    const missing = missingIn(before, whole.marks);
    // What another system does not hold nobody has removed.
    const lost = this.trusted.isForeign ? [] : missing.filter((one) => one.isLost);
    if (news.length > 0 || resolutions.length > 0 || lost.length > 0)
      this.tell({
        ...(news.length > 0 ? { stops: news } : {}),
        ...(lost.length > 0 ? { lost: stopsOf(lost) } : {}),
        ...(resolutions.length > 0 ? { resolutions } : {}),
      });
    this.writeMissing([...missing, ...whole.assumed]);
    if (news.length > 0) this.trusted.keep();
    return { id: String(tail), seq: Number(seq), life: String(life) };
  }

  /** What there is to be learned. Of a store that another system uses that is nothing, as nothing is written there (lua/stops.ts). */
  private async wholeOf(head: readonly Reply[]): Promise<Whole> {
    this.trusted.answered(String(head[0]));
    return this.trusted.isForeign ? nothing : readWhole(this.control, this.settings.prefix, head);
  }

  private learn({ marks, assumed, spoiled }: Whole): StoredStop[] {
    this.unreadable.note(this.key('stops'), spoiled);
    return [...this.known.learn(marks, true), ...this.known.learn(assumed, false)];
  }

  private writeMissing(missing: readonly Mark[]): void {
    if (this.trusted.isForeign) return;
    for (const mark of missing)
      this.write(mark)
        .then(() => this.known.learn([mark], true))
        .catch(() => {});
  }

  /** A connected server that was busy has refused a stop: it is not waited with until everything is compared. */
  private writeLeft(): void {
    if (!this.isBehind || this.membership.isOut) return;
    this.isBehind = false;
    this.compare().catch(() => {
      this.isBehind = true;
    });
  }

  private async write({ key, side, n, details }: Mark): Promise<Reply> {
    const args = [this.processId, key, sideLetter[side], n, JSON.stringify(details ?? null), this.trusted.ownId];
    try {
      return await this.control.fn('mark', args);
    } catch (error) {
      this.isBehind = true;
      throw error;
    }
  }

  private heard(events: readonly Fields[]): void {
    if (this.trusted.isForeign) return;
    const marks: Mark[] = [];
    const resolutions: Resolution[] = [];
    let isOrphaned = false;
    for (const fields of events) {
      const text = fields.get('d') ?? '';
      if (fields.get('t') === 'stop') {
        const mark = markOf(fields.get('k') ?? '', fields.get('s'), fields.get('n') ?? '', text);
        if (mark) marks.push(mark);
      } else if (fields.get('t') === 'word') resolutions.push(...this.words.newOne(text));
      else if (fields.get('t') === 'gone') isOrphaned = true;
    }
    const stops = this.known.learn(marks, true);
    if (stops.length > 0) this.trusted.keep();
    if (stops.length > 0 || resolutions.length > 0 || isOrphaned)
      this.tell({
        ...(stops.length > 0 ? { stops } : {}),
        ...(resolutions.length > 0 ? { resolutions } : {}),
        ...(isOrphaned ? { isOrphaned } : {}),
      });
  }

  private heardAlone(fields: Fields): void {
    if (fields.get('t') === 'ask' && this.handler) {
      if (!this.asked.isNew(fields.get('i') ?? '')) return;
      void answerTo(this.control, fields, this.handler, { process: this.processId, pid: process.pid });
    } else if (fields.get('t') === 'all') {
      const living = new Set(fields.get('l')?.split(' '));
      this.lineage.haveAll({ id: fields.get('i') ?? '0-0', life: fields.get('f') ?? '', living });
    } else if (fields.get('t') === 'child') {
      const news = parsed<Readonly<Record<'parent' | 'call' | 'child' | 'state', string>>>(fields.get('d') ?? '', isChildNews);
      if (news) this.tell({ children: [{ ...news, state: stateOf(news.state) }] });
    }
  }

  private newWords(words: Whole['words'], before: readonly string[]): Resolution[] {
    return this.words.newIn(words, before, this.key('resolutions'), this.unreadable);
  }

  /** What one key holds, if it can be read. */
  private async one<T>(key: string, isOne: (value: Readonly<Record<string, unknown>>) => boolean): Promise<T[]> {
    const text = await this.bulk.call(['GET', key]).catch(refused);
    return this.unreadable.readable<T>(key, text === null ? [] : [['', String(text)]], isOne);
  }

  private isOther(id: string): void {
    this.trusted.refused(id);
    // Where it has lost its data the stops that are known here are wanted there all the same.
    this.compare()
      .then((position) => this.hearing.reread(position))
      .catch(() => {});
  }

  private whyCutOff(): string | undefined {
    if (this.trusted.otherWhy !== undefined) return this.trusted.otherWhy;
    if (!this.membership.isOut) return undefined;
    this.wasSeenOut = true;
    const why = this.control.trouble ?? this.membership.lastTrouble;
    return `${this.location} was not heard from for ${this.settings.leaseMs} ms${why === undefined ? '' : ` (${why})`}; everything is held until it is`;
  }

  /** Whoever saw it holds, and waits to be told that it is over: a clock that is set may let it run out for a moment that is never announced. */
  private wasSeenOut = false;

  private runsSessions = false;
  private info(): string {
    const { handler, runsSessions } = this;
    return JSON.stringify({
      name: `${hostname()} pid ${process.pid}`,
      pid: process.pid,
      serves: handler !== undefined,
      runsSessions,
    });
  }

  private announce(): void {
    const { health } = this;
    const now = JSON.stringify(health);
    const isBack = this.wasSeenOut && !this.membership.isOut;
    if ((now === this.toldHealth && !isBack) || this.phase !== 'open') return;
    this.toldHealth = now;
    if (isBack) this.wasSeenOut = false;
    this.tell({ health });
  }

  private tell(change: StoreChange): void {
    if (this.phase === 'open') this.watchers.tell(change);
  }

  private key(name: string): string {
    return `${this.settings.prefix}:{ctl}:${name}`;
  }

  private mustBeUsable(): void {
    this.mustBeOpen();
    this.trusted.mustBeOurs();
  }

  private mustBeOpen(): void {
    if (this.phase === 'open') return;
    throw this.phase === 'closed'
      ? new RuntimeError('closed', `the store in ${this.location} was closed`)
      : invalid('open the store first');
  }
}

function isChildNews({ parent, call, child, state }: Readonly<Record<string, unknown>>): boolean {
  return [parent, call, child, state].every((one) => typeof one === 'string');
}
