// grants.ts: the credentials of this process's sessions: lent to a tool that asks, taken back when its session is terminated,
// rests or ends, and when the process that lent them is gone.
//
// Under a pause access is taken back once the session is at rest, and lent anew when it goes on. A terminate takes it back at
// once: an agent that is stopped because it is compromised must not finish its call with a credential that works.

import { type Call, never } from '../call.ts';
import type { Clock } from '../clock.ts';
import { RuntimeError } from '../error.ts';
import type { Graph } from '../graph.ts';
import type { Node } from '../node.ts';
import type { Order } from '../order.ts';
import type { LiveSession } from '../session.ts';
import { subjectKey } from '../stop-key.ts';
import type { StateStore } from '../store.ts';
import type { CredentialBroker } from './broker.ts';
import { type GrantRecord, isOver } from './grant-record.ts';
import { checkBroker, wantedOf } from './grant-request.ts';
import { Ledger } from './ledger.ts';
import { findLeftBehind, type LeftBehind } from './left-behind.ts';
import { clockSkewMs, type Grant, type GrantRequest, grantOf, type Lent, leftMs } from './lent.ts';
import { doubtful, mint, newGrant, notAsked, type ToAsk, type Wanted, written } from './mint.ts';
import { parentGrant } from './parent-grant.ts';
import { Revoker } from './revoker.ts';

/** A grant with less than this share of its time left is not lent again: a new one is. */
const renewalShare = 0.2;
/** And at most this much of it. Milliseconds. */
const renewalMs = 60_000;
/** Node's timers hold 32 bits. Milliseconds. */
const longestWaitMs = 3_600_000;
/** Where the store did not write a grant down although it is well, it is asked again: so soon, then twice as late each time, up to the latter. Milliseconds. */
const mintAgainMs = 250;
const mintAgainAtMostMs = 4_000;
/** Reading what others left in the store is tried again. Milliseconds. */
const readAgainMs = 5_000;

/** What of the runtime this needs. */
export interface GrantsHost {
  readonly clock: Clock;
  readonly store: StateStore;
  readonly isClosed: boolean;
  readonly graphOf: ReadonlyMap<string, Graph>;
  decide(node: Node): { readonly action: string; readonly stopId?: string };
  alarm(message: string, isActive: boolean): void;
  /** A grant is in another state. */
  grantChanged(record: GrantRecord): void;
}

/** One credential on its way, and the calls that wait for it. */
interface Minting {
  readonly calls: Set<Call>;
  readonly done: Promise<Lent | 'nothing'>;
}

export class Grants {
  private readonly host: GrantsHost;
  private readonly brokers: ReadonlyMap<string, CredentialBroker>;
  private readonly ledger: Ledger;
  private readonly revoker: Revoker;
  private readonly minting = new Map<string, Minting>();
  /** What could not be written down, so that no broker is asked for it yet. */
  private readonly unwritten = new Set<Minting['calls']>();
  private readonly waiting = new Set<() => void>();
  private timer: unknown;
  private timerAt = Number.POSITIVE_INFINITY;
  /** The store could not be read: what others left is looked for again then. By the clock that is never set, in milliseconds. */
  private readAt = Number.POSITIVE_INFINITY;
  private reading: Promise<void> = Promise.resolve();
  private nextReading: Promise<void> | undefined;

  constructor(host: GrantsHost, brokers: Readonly<Record<string, CredentialBroker>>, random: () => number = Math.random) {
    this.host = host;
    this.brokers = new Map(Object.entries(brokers));
    for (const [name, broker] of this.brokers) checkBroker(name, broker);
    if (this.brokers.size > 0 && !host.store.grants)
      throw new RuntimeError('invalid_option', `the store ${host.store.name} keeps no grants, so no broker can be used with it`);
    const onAlarm = (message: string, isActive: boolean): void => host.alarm(message, isActive);
    this.ledger = new Ledger({
      clock: host.clock,
      store: host.store.grants,
      onAlarm,
      onDue: (at) => this.dueAt(at),
      onChange: (lent) => {
        host.grantChanged(lent.record);
        this.dueAt(this.nextOf(lent));
      },
    });
    this.revoker = new Revoker({ clock: host.clock, ledger: this.ledger, onAlarm, random, onDue: (at) => this.dueAt(at) });
  }

  /** A credential for a call's body. Never settles for a session that may not go on. */
  async ask(call: Call, name: string, request: GrantRequest = {}): Promise<Grant> {
    const { session } = call;
    const wanted = wantedOf(this.brokers, name, request);
    let fresh: Lent | undefined;
    for (;;) {
      if (this.host.isClosed || !session.mayGoOn()) return never();
      if (call.outcome !== undefined)
        throw new RuntimeError(
          'turn_ended',
          `${call.name} of session ${session.id} has ended; no credential is lent to it any more`,
        );
      // A process that others may count as gone hands out nothing, not even what it has: its sessions may be stopped by now.
      if (this.mustWait || session.staysAtRest()) {
        await this.woken();
        fresh = undefined;
        continue;
      }
      // Looked up and handed out in one step after the checks, so that no stop fits between.
      // What was lent just now is, however short its time: else there would be another, and another.
      const lent = this.usable(session.id, wanted) ?? (fresh?.record.state === 'active' ? fresh : undefined);
      if (lent) return grantOf(lent);
      // What it could not have now it may have later: the checks above say.
      fresh = await this.minted(call, wanted);
    }
  }

  /** Decisions changed: terminated sessions lose their grants now, and who waits looks again. */
  reconsider(): void {
    this.wake();
    if (this.ledger.size === 0) return;
    const terminated = new Map<string | undefined, Lent[]>();
    for (const session of this.ledger.sessions) {
      const node = this.host.graphOf.get(session)?.get(session)?.node;
      const decision = node && this.host.decide(node);
      if (decision?.action !== 'terminate') continue;
      const lents = terminated.get(decision.stopId) ?? [];
      lents.push(...this.ledger.of(session));
      terminated.set(decision.stopId, lents);
    }
    for (const [stopId, lents] of terminated) this.revoker.take(lents, stopId);
  }

  /** The session rests. */
  rested(session: LiveSession): void {
    if (this.ledger.size === 0) return;
    this.revoker.take([...this.ledger.of(session.id)].filter(({ broker }) => broker?.whilePaused !== 'keep'));
  }

  /** The session ended, or is another process's now. */
  left(session: string, stopId?: string): void {
    if (this.ledger.size === 0) return;
    this.revoker.take(this.ledger.of(session), stopId);
  }

  /** Takes back what processes that are gone had lent: nobody else does, and nobody has the secrets. */
  takeOver(): Promise<void> {
    // One after the other: a process may die while the store is being read for an earlier one. What has not begun serves all who ask until it does.
    this.nextReading ??= this.reading.then(() => {
      this.nextReading = undefined;
      this.reading = this.read();
      return this.reading;
    });
    return this.nextReading;
  }

  /** The store may have lost what it took last. */
  writeAgain(): void {
    this.ledger.writeAgain();
  }

  /** What is lent to one session, by reference. */
  of(session: string): GrantRecord[] {
    return [...this.ledger.of(session)].map(({ record }) => record);
  }

  /** The grants that are this stop's to tell of, as they are known now. */
  *told(order: Order): Generator<Lent> {
    if (this.ledger.size === 0) return;
    for (const lent of this.ledger.all()) if (isOf(order, lent.record)) yield lent;
  }

  /** Is there one that lives, and of which more can be said than how long it still does? */
  isAnyOpen(order: Order): boolean {
    for (const { record, broker, isFinal } of this.told(order)) {
      if (isOver(record) || record.state === 'irrevocable' || isFinal) continue;
      if (record.state !== 'active' || broker?.whilePaused !== 'keep') return true;
    }
    return false;
  }

  /** Takes back what is lent, as far as the brokers answer in time; the rest is for the next process. */
  async close(): Promise<void> {
    this.host.clock.clearTimeout(this.timer);
    this.wake();
    this.revoker.take(this.ledger.all());
    // What comes now is taken back as well: of some only this process will ever know by what.
    await Promise.allSettled([...this.minting.values()].map(({ done }) => done));
    await this.revoker.close();
    await this.ledger.settle();
    this.host.clock.clearTimeout(this.timer);
    await Promise.allSettled([...this.brokers.values()].map((broker) => broker.close?.()));
  }

  /** The store must be there before a credential is, and a process that counts as gone lends nothing. */
  private get mustWait(): boolean {
    const { store } = this.host;
    return store.health.state === 'failed' || store.lineage?.isCutOff() === true;
  }

  private woken(): Promise<void> {
    return new Promise((resolve) => this.waiting.add(resolve));
  }

  private wake(): void {
    for (const wake of this.waiting) wake();
    this.waiting.clear();
  }

  private usable(session: string, { key }: Wanted): Lent | undefined {
    const now = this.host.clock.now();
    for (const lent of this.ledger.of(session)) {
      if (lent.key !== key || lent.record.state !== 'active' || lent.secret === undefined) continue;
      if (lent.lentUntil - now > Math.min(renewalMs, renewalShare * (lent.lentUntil - lent.record.at))) return lent;
    }
    return undefined;
  }

  /** One at a time for a session and what it asks for. */
  private async minted(call: Call, wanted: Wanted): Promise<Lent | undefined> {
    const { session } = call;
    const key = `${session.id}\n${wanted.key}`;
    let one = this.minting.get(key);
    if (!one) {
      const calls = new Set<Call>();
      one = { calls, done: this.mintFor(session, wanted, calls).finally(() => this.minting.delete(key)) };
      this.minting.set(key, one);
    }
    one.calls.add(call);
    try {
      const lent = await one.done;
      return lent === 'nothing' ? undefined : lent;
    } catch (error) {
      if (session.mayGoOn() && !this.mustWait) throw error;
      return undefined;
    }
  }

  /** One record, tried until the store has it, or nobody waits for it; only then is the broker asked. */
  private async mintFor(session: LiveSession, wanted: Wanted, calls: Set<Call>): Promise<Lent | 'nothing'> {
    this.ledger.tidy();
    const { clock, store } = this.host;
    const options = { clock, ledger: this.ledger, revoker: this.revoker, process: store.processId };
    const isWanted = (): boolean =>
      !this.host.isClosed && session.mayGoOn() && [...calls].some(({ outcome }) => outcome === undefined);
    const asker = {
      id: session.id,
      path: session.path,
      mayGoOn: () => !this.host.isClosed && !this.mustWait && session.mayGoOn() && !session.staysAtRest(),
    };
    let lent: Lent | undefined;
    let toAsk: ToAsk | undefined;
    for (let pauseMs = mintAgainMs; !toAsk; pauseMs = Math.min(2 * pauseMs, mintAgainAtMostMs)) {
      try {
        const isElsewhere = session.path.some((id) => this.host.graphOf.get(id) === undefined);
        const others = isElsewhere ? ((await store.grants?.list(session.rootId)) ?? []) : [];
        const parent = parentGrant(session.path, wanted.name, this.ledger, others, clock.now());
        lent ??= newGrant(options, asker, wanted);
        toAsk = await written(options, wanted, lent, parent);
      } catch (error) {
        this.refused(calls, error);
        const at = clock.monotonic() + pauseMs;
        while (isWanted() && clock.monotonic() < at) {
          this.dueAt(at);
          await this.woken();
        }
        if (isWanted()) continue;
        this.taken(calls);
        if (lent) notAsked(options, lent, 'its record could not be written, so the broker was not asked');
        return 'nothing';
      }
    }
    this.taken(calls);
    return mint(options, asker, wanted, toAsk);
  }

  /** The store has not taken in what is to be lent. */
  private refused(calls: Minting['calls'], error: unknown): void {
    if (this.unwritten.size === 0)
      this.host.alarm(
        `a credential is not lent before it is written down, which fails; it is tried again: ${String(error)}`,
        true,
      );
    this.unwritten.add(calls);
  }

  /** It has, or nobody wants it any more. */
  private taken(calls: Minting['calls']): void {
    if (this.unwritten.delete(calls) && this.unwritten.size === 0)
      this.host.alarm('what is to be lent is written down again, or not wanted any more', false);
  }

  private async read(): Promise<void> {
    const { store, clock } = this.host;
    if (!store.grants || this.host.isClosed) return;
    this.readAt = Number.POSITIVE_INFINITY;
    let found: LeftBehind;
    try {
      found = await findLeftBehind(store.grants, this.ledger, this.brokers, clock);
    } catch (error) {
      if (this.host.isClosed) return;
      this.host.alarm(`the grants in the store could not be read, so those of dead processes live on: ${String(error)}`, true);
      this.readAt = clock.monotonic() + readAgainMs;
      this.dueAt(this.readAt);
      return;
    }
    const missing = [...found.unknown].join(', ');
    if (missing !== '')
      this.host.alarm(`credentials that a dead process had lent wait for a process that has these brokers: ${missing}`, true);
    for (const lent of found.left) {
      const { record } = lent;
      if (record.state === 'issuing') doubtful({ revoker: this.revoker }, lent, 'its process is gone');
      else if (record.state === 'active') this.revoker.take([lent]);
      else if (!isOver(record)) this.revoker.again(lent);
    }
    this.tick();
  }

  /** When something has to be done about it, by the clock that is never set. Milliseconds. */
  private nextOf(lent: Lent): number {
    const { clock } = this.host;
    const { record, broker, isFinal, dueAt } = lent;
    if (isOver(record)) return Number.POSITIVE_INFINITY;
    if (!broker || isFinal) return clock.monotonic() + leftMs(lent, clock);
    return record.state === 'active' ? clock.monotonic() + takenAt(lent) - clock.now() : (dueAt ?? Number.POSITIVE_INFINITY);
  }

  private dueAt(at: number): void {
    if (at >= this.timerAt || this.host.isClosed) return;
    this.host.clock.clearTimeout(this.timer);
    this.timerAt = at;
    const waitMs = Math.min(longestWaitMs, Math.max(0, at - this.host.clock.monotonic()));
    this.timer = this.host.clock.setTimeout(() => this.tick(), waitMs);
  }

  /** What is due: tries again, takes back what was lent for less time than it lives, and what ran out by our clock alone; lets the rest run out. */
  private tick(): void {
    this.host.clock.clearTimeout(this.timer);
    this.timerAt = Number.POSITIVE_INFINITY;
    if (this.host.isClosed) return;
    const now = this.host.clock.monotonic();
    this.wake();
    if (this.readAt <= now) void this.takeOver();
    this.ledger.saveAgain();
    this.ledger.tidy();
    let next = Math.min(this.ledger.dueAt, this.readAt);
    for (const lent of this.ledger.all()) {
      const { record, broker, isFinal } = lent;
      if (isOver(record)) continue;
      if (!broker || isFinal) {
        if (leftMs(lent, this.host.clock) <= 0) this.revoker.ranOut(lent);
      } else if (record.state === 'active') {
        if (takenAt(lent) <= this.host.clock.now()) this.revoker.take([lent]);
      } else if (lent.dueAt !== undefined && lent.dueAt <= now) this.revoker.again(lent);
      next = Math.min(next, this.nextOf(lent));
    }
    this.dueAt(next);
  }
}

/** When it is to be taken back. Where its backend ends it by itself it has the time to, and is asked for all the same: clocks are wrong at times. */
function takenAt({ record, lentUntil }: Lent): number {
  return lentUntil < record.expiresAt ? lentUntil : record.expiresAt + clockSkewMs;
}

/** Those of sessions that it covers, that it has told of before, and, of sessions that nobody here knows, those that it is said to have ended. */
export function isOf({ covered, grants, stop, entry }: Order, { id, session, path, stopId }: GrantRecord): boolean {
  if (covered.has(session) || grants.has(id) || stopId === stop.id) return true;
  return entry.key.tier === 'instance' && path.some((one) => subjectKey(one) === entry.key.subject);
}
