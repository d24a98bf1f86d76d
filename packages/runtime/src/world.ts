// world.ts: every session of this process, and what they need of it: the gate, the journal, breakers, children.

import { type Breaker, type Decision, run, type Stopped } from '@offswitch/core';
import type { AgentDefinition } from './agent.ts';
import { atMost } from './at-most.ts';
import type { AuditNotes } from './audit/notes.ts';
import { Births } from './births.ts';
import type { BreakerTable, Thresholds } from './breakers.ts';
import type { Call } from './call.ts';
import type { Caps } from './caps.ts';
import { Carrying } from './carrying.ts';
import { Charges } from './charges.ts';
import type { Clock } from './clock.ts';
import { runOutside } from './context.ts';
import { type Ended, Ends } from './ends.ts';
import type { ChildSpec, DetachSpec, Engine } from './engine.ts';
import { RuntimeError } from './error.ts';
import type { RuntimeEvent, RuntimeListener } from './event.ts';
import { Foreign } from './foreign.ts';
import { Forensics, type ForensicsOptions } from './forensics/forensics.ts';
import type { CredentialBroker } from './grants/broker.ts';
import { Grants, type GrantsHost } from './grants/grants.ts';
import type { Graph, Member } from './graph.ts';
import { IfHeld } from './if-held.ts';
import type { JournalRecord, Resolution } from './journal.ts';
import type { Kernel } from './kernel.ts';
import { Leases } from './leases.ts';
import type { Limiter } from './limiter.ts';
import type { LineageStore } from './lineage-store.ts';
import { guard, type Node, type TierCell, type Walk } from './node.ts';
import { OpenReceipts } from './open-receipts.ts';
import { Pacer } from './pacer.ts';
import { Parking } from './parking.ts';
import type { Carrier } from './path/carrier.ts';
import type { PathKeys } from './path/path-keys.ts';
import { Registering } from './registering.ts';
import type { Saved } from './saved.ts';
import type { LiveSession } from './session.ts';
import { Slice } from './slices.ts';
import { Stopping } from './stopping.ts';
import type { StateStore } from './store.ts';
import { Takeover } from './takeover.ts';
import { notePaused } from './telemetry.ts';
import { Terminated } from './terminated.ts';
import { Waking } from './waking.ts';

/** What is kept for later is written within this time when the runtime closes, or is missing. Milliseconds. */
const recordsTimeoutMs = 5_000;

export interface WorldOptions {
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly store: StateStore;
  readonly breakers: BreakerTable;
  readonly caps: Caps;
  readonly parkAfterMs: number;
  readonly holdForMs: number;
  readonly effectDeadlineMs: number;
  readonly pathKeys: PathKeys;
  readonly audit: AuditNotes;
  readonly forensics: ForensicsOptions | false;
  readonly brokers: Readonly<Record<string, CredentialBroker>>;
}

export class World implements Engine {
  readonly kernel: Kernel;
  readonly audit: AuditNotes;
  private readonly tiers: TierCell;
  private readonly walk: Walk;
  private readonly lineage: LineageStore;
  readonly clock: Clock;
  readonly store: StateStore;
  readonly effectDeadlineMs: number;
  readonly options: WorldOptions;
  readonly graphs: Map<string, Graph> = new Map();
  /** Which graph a session is in. */
  readonly graphOf: Map<string, Graph> = new Map();
  /** Sessions in which something waits, at rest or not. */
  readonly held: Set<LiveSession> = new Set();
  readonly definitions: Map<string, AgentDefinition> = new Map();
  readonly ifHeld: IfHeld;
  /** Loose children of a parked graph that goes on, by their parents: they go on with them. */
  readonly looseToBring: Map<string, readonly Member[]> = new Map();
  readonly pacer: Pacer;
  readonly parking: Parking;
  readonly takeover: Takeover;
  readonly stopping: Stopping;
  readonly openReceipts: OpenReceipts;
  readonly listeners: Set<RuntimeListener> = new Set();
  isClosed = false;
  private readonly resolutions = new Map<string, Resolution>();
  /** Sessions whose next epoch the store refused when it was asked last. */
  private readonly unclaimed = new WeakSet<Saved>();
  readonly births: Births;
  readonly terminated: Terminated;
  readonly charges: Charges;
  readonly leases: Leases;
  readonly waking: Waking;
  readonly ends: Ends;
  readonly foreign: Foreign;
  readonly registering: Registering;
  readonly carrying: Carrying;
  /** Graphs whose root came from another process. */
  readonly arrived: Set<Graph> = new Set();
  readonly grants: Grants;
  readonly forensics: Forensics;

  constructor(options: WorldOptions) {
    this.options = options;
    this.kernel = options.kernel;
    this.audit = options.audit;
    this.tiers = options.kernel.stops.tiers;
    this.walk = options.kernel.walkOne;
    this.clock = options.clock;
    this.store = options.store;
    this.lineage = options.store.lineage;
    this.effectDeadlineMs = options.effectDeadlineMs;
    this.pacer = new Pacer(options.clock);
    this.births = new Births(this);
    this.terminated = new Terminated(this);
    this.charges = new Charges(this);
    this.leases = new Leases(this);
    this.waking = new Waking(this);
    this.ends = new Ends(this);
    this.ifHeld = new IfHeld(this, options.holdForMs);
    this.forensics = new Forensics(this, options.forensics);
    this.grants = new Grants(this.grantsHost(), options.brokers);
    this.parking = new Parking(this);
    this.takeover = new Takeover(this);
    this.stopping = new Stopping(this);
    this.openReceipts = new OpenReceipts(this);
    const { stops, switchboard } = options.kernel;
    this.foreign = new Foreign({
      sharedUserId: (id) => switchboard.sharedUserId(id),
      watch: (node) => {
        stops.know(node);
        this.admit(node);
      },
      unwatch: (node) => {
        stops.unknow(node);
        switchboard.dismiss(node);
      },
    });
    this.registering = new Registering(this);
    this.carrying = new Carrying(this, options.pathKeys);
    this.learnResolutions(options.kernel.opening.resolutions);
  }

  decide(node: Node): Decision {
    if (this.lineage.isCutOff()) this.kernel.checkStore();
    return guard(node, this.tiers, this.walk);
  }

  get holdsCalls(): boolean {
    return this.kernel.stops.isAnyTripped || this.kernel.holdOnAll !== run || this.isClosed;
  }

  mustHold(node: Node): boolean {
    if (this.isClosed || this.kernel.holdOnAll !== run) return true;
    const { tripped } = this.kernel.stops;
    if (tripped.size > 0) for (let at: Node | undefined = node; at; at = at.parent) if (tripped.has(at.key)) return true;
    return this.kernel.stops.isTrippedAbove(node);
  }

  mustHoldReserved(node: Node): boolean {
    if (this.isClosed || this.kernel.holdOnAll !== run) return true;
    const { stops } = this.kernel;
    for (let at: Node | undefined = node; at; at = at.parent)
      if (stops.tripped.has(at.key) && !stops.isTrippedByCostAlone(at.key)) return true;
    return false;
  }

  /** Another process has it, or had when it was let go of here. */
  isElsewhere(member: Member): boolean {
    return this.graphOf.get(member.node.id)?.isElsewhere ?? this.leftElsewhere.has(member);
  }
  readonly leftElsewhere: WeakSet<Member> = new WeakSet();

  addGraph(graph: Graph): void {
    this.graphs.set(graph.id, graph);
    this.graphOf.set(graph.id, graph);
    if (graph.root.saved.record.arrived) {
      this.arrived.add(graph);
      this.registering.isKnown(graph.id);
    }
  }

  register(session: LiveSession): Promise<void> | undefined {
    return this.lineage.registersAll ? this.registering.register(session) : undefined;
  }

  carry(session: LiveSession): Promise<Carrier> {
    return this.carrying.carry(session);
  }

  terminate(session: LiveSession, decision: Stopped): void {
    session.stop(decision);
  }

  append(graph: Graph, record: JournalRecord): boolean {
    try {
      this.store.append(graph.id, record);
      return true;
    } catch (error) {
      if (RuntimeError.is(error)) {
        this.kernel.checkStore();
        return false;
      }
      throw new RuntimeError(
        'not_serialisable',
        `what session ${record.s} wants kept (${record.t}) cannot be written as JSON; pass plain data`,
        { cause: error },
      );
    }
  }

  claim(session: LiveSession): boolean {
    const isOurs = this.claimNext(session.saved, 'stays held');
    if (isOurs === false) {
      this.alarm(`session ${session.id} was taken over by another process; this copy of it stops`);
      session.abandon('another process took it over');
    }
    if (isOurs) session.write({ t: 'claim' });
    return isOurs === true;
  }

  /**
   * Claims the session's next epoch; false where another process was first. `undefined` where the store refused: it is tried again, and said
   * once. `meanwhile`: what becomes of the session until then.
   */
  claimNext(saved: Saved, meanwhile: string): boolean | undefined {
    const epoch = saved.epoch + 1;
    let isOurs: boolean;
    try {
      isOurs = this.store.claim(saved.record.s, epoch);
    } catch (error) {
      if (!this.unclaimed.has(saved))
        this.alarm(
          `session ${saved.record.s} ${meanwhile}: its next epoch could not be claimed: ${String(error)}; it is tried again`,
        );
      this.unclaimed.add(saved);
      this.reconsiderLater();
      return undefined;
    }
    this.unclaimed.delete(saved);
    if (isOurs) saved.epoch = epoch;
    return isOurs;
  }

  resolution(session: string, call: string): Resolution | undefined {
    return this.resolutions.get(`${session}\n${call}`);
  }

  learnResolutions(resolutions: readonly Resolution[]): void {
    for (const one of resolutions) {
      const key = `${one.session}\n${one.call}`;
      if (!this.resolutions.has(key)) this.resolutions.set(key, one);
    }
  }

  definition(name: string): AgentDefinition | undefined {
    return this.definitions.get(name);
  }

  child(parent: LiveSession, call: Call, spec: ChildSpec): LiveSession | undefined {
    return this.births.child(parent, call, spec);
  }

  detached(parent: LiveSession, id: string, spec: DetachSpec): () => void {
    return this.births.detached(parent, id, spec);
  }

  async wasBorn(root: string): Promise<boolean> {
    const graph = this.graphs.get(root);
    if (graph) {
      // Whoever asks has the intent of it: it is not lost with an earlier copy of that one.
      graph.detachedBy = undefined;
      return true;
    }
    // Where every session is registered, one that is not has done nothing, and nobody takes it up.
    return this.lineage.registersAll ? (await this.lineage.find(root, root)) !== undefined : this.lineage.hasBegun(root, root);
  }

  isKept(root: string): boolean | Promise<boolean> {
    const graph = this.graphs.get(root);
    // It has ended, or is another process's.
    if (!graph || graph.isElsewhere) return true;
    const { live } = graph.root;
    if (!this.births.isBorn(graph.root)) return false;
    const registered = live && this.register(live);
    // It may also end, or rest, before the store has taken it in: then that is its own affair.
    return registered ? Promise.race([registered, live.outcome]).then(isSo, isSo) : true;
  }

  isWritten(session: LiveSession): boolean {
    return this.births.isWritten(session);
  }

  endLater(session: LiveSession): void {
    this.ends.later(session);
  }

  isAnyLeftUnder(session: LiveSession): boolean {
    return this.parking.isAnyLeftUnder(session);
  }

  endLeftUnder(session: LiveSession): boolean {
    return this.parking.atRest.endLeftUnder(session);
  }

  isBorn(session: LiveSession): boolean {
    return this.births.isBorn(session);
  }

  /** Starts watching the switches for a node. */
  admit(node: Node): void {
    // An id that is its own subject key is found in `graphOf`.
    if (node.key !== node.id) this.kernel.stops.know(node);
    const reading = this.kernel.switchboard.admit(node);
    void reading?.then(() => this.reconsider());
  }

  /** It is not here any more: what is said of it concerns nobody. */
  dropPlace(node: Node): void {
    this.graphOf.delete(node.id);
    this.looseToBring.delete(node.id);
    if (node.key !== node.id) this.kernel.stops.unknow(node);
  }

  settled(session: LiveSession): void {
    const { graph, member } = session;
    member.live = undefined;
    this.births.ended(member.saved);
    this.ends.tell(member.node.id, session.final as Promise<Ended>);
    this.registering.note(member.node, member.saved.settled!.status);
    this.grants.left(session.id, session.stopping?.stopId);
    if (member.saved.settled!.status === 'terminated') this.forensics.marked(member);
    this.kernel.switchboard.dismiss(member.node);
    this.stopping.sessionSettled(session);
    this.changed(session);
    if (member === graph.root) this.retire(graph);
  }

  /** A settled graph is forgotten; its stops stay as tombstones (S6). */
  retire(graph: Graph): void {
    this.clock.clearTimeout(graph.parkTimer);
    this.graphs.delete(graph.id);
    this.parking.delete(graph);
    this.leases.end(graph);
    if (this.arrived.delete(graph)) this.foreign.leave(graph.root.saved.record.arrived!);
    if (graph.root.saved.settled?.status === 'terminated') this.terminated.remember(graph);
    void this.forget(graph);
    try {
      this.store.forget(graph.id);
    } catch (error) {
      this.alarm(`what the store has of session ${graph.id}, which has ended, stays there: ${String(error)}`);
    }
    this.parking.lookWhetherAllParked();
  }

  /** Without holding anybody up: a graph may have a hundred thousand members. */
  private async forget(graph: Graph): Promise<void> {
    const slice = new Slice(this.clock);
    for (const { node } of graph.members()) {
      this.dropPlace(node);
      if (slice.isOver) await slice.next();
    }
  }

  /** Abandons what runs, exactly as a crash would: the journals hold what is needed to go on. */
  async close(): Promise<void> {
    this.takeover.close();
    this.openReceipts.close();
    this.parking.close();
    this.isClosed = true;
    this.waking.close();
    this.pacer.close();
    this.ifHeld.close();
    for (const graph of this.graphs.values()) {
      this.clock.clearTimeout(graph.parkTimer);
      for (const { live } of graph.members()) {
        for (const call of live?.calls ?? []) if (!call.isSent && call.reservedMicros > 0) this.spend(call, 0);
        live?.abandon('this runtime was closed; the session goes on from its checkpoint when it is opened again');
      }
    }
    this.held.clear();
    await this.leases.close();
    // First, so that the receipts say what became of them.
    await this.grants.close();
    await atMost(this.clock, recordsTimeoutMs, () => this.forensics.close());
    await this.stopping.close();
    await atMost(this.clock, recordsTimeoutMs, () => this.audit.close());
    this.listeners.clear();
  }

  limiter(workflow: string): Limiter | undefined {
    return this.charges.limiter(workflow);
  }

  charge(session: LiveSession, breaker: Exclude<Breaker, 'cost'>, measure: (one: LiveSession) => number): void {
    this.charges.charge(session, breaker, measure);
  }

  reserve(call: Call, micros: number): boolean | Promise<boolean> {
    return this.charges.reserve(call, micros);
  }

  spend(call: Call, actualMicros: number): void {
    this.charges.spend(call, actualMicros);
  }

  thresholds(workflow: string): Thresholds {
    return this.charges.thresholds(workflow);
  }

  reconsider(): void {
    this.grants.reconsider();
    this.waking.reconsider();
  }

  reconsiderLater(): void {
    this.waking.reconsiderLater();
  }

  restChanged(session: LiveSession): void {
    if (session.isAtRest) this.grants.rested(session);
    this.stopping.restChanged(session);
    if (session.member === session.graph.root) {
      this.registering.note(session.node, session.isAtRest ? 'resting' : 'running');
      this.parking.rootRestChanged(session);
    }
    this.changed(session);
  }

  callEnded(session: LiveSession, call: Call): void {
    this.stopping.callEnded(session, call);
  }

  changed(session: LiveSession): void {
    if (this.listeners.size > 0) this.emit({ type: 'session', session: session.id });
  }

  emit(event: RuntimeEvent): void {
    this.audit.event(event);
    for (const listener of this.listeners) {
      try {
        // Outside of the session that caused it: what a listener starts is no child of it.
        runOutside(() => listener(event));
      } catch {
        // A listener is outside the decision; what it throws is its own.
      }
    }
  }

  notePaused(session: LiveSession): void {
    const decision = this.decide(session.node);
    if (decision.action === 'run') return;
    const { switches, source } = this.kernel.options;
    const flag =
      decision.tier === 'feature' ? switches.flags.find((one) => one.workflow === session.workflow) : switches[decision.tier];
    notePaused(
      session,
      decision,
      decision.cause === 'switch' || decision.cause === 'unknown' ? flag?.key : undefined,
      source.name,
    );
  }

  alarm(message: string): void {
    this.kernel.options.onAlarm({ kind: 'hold', message, isActive: true, at: this.clock.now() });
  }

  private grantsHost(): GrantsHost {
    const { store, clock, kernel, graphOf } = this;
    const world = this;
    return {
      clock,
      store,
      graphOf,
      get isClosed() {
        return world.isClosed;
      },
      decide: (node) => this.decide(node),
      alarm: (message, isActive) => kernel.options.onAlarm({ kind: 'grant', message, isActive, at: clock.now() }),
      grantChanged: (record) => {
        this.audit.grant(record);
        this.stopping.grantChanged(record);
      },
    };
  }
}

function isSo(): true {
  return true;
}
