// stopping.ts: carries a stop out, step by step, and writes the receipt as the steps become true (S10).
//
// By the time this is called every guard of the process refuses already. What follows is a walk over the sessions, in
// slices of the event loop, for aborting, for knowing who has come to rest, and for saying so.

import { isEngaged, type Stop } from '@offswitch/core';
import type { Call } from './call.ts';
import { candidates, covers } from './covering.ts';
import type { GrantRecord } from './grants/grant-record.ts';
import { isOf } from './grants/grants.ts';
import type { Graph, Member } from './graph.ts';
import { isOwn, type Order, olderReceiptId, receiptId, unfenced, unlatched } from './order.ts';
import { confirmAgainMs, Others } from './others.ts';
import type { Succession } from './pending-stops.ts';
import { type Receipt, type ReceiptPart, type Stage, stages } from './receipt.ts';
import { isOver, joinReceipts } from './receipt-join.ts';
import { ReceiptWriter, writeEveryMs } from './receipt-writer.ts';
import type { StopToTakeUp } from './receipts-to-go-on.ts';
import type { LiveSession } from './session.ts';
import { Slice, sliceMs, turnOfLoop } from './slices.ts';
import { describeStop, type StopEntry } from './stop-entry.ts';
import type { StopChange } from './stop-set.ts';
import type { StoredStop } from './store.ts';
import { isLong, receiptAtOnce, receiptInSlices } from './told.ts';
import { askAfter } from './unheard.ts';
import type { World } from './world.ts';

/** The same while the latch is on its way, so that it is known to be durable as soon as it is. Milliseconds. */
const latchingSliceMs = 0.1;
/**
 * Whoever waits for a stage is answered after this long at the latest, with what is known by then. Milliseconds. 10 s: a lease of the
 * default length has run out by then, and a person who waits longer takes it for dead.
 */
const answerWithinMs = 10_000;
/** Finished terminates whose receipts still take late results. */
const keptFinished = 1_000;

type Latching = Pick<StopChange, 'latched' | 'isLearned'>;
/** Nobody has just made it: whoever knows of it is to ask now. */
const inTheStore: Latching = { latched: Promise.resolve(true) };

export class Stopping {
  private readonly world: World;
  private readonly orders = new Map<string, Order>();
  private readonly finished: Order[] = [];
  private readonly receipts: ReceiptWriter;
  private readonly others: Others;
  private hasTakenUp = false;

  constructor(world: World) {
    this.world = world;
    this.receipts = new ReceiptWriter(world);
    this.others = new Others(world, {
      fenced: (order) => {
        this.reach(order, 'fenced');
        if (!this.isEnding) world.forensics.go();
      },
      look: (order) => this.look(order),
      changed: (order) => this.receipts.soon(order),
      recall: (order) => this.receipts.recall(order),
    });
  }

  /** A stop was engaged or released, here or by another process. */
  changed(change: StopChange): void {
    const { entry } = change;
    const stop = describeStop(entry);
    const id = receiptId(entry);
    if (change.engaged && !change.wasEngaged) {
      if (!change.isSuccession) this.world.emit({ type: 'stop', stop, engaged: true });
      this.begin(id, entry, stop, change);
    } else if (!change.engaged && change.wasEngaged) {
      if (!change.isSuccession) this.world.emit({ type: 'stop', stop, engaged: false });
      this.released(entry);
    } else if (change.engaged && !this.orders.has(id)) {
      const order = [...this.orders.values()].find((one) => one.entry === entry);
      if (order && order.engagedAt > entry.marks.released) this.rename(order, id);
      else if (order) {
        // It was released and engaged again since this process heard of it last.
        this.released(entry);
        this.begin(id, entry, stop, change);
      }
    }
    for (const one of change.successions) this.goesOn(one);
  }

  private released(entry: StopEntry): void {
    for (const order of [...this.orders.values()]) {
      if (order.entry !== entry) continue;
      order.released = this.world.clock.now();
      this.finish(order);
    }
  }

  /** A process that is behind has recorded a release that is older than this stop. */
  private rename(order: Order, id: string): void {
    this.orders.delete(order.id);
    order.formerly.add(order.id);
    order.id = id;
    this.orders.set(id, order);
    this.receipts.soon(order);
  }

  /**
   * One flip is one receipt, whichever stop it goes by: what the pending one has come to is what its successor has come to. Whom it has
   * ended meanwhile nobody could find any more.
   */
  private goesOn({ from, to }: Succession): void {
    const id = receiptId(from);
    for (const order of this.orders.values()) {
      if (order.entry !== to || order.released !== undefined || order.formerly.has(id)) continue;
      order.formerly.add(id);
      for (const member of order.ended) if (isOwn(order, member.saved.settled?.stopId)) order.ended.delete(member);
      const before = this.orders.get(id);
      if (before) this.inherit(order, before);
      this.look(order);
    }
  }

  private inherit(order: Order, before: Order): void {
    for (const member of before.covered.values()) {
      this.include(order, member);
      if (before.ended.has(member)) order.ended.add(member);
      if (before.endedElsewhere.has(member)) order.endedElsewhere.add(member);
    }
    for (const stage of stages) if (order.stages[stage] === undefined) this.assume(order, stage, before.stages[stage]);
    for (const [id, grant] of before.grants) if (!order.grants.has(id)) order.grants.set(id, grant);
    order.others = [...new Set([...order.others, ...before.others])];
  }

  /** It was told of when it became true. */
  private assume(order: Order, stage: Stage, at: number | undefined): void {
    if (at !== undefined) order.stages[stage] = at;
  }

  /** Whose receipts `takeUp` is to be given: all that are not being carried out here. A terminate that has one to end here goes on, done or not. */
  toTakeUp(): readonly StopToTakeUp[] {
    const { graphs, kernel } = this.world;
    const awaited = new Set<string>();
    for (const graph of graphs.values())
      for (const { node, saved } of graph.members()) {
        const decision = saved.settled || graph.isElsewhere ? undefined : this.world.decide(node);
        if (decision?.action === 'terminate' && decision.stopId !== undefined) awaited.add(decision.stopId);
      }
    const found: StopToTakeUp[] = [];
    for (const entry of kernel.stops.all()) {
      const order = this.orders.get(receiptId(entry));
      if (!isEngaged(entry.marks) || (order && !(order.isDone && order.stop.action === 'terminate'))) continue;
      const isForGood = describeStop(entry).action === 'terminate' && !awaited.has(entry.name);
      found.push({ id: receiptId(entry), olderId: olderReceiptId(entry), isForGood });
    }
    return found;
  }

  /**
   * Takes up the stops that were in force before this process started: a half-done one is carried on, and what an earlier
   * process wrote in its receipt stays true.
   */
  takeUp(written: ReadonlyMap<string, Receipt | undefined>): void {
    for (const entry of this.world.kernel.stops.all()) {
      const id = receiptId(entry);
      if (!isEngaged(entry.marks) || this.orders.has(id)) continue;
      const before = written.get(id);
      const stop = describeStop(entry);
      if (stop.action === 'terminate' && (!written.has(id) || (before && isOver(before)))) continue;
      this.begin(id, entry, stop, inTheStore, before);
    }
    for (const one of this.world.kernel.stops.successions()) this.goesOn(one);
    this.hasTakenUp = true;
    for (const graph of this.world.graphs.values()) this.beginAgain(graph, written);
  }

  /** The same later, of terminates that were over: those whose receipts are so no more, or never were. */
  takeUpAgain(written: ReadonlyMap<string, Receipt | undefined>): void {
    for (const entry of this.world.kernel.stops.all()) {
      const id = receiptId(entry);
      const before = written.get(id);
      if (!isEngaged(entry.marks) || !before || isOver(before)) continue;
      const order = this.orders.get(id);
      if (order) {
        // What it waits for others to say, the others may not have lived to say.
        if (order.isDone) this.others.learnLeftOpen(order, before.sessions);
        continue;
      }
      this.begin(id, entry, describeStop(entry), inTheStore, before);
      // It may have had one that it has forgotten.
      this.orders.get(id)!.isAgain = true;
    }
  }

  /**
   * A terminate that was called done may have covered what nobody ran then: it is told of that too once it is taken over (S10).
   * `written`: what earlier processes had told, at the start of this one.
   */
  private beginAgain(graph: Graph, written?: ReadonlyMap<string, Receipt | undefined>): void {
    if (graph.isElsewhere || !this.hasTakenUp) return;
    for (const { node, saved } of graph.members()) {
      const decision = saved.settled ? undefined : this.world.decide(node);
      if (decision?.action !== 'terminate' || decision.stopId === undefined) continue;
      const entry = this.world.kernel.stops.find(decision.stopId);
      const id = entry && receiptId(entry);
      if (id === undefined || this.orders.has(id)) continue;
      this.begin(id, entry!, describeStop(entry!), inTheStore, written?.get(id));
      this.orders.get(id)!.isAgain = written === undefined;
    }
  }

  /** A latch that had failed was made up for. */
  latched(entry: StopEntry): void {
    for (const order of this.orders.values()) {
      if (order.entry !== entry || !order.missing.recorded) continue;
      delete order.missing.recorded;
      this.reach(order, 'recorded');
    }
  }

  /** The store has lost these stops, and so what was told of them. */
  lost(stops: readonly StoredStop[]): void {
    const keys = new Set(stops.map(({ key }) => key));
    for (const order of this.orders.values()) if (keys.has(order.entry.name)) this.receipts.soon(order);
  }

  /** The store may have lost what it took last of any. One by one: there may be many. */
  writeAgain(): void {
    for (const order of this.orders.values()) order.changes++;
    void this.writeAll();
  }

  /** Who and why of it are known now. */
  worded(entry: StopEntry): void {
    for (const order of this.orders.values()) {
      if (order.entry !== entry) continue;
      order.stop = describeStop(entry);
      this.receipts.soon(order);
    }
  }

  /** Resolves with the receipt when the stage is true, or says after a bounded time what is missing (`residue`). */
  reached(entry: StopEntry, stage: Stage): Promise<Receipt> {
    const order = this.orders.get(receiptId(entry));
    if (!order) return Promise.reject(new Error(`no stop ${entry.name} under way`));
    if (order.stages[stage] !== undefined) return this.receiptSoon(order);
    const { clock } = this.world;
    return new Promise((resolve) => {
      const waiter = {
        stage,
        resolve: (receipt: Receipt) => {
          clock.clearTimeout(timer);
          resolve(receipt);
        },
      };
      const timer = clock.setTimeout(() => {
        if (order.stages.recorded === undefined) order.missing.recorded ??= [unlatched];
        if (order.stages.fenced === undefined) order.missing.fenced ??= [unfenced];
        this.answer(order, [waiter]);
      }, answerWithinMs);
      order.waiters.push(waiter);
    });
  }

  /** Receipts of stops under way, newest first; the store has the rest. */
  async current(): Promise<Receipt[]> {
    const parts: ReceiptPart[] = [];
    for (const order of this.orders.values()) parts.push(await this.receipts.part(order));
    return joinReceipts(parts, { isAlive: () => true });
  }

  sessionBegan(session: LiveSession): void {
    for (const order of this.orders.values()) {
      if (order.isDone && order.stop.action === 'terminate') continue;
      if (!covers(order, session.node)) continue;
      this.include(order, session.member);
      this.receipts.soon(order);
    }
  }

  /** What a process that is gone ran lies here now, and what becomes of it is told here; or another one runs it, and is waited for here no more. */
  takenOver(graph: Graph): void {
    const isAway = graph.isElsewhere && !graph.root.saved.settled;
    for (const order of this.orders.values()) {
      // One that is done takes in nobody new, and learns what became of those it knows; so does any of what others run.
      const isOver = isAway || (order.isDone && order.stop.action === 'terminate');
      let isOfIt = false;
      for (const member of graph.members())
        if (isOver ? order.covered.has(member.node.id) : covers(order, member.node)) {
          this.include(order, member);
          isOfIt = true;
        }
      // What is finished has nothing new to say of others.
      if (isOfIt || !order.isDone) this.look(order);
    }
    this.beginAgain(graph);
  }

  restChanged(session: LiveSession): void {
    for (const order of this.orders.values()) {
      if (order.stop.action !== 'pause' || !order.covered.has(session.id)) continue;
      if (session.isAtRest) order.waiting.delete(session.member);
      else if (!order.isDone) order.waiting.add(session.member);
      this.look(order);
    }
  }

  sessionSettled(session: LiveSession): void {
    this.memberOver(session.member);
  }

  /** Parked, or marked where it lay parked. */
  memberRests(member: Member): void {
    this.memberOver(member);
  }

  /** It never began and is no process's: receipts say nothing of it. */
  neverWas(member: Member): void {
    for (const order of this.orders.values()) {
      if (!order.covered.delete(member.node.id)) continue;
      order.waiting.delete(member);
      this.look(order);
    }
  }

  callEnded(session: LiveSession, call: Call): void {
    if (call.outcome !== 'late') return;
    for (const order of this.orders.values()) if (order.covered.has(session.id)) this.receipts.soon(order);
  }

  /** Sessions are being ended, and not all are marked yet, or not every process is known to have heard of it: what can wait does. */
  get isEnding(): boolean {
    for (const { isDone, stop, stages, waiting } of this.orders.values())
      if (!isDone && stop.action === 'terminate' && (waiting.size > 0 || stages.fenced === undefined)) return true;
    return false;
  }

  /** The bundle of a session is written, or is known not to be. */
  bundled({ node }: Member): void {
    for (const order of this.orders.values()) if (order.covered.has(node.id)) this.receipts.soon(order);
  }

  grantChanged(record: GrantRecord): void {
    for (const order of this.orders.values()) if (isOf(order, record)) this.look(order);
  }

  private memberOver(member: Member): void {
    for (const order of this.orders.values()) {
      // Its own guard was faster than the walk, which will not find it any more; or it was taken over from a process that is gone.
      const isNews = !order.isEnumerated || isOwn(order, member.saved.settled?.stopId);
      if (isNews && covers(order, member.node)) this.include(order, member);
      if (order.waiting.delete(member)) this.look(order);
      else if (order.covered.has(member.node.id)) this.receipts.soon(order);
    }
    if (!this.isEnding) this.world.forensics.go();
  }

  private begin(id: string, entry: StopEntry, stop: Stop, { latched, isLearned }: Latching, before?: Receipt): void {
    const order: Order = {
      id,
      entry,
      engagedAt: entry.marks.engaged,
      stop,
      stages: { ...before?.stages },
      formerly: new Set(before?.formerly),
      covered: new Map(),
      waiting: new Set(),
      ended: new Set(),
      endedElsewhere: new Set(),
      neverBegun: new Set(),
      missing: {},
      others: [],
      grants: new Map((before?.grants ?? []).map((one) => [one.id, one])),
      isLatching: true,
      isEnumerated: false,
      isElsewhereKnown: false,
      elsewhereTries: 0,
      elsewhereTimer: undefined,
      elsewhereAgainMs: confirmAgainMs,
      unheard: undefined,
      heardAgain: new Map(),
      heardAgainTimer: undefined,
      heardAgainMs: confirmAgainMs,
      isAskingUnheard: false,
      isAskedAgain: false,
      unheardTimer: undefined,
      isDone: false,
      released: undefined,
      confirmTimer: undefined,
      writeTimer: undefined,
      writeAgainMs: writeEveryMs,
      isWriting: false,
      isStale: false,
      changes: 0,
      written: -1,
      isUnwritten: false,
      isAgain: false,
      earlier: undefined,
      waiters: [],
    };
    if (stop.action === 'terminate') askAfter(order.heardAgain, before?.sessions ?? []);
    this.orders.set(id, order);
    void latched.then((isLatched) => {
      order.isLatching = false;
      if (isLatched) this.reach(order, 'recorded');
      else order.missing.recorded = [unlatched];
      if (isLearned) this.others.confirmSoon(order);
      else void this.others.confirm(order);
    });
    void this.enumerate(order);
  }

  /**
   * Looks at every session once; who is born meanwhile is covered by `sessionBegan`. Begins in a later turn of the event loop:
   * whoever learned of the stop gets on, since every guard refuses already.
   */
  private async enumerate(order: Order): Promise<void> {
    const { clock } = this.world;
    let sliceStart = Number.NEGATIVE_INFINITY;
    for (const graph of candidates(this.world, order)) {
      for (const member of graph.members()) {
        if (clock.monotonic() - sliceStart > (order.isLatching ? latchingSliceMs : sliceMs)) {
          await turnOfLoop();
          sliceStart = clock.monotonic();
        }
        if (!covers(order, member.node)) continue;
        this.include(order, member);
        const { live } = member;
        if (!live || order.stop.action !== 'terminate') continue;
        const decision = this.world.decide(member.node);
        if (decision.action === 'terminate') live.stop(decision);
      }
    }
    order.isEnumerated = true;
    this.world.parking.reconsider();
    this.look(order);
  }

  private include(order: Order, member: Member): void {
    const before = order.covered.get(member.node.id);
    if (before === member) return;
    if (before) this.drop(order, before);
    order.covered.set(member.node.id, member);
    const { settled } = member.saved;
    // A session whose own guard was faster than this walk was ended by this very stop.
    if (settled) {
      if (settled.status !== 'terminated' || !isOwn(order, settled.stopId)) order.ended.add(member);
    } else if (member.live ? !(order.stop.action === 'pause' && member.live.isAtRest) : this.isOursToMark(order, member))
      order.waiting.add(member);
  }

  /** It was known as another process had it. */
  private drop(order: Order, member: Member): void {
    order.waiting.delete(member);
    order.ended.delete(member);
    order.endedElsewhere.delete(member);
    order.neverBegun.delete(member);
  }

  /** What lies parked here is still to be marked as terminated; what another process has is its to mark. */
  private isOursToMark(order: Order, member: Member): boolean {
    return order.stop.action === 'terminate' && this.world.graphOf.get(member.node.id)?.isElsewhere === false;
  }

  private look(order: Order): void {
    if (order.isDone || !order.isEnumerated || order.stages.fenced === undefined || order.waiting.size > 0) {
      this.receipts.soon(order);
      return;
    }
    if (!order.isElsewhereKnown) {
      void this.others.learnElsewhere(order);
      return;
    }
    if (order.unheard === undefined || order.unheard.sessions.length > 0) {
      void this.others.learnUnheard(order);
      return;
    }
    this.reach(order, 'drained');
    if (this.world.grants.isAnyOpen(order)) {
      this.receipts.soon(order);
      return;
    }
    this.reach(order, 'revoked');
    this.reach(order, 'done');
    order.isDone = true;
    this.receipts.now(order);
    if (order.stop.action === 'terminate') this.keepFinished(order);
  }

  /** A terminate is never released; the last ones are kept for results that come late, the rest are in the store. */
  private keepFinished(order: Order): void {
    this.finished.push(order);
    if (this.finished.length <= keptFinished) return;
    const oldest = this.finished.shift()!;
    this.others.forget(oldest);
    this.orders.delete(oldest.id);
  }

  private reach(order: Order, stage: Stage): void {
    if (order.stages[stage] !== undefined) return;
    order.stages[stage] = this.world.clock.now();
    this.world.emit({ type: 'stage', stop: order.stop.id, stage });
    this.answer(
      order,
      order.waiters.filter((waiter) => waiter.stage === stage),
    );
    this.receipts.soon(order);
  }

  private finish(order: Order): void {
    order.isDone = true;
    this.others.forget(order);
    this.receipts.now(order);
    this.orders.delete(order.id);
    this.answer(order, order.waiters);
  }

  private answer(order: Order, waiters: Order['waiters']): void {
    if (waiters.length === 0) return;
    order.waiters = order.waiters.filter((waiter) => !waiters.includes(waiter));
    if (isLong(order))
      void receiptInSlices(this.world, order, new Slice(this.world.clock)).then((receipt) =>
        waiters.map((one) => one.resolve(alone(receipt))),
      );
    else {
      const receipt = alone(receiptAtOnce(this.world, order));
      for (const waiter of waiters) waiter.resolve(receipt);
    }
  }

  /** Brings what is in the store up to what is known here. */
  async writeAll(): Promise<void> {
    // What has ended in this very moment is on its way to its stage, and there where the store answers from memory or a folder: whoever was
    // told of the end asks now. Nobody is kept waiting for one that is asked over the wire.
    if ([...this.orders.values()].some(({ isDone }) => !isDone)) await turnOfLoop();
    for (const order of [...this.orders.values()]) await this.receipts.bringUp(order);
  }

  /** Writes what is under way before the store is closed. */
  async close(): Promise<void> {
    for (const order of this.orders.values()) {
      this.world.clock.clearTimeout(order.writeTimer);
      this.others.forget(order);
      this.answer(order, order.waiters);
      if (!this.receipts.isWritten(order)) await this.receipts.write(order, receiptAtOnce(this.world, order)).catch(() => {});
    }
  }

  private async receiptSoon(order: Order): Promise<Receipt> {
    return alone(await this.receipts.part(order));
  }
}

/** What this process knows, as the receipt of it: what others have to say of their sessions is not known. */
function alone(part: ReceiptPart): Receipt {
  return joinReceipts([part], { isAlive: () => true })[0]!;
}
