// world.ts: every session of this process, and what they need of it: the gate, the journal, breakers, children.

import { type Breaker, checkId, type Decision, run, type Stopped } from '@offswitch/core';
import type { AgentDefinition, RunOptions } from './agent.ts';
import { Birth } from './birth.ts';
import { type BreakerTable, isDeclared, type Reach, reachOf, type Thresholds, thresholdsFor } from './breakers.ts';
import { bringLoose } from './bring-loose.ts';
import type { Call } from './call.ts';
import type { Clock } from './clock.ts';
import { runOutside } from './context.ts';
import type { ChildSpec, Engine } from './engine.ts';
import { RuntimeError } from './error.ts';
import type { RuntimeEvent, RuntimeListener } from './event.ts';
import { Graph, type Member } from './graph.ts';
import { mintId } from './id.ts';
import { IfHeld } from './if-held.ts';
import type { JournalRecord, Resolution, SessionRecord } from './journal.ts';
import type { Kernel } from './kernel.ts';
import { Limiter } from './limiter.ts';
import { guard, Node, type TierCell, type Walk } from './node.ts';
import type { Outcome } from './outcome.ts';
import { Pacer } from './pacer.ts';
import { Parking } from './parking.ts';
import { inherit } from './restart.ts';
import { newSaved, type Saved } from './saved.ts';
import { LiveSession } from './session.ts';
import { Slice } from './slices.ts';
import { snapshot } from './snapshot.ts';
import { Stopping } from './stopping.ts';
import type { StateStore } from './store.ts';
import { notePaused } from './telemetry.ts';

export interface WorldOptions {
  readonly kernel: Kernel;
  readonly clock: Clock;
  readonly store: StateStore;
  readonly breakers: BreakerTable;
  readonly parkAfterMs: number;
  readonly holdForMs: number;
  readonly effectDeadlineMs: number;
}

/** Terminated graphs whose work can be taken up without reading the journals again. */
const keptTerminated = 200;
/** How long after a refusal of the store it is asked again. Milliseconds. */
const againMs = 250;

function born(record: SessionRecord): { readonly saved: Saved; readonly records: readonly JournalRecord[] } {
  return { saved: newSaved(record), records: [record] };
}

export type Ended = Exclude<Outcome, { status: 'paused' }>;

export class World implements Engine {
  readonly kernel: Kernel;
  private readonly tiers: TierCell;
  private readonly walk: Walk;
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
  readonly stopping: Stopping;
  readonly listeners: Set<RuntimeListener> = new Set();
  isClosed = false;
  private isReconsidering = false;
  private mustReconsider = false;
  private readonly terminatedGraphs: Graph[] = [];
  private again: unknown;
  private readonly ends = new Map<string, { readonly promise: Promise<Ended>; readonly resolve: (outcome: Ended) => void }>();
  private readonly reaches = new Map<string, Reach>();
  private lastReach: Reach | undefined;
  private readonly limiters = new Map<string, Limiter | undefined>();
  private readonly resolutions = new Map<string, Resolution>();

  constructor(options: WorldOptions) {
    this.options = options;
    this.kernel = options.kernel;
    this.tiers = options.kernel.stops.tiers;
    this.walk = options.kernel.walkOne;
    this.clock = options.clock;
    this.store = options.store;
    this.effectDeadlineMs = options.effectDeadlineMs;
    this.pacer = new Pacer(options.clock);
    this.ifHeld = new IfHeld(this, options.holdForMs);
    this.parking = new Parking(this);
    this.stopping = new Stopping(this);
    this.learnResolutions(options.kernel.opening.resolutions);
  }

  // --- decisions -----------------------------------------------------------------------------------------------------

  decide(node: Node): Decision {
    return guard(node, this.tiers, this.walk);
  }

  get holdsCalls(): boolean {
    return this.kernel.stops.tripped.size > 0 || this.kernel.holdOnAll !== run || this.isClosed;
  }

  mustHold(node: Node): boolean {
    if (this.isClosed || this.kernel.holdOnAll !== run) return true;
    const { tripped } = this.kernel.stops;
    if (tripped.size > 0) for (let at: Node | undefined = node; at; at = at.parent) if (tripped.has(at.key)) return true;
    return false;
  }

  terminate(session: LiveSession, decision: Stopped): void {
    session.stop(decision);
  }

  // --- the journal ---------------------------------------------------------------------------------------------------

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
    const epoch = session.saved.epoch + 1;
    let isOurs: boolean;
    try {
      isOurs = this.store.claim(session.id, epoch);
    } catch (error) {
      this.alarm(`session ${session.id} stays held: its next epoch could not be claimed: ${String(error)}`);
      this.reconsiderLater();
      return false;
    }
    if (!isOurs) {
      this.alarm(`session ${session.id} was taken over by another process; this copy of it stops`);
      session.abandon('another process took it over');
      return false;
    }
    session.saved.epoch = epoch;
    session.write({ t: 'claim' });
    return true;
  }

  /** What could not be written down is tried again until it can. */
  reconsiderLater(): void {
    if (this.again !== undefined || this.isClosed) return;
    this.again = this.clock.setTimeout(() => {
      this.again = undefined;
      this.reconsider();
    }, againMs);
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

  // --- sessions ------------------------------------------------------------------------------------------------------

  definition(name: string): AgentDefinition | undefined {
    return this.definitions.get(name);
  }

  /** A new root session. */
  root(
    definition: AgentDefinition,
    workflow: string,
    input: unknown,
    options: RunOptions,
    detached?: { readonly from: LiveSession; readonly reason: string; readonly owner: string },
  ): LiveSession {
    if (options.userId !== undefined) checkId('userId', options.userId);
    if (options.conversationId !== undefined) checkId('conversationId', options.conversationId);
    const id = mintId('s-');
    const node = new Node({
      id,
      workflow,
      ...(options.userId === undefined ? {} : { userId: this.kernel.switchboard.sharedUserId(options.userId) }),
      ...(options.conversationId === undefined ? {} : { conversationId: options.conversationId }),
      ...(detached ? { detachedFrom: detached.from.node } : {}),
    });
    const record = new Birth(node, definition.name, this.clock.now(), {
      input: snapshot(`the input of ${definition.name}`, input),
      ...(detached
        ? {
            detached: {
              from: detached.from.id,
              reason: detached.reason,
              owner: detached.owner,
              left: leftBy(detached.from.node),
            },
          }
        : {}),
    });
    const { saved, records } =
      options.restartOf === undefined ? born(record) : inherit(this.terminated(options.restartOf, record), record.toJSON());
    const graph = new Graph({ node, saved, live: undefined });
    graph.forgiveCosts();
    for (const one of records) this.append(graph, one);
    this.graphs.set(id, graph);
    this.graphOf.set(id, graph);
    const live = this.bring(graph, graph.root);
    live.start(definition, options.restartOf === undefined ? input : snapshot(`the input of ${definition.name}`, record.input));
    return live;
  }

  /** The terminated session that a new run takes up; throws where it cannot. */
  private terminated(id: string, by: SessionRecord): Saved {
    const found = this.findTerminated(id);
    if (!found) {
      const running = this.graphOf.get(id)?.get(id);
      throw new RuntimeError(
        'unknown_session',
        running && !running.saved.settled
          ? `session ${id} has not ended; resume it instead of restarting its work`
          : `no terminated session ${JSON.stringify(String(id).slice(0, 80))} is known here whose work could be taken up`,
      );
    }
    if (found.record.agent !== by.agent) {
      throw new RuntimeError(
        'invalid_option',
        `session ${id} was a run of ${JSON.stringify(found.record.agent)}, not of ${JSON.stringify(by.agent)}`,
      );
    }
    return found;
  }

  private findTerminated(id: string): Saved | undefined {
    for (const graph of [this.graphOf.get(id), ...this.terminatedGraphs].filter((one) => one !== undefined)) {
      const saved = graph.get(id)?.saved;
      if (saved?.settled?.status === 'terminated') return saved;
    }
    return undefined;
  }

  child(parent: LiveSession, call: Call, spec: ChildSpec): LiveSession | undefined {
    const { graph } = parent;
    if (spec.detached && spec.definition) {
      const { record } = parent.saved;
      const options = {
        ...((spec.userId ?? record.user) ? { userId: (spec.userId ?? record.user)! } : {}),
        ...(record.conversation ? { conversationId: record.conversation } : {}),
      };
      const workflow = this.workflowOf(spec.agent, parent.workflow);
      if (!this.kernel.options.switches.mayDetach(parent.workflow)) {
        throw new RuntimeError(
          'detach_not_declared',
          `workflow ${JSON.stringify(parent.workflow)} does not declare mayDetach: a detached agent outlives a stop of its parent`,
        );
      }
      const live = this.root(spec.definition, workflow, spec.input, options, {
        from: parent,
        reason: spec.detached.reason,
        owner: spec.detached.owner,
      });
      call.childId = live.id;
      return live;
    }
    // A call that is entered again finds the child it had: the intent was written before there was one.
    if (call.childId === undefined && call.isKnown) call.childId = childOf(graph, parent, call);
    const known = call.childId === undefined ? undefined : graph.get(call.childId);
    const member = known ?? this.newMember(parent, call, spec);
    call.childId = member.node.id;
    if (!known && !call.isKnown && !call.isSent) parent.intend(call);
    if (!known) {
      for (const one of member.records ?? [member.saved.record]) this.append(graph, one);
      graph.add(member);
      this.graphOf.set(member.node.id, graph);
    }
    const live = new LiveSession(this, graph, member, call);
    call.childSession = live;
    // What lives inside a call is run again with it, whatever it had come to.
    if (spec.inline) member.saved.settled = undefined;
    if (member.saved.settled) {
      live.recall(member.saved.settled);
      return live;
    }
    if (known) {
      member.live = live;
      if (!this.claim(live)) return undefined;
    }
    this.begin(live);
    if (!spec.inline) {
      const isNew = !known && member.records === undefined;
      live.start(spec.definition!, isNew ? spec.input : snapshot(`the input of ${spec.agent}`, member.saved.record.input));
    }
    return live;
  }

  /** A live session for a member of a graph that is at rest; its epoch is claimed by the caller. */
  bring(graph: Graph, member: Member): LiveSession {
    const live = new LiveSession(this, graph, member);
    this.begin(live);
    return live;
  }

  nodeOf(record: SessionRecord, parent: Node | undefined): Node {
    const detachedFrom = record.detached && leftNodes(record.detached);
    return new Node({
      id: record.s,
      workflow: record.workflow,
      ...(record.user === undefined ? {} : { userId: record.user }),
      ...(record.conversation === undefined ? {} : { conversationId: record.conversation }),
      ...(parent ? { parent } : {}),
      ...(detachedFrom ? { detachedFrom } : {}),
    });
  }

  /** Starts watching the switches for a node. */
  admit(node: Node): void {
    // An id that is its own subject key is found in `graphOf`.
    if (node.key !== node.id) this.kernel.stops.know(node);
    const reading = this.kernel.switchboard.admit(node);
    void reading?.then(() => this.reconsider());
  }

  workflowOf(agent: string, inherited: string): string {
    return this.kernel.options.switches.isWorkflow(agent) ? agent : inherited;
  }

  settled(session: LiveSession): void {
    const { graph, member } = session;
    member.live = undefined;
    this.kernel.switchboard.dismiss(member.node);
    this.ended(member.node.id, session.final as Promise<Ended>);
    this.stopping.sessionSettled(session);
    this.changed(session);
    if (member === graph.root) this.retire(graph);
  }

  /** A settled graph is forgotten; its stops stay as tombstones (S6). */
  retire(graph: Graph): void {
    this.clock.clearTimeout(graph.parkTimer);
    this.graphs.delete(graph.id);
    if (graph.root.saved.settled?.status === 'terminated') this.rememberTerminated(graph);
    void this.forget(graph);
    this.store.forget(graph.id);
    this.parking.lookWhetherAllParked();
  }

  /** Without holding anybody up: a graph may have a hundred thousand members. */
  private async forget(graph: Graph): Promise<void> {
    const slice = new Slice(this.clock);
    for (const { node } of graph.members()) {
      this.graphOf.delete(node.id);
      this.kernel.stops.unknow(node);
      if (slice.isOver) await slice.next();
    }
  }

  /** Keeps what a restart would take up, for the last ones. */
  rememberTerminated(graph: Graph): void {
    this.terminatedGraphs.push(graph);
    if (this.terminatedGraphs.length > keptTerminated) this.terminatedGraphs.shift();
  }

  private newMember(parent: LiveSession, call: Call, spec: ChildSpec): Member {
    const { record } = parent.saved;
    const user = spec.userId ?? record.user;
    if (spec.userId !== undefined) checkId('userId', spec.userId);
    const id = call.childId ?? mintId('s-');
    const node = new Node({
      id,
      parent: parent.node,
      workflow: spec.workflow ?? this.workflowOf(spec.agent, record.workflow),
      ...(user === undefined ? {} : { userId: user }),
      ...(record.conversation === undefined ? {} : { conversationId: record.conversation }),
    });
    const child = new Birth(node, spec.agent, this.clock.now(), {
      input: snapshot(`the input of ${spec.agent}`, spec.input),
      parentCall: { turn: call.turn.number, key: call.key },
      ...(spec.inline ? { inline: true } : {}),
    });
    const old = call.inheritsChild === undefined ? undefined : this.inherited(call.inheritsChild);
    if (!old) return { node, saved: newSaved(child), live: undefined };
    return {
      node,
      ...inherit(old, { ...child.toJSON(), ...(old.record.input === undefined ? {} : { input: old.record.input }) }),
      live: undefined,
    };
  }

  /** A child of a run that is taken up, whatever it had come to. */
  private inherited(id: string): Saved | undefined {
    for (const graph of this.terminatedGraphs) {
      const member = graph.get(id);
      if (member) return member.saved;
    }
    return undefined;
  }

  begin(live: LiveSession): void {
    live.member.live = live;
    if (!this.kernel.switchboard.follows(live.node)) this.admit(live.node);
    this.stopping.sessionBegan(live);
    this.changed(live);
    const loose = this.looseToBring.size > 0 ? this.looseToBring.get(live.id) : undefined;
    if (!loose) return;
    this.looseToBring.delete(live.id);
    for (const member of loose) bringLoose(this, live, member);
  }

  /** Tells whoever waits for the end of a session; a parked one ends without being live. */
  ended(id: string, outcome: Promise<Ended>): void {
    const waiter = this.ends.get(id);
    if (!waiter) return;
    this.ends.delete(id);
    void outcome.then(waiter.resolve);
  }

  endOf(id: string): Promise<Ended> {
    const graph = this.graphOf.get(id);
    const member = graph?.get(id);
    if (!graph || !member)
      return Promise.reject(
        new RuntimeError('unknown_session', `no session ${JSON.stringify(String(id).slice(0, 80))} is known here`),
      );
    if (member.saved.settled) {
      const told = new LiveSession(this, graph, member);
      told.recall(member.saved.settled);
      return told.final as Promise<Ended>;
    }
    let waiter = this.ends.get(id);
    if (!waiter) {
      let resolve!: (outcome: Ended) => void;
      const promise = new Promise<Ended>((done) => {
        resolve = done;
      });
      waiter = { promise, resolve };
      this.ends.set(id, waiter);
    }
    return waiter.promise;
  }

  /** Abandons what runs, exactly as a crash would: the journals hold what is needed to go on. */
  async close(): Promise<void> {
    this.parking.close();
    this.isClosed = true;
    this.clock.clearTimeout(this.again);
    this.pacer.close();
    this.ifHeld.close();
    for (const graph of this.graphs.values()) {
      this.clock.clearTimeout(graph.parkTimer);
      for (const { live } of graph.members())
        live?.abandon('this runtime was closed; the session goes on from its checkpoint when it is opened again');
    }
    this.held.clear();
    await this.stopping.close();
    this.listeners.clear();
  }

  // --- breakers ------------------------------------------------------------------------------------------------------

  thresholds(workflow: string): Thresholds {
    return thresholdsFor(this.options.breakers, workflow);
  }

  limiter(workflow: string): Limiter | undefined {
    if (!this.limiters.has(workflow)) {
      const rate = this.thresholds(workflow).callsPerMinute;
      this.limiters.set(workflow, rate === undefined ? undefined : new Limiter(this.clock, rate));
    }
    return this.limiters.get(workflow);
  }

  /** Where each breaker of the workflow trips, or reports. On the path of every call, and nearly always of the workflow before. */
  private reach(workflow: string): Reach {
    if (this.lastReach?.workflow === workflow) return this.lastReach;
    let found = this.reaches.get(workflow);
    if (!found) {
      found = reachOf(workflow, this.thresholds(workflow));
      this.reaches.set(workflow, found);
    }
    this.lastReach = found;
    return found;
  }

  /** What a release of this breaker allows anew, unless it names another amount. */
  thresholdOf(workflow: string, breaker: Breaker): number {
    return this.reach(workflow)[breaker];
  }

  charge(session: LiveSession, breaker: Exclude<Breaker, 'cost'>, measure: (one: LiveSession) => number): void {
    for (let one: LiveSession | undefined = session; one; one = one.parent) {
      const value = measure(one);
      if (value > this.reach(one.workflow)[breaker]) this.check(one, breaker, value);
    }
  }

  reserve(session: LiveSession, micros: number): boolean {
    const { graph } = session;
    const root = graph.root.live;
    const workflow = graph.root.saved.record.workflow;
    const cap = this.thresholds(workflow).costMicros;
    const allowance = cap === undefined ? 0 : this.kernel.stops.allowed(graph.root.node.key, 'cost', cap);
    if (graph.budget.reserve(micros, cap === undefined ? undefined : cap + allowance)) {
      if (cap === undefined && root) this.check(root, 'cost', graph.budget.spent + graph.budget.reserved);
      return true;
    }
    if (root) this.check(root, 'cost', graph.budget.spent + graph.budget.reserved + micros);
    return false;
  }

  private check(session: LiveSession, breaker: Breaker, value: number): void {
    const threshold = this.reach(session.workflow)[breaker];
    if (value <= threshold) return;
    if (!isDeclared(this.thresholds(session.workflow), breaker)) {
      if (session.counters.mayReport(breaker))
        this.emit({ type: 'breaker', session: session.id, breaker, value, limit: threshold, tripped: false });
      return;
    }
    // What was counted outlives a park and a crash, and so does what was allowed of it (recount.ts).
    const isRun = breaker === 'tool-failures' || breaker === 'repeats';
    const limit = threshold + this.kernel.stops.allowed(session.node.key, breaker, isRun ? 0 : threshold);
    if (value <= limit) return;
    for (const entry of this.kernel.stops.actsAgainst(session.node.key))
      if (entry.key.kind === 'act' && entry.key.breaker === breaker) return;
    this.kernel.stops.act(
      { kind: 'act', cause: 'breaker', breaker, action: 'pause', tier: 'instance', subject: session.node.key, id: mintId('b') },
      {
        reason: `breaker ${breaker}: ${value} is over the threshold of ${limit} for ${session.workflow}`,
        by: 'breaker',
        at: this.clock.now(),
        subject: session.id,
      },
    );
    this.emit({ type: 'breaker', session: session.id, breaker, value, limit, tripped: true });
  }

  // --- what changes ----------------------------------------------------------------------------------------------------

  restChanged(session: LiveSession): void {
    this.stopping.restChanged(session);
    if (session.member === session.graph.root) this.parking.rootRestChanged(session);
    this.changed(session);
  }

  /** Something that decides has changed: whoever is held looks again, a few at a time. */
  reconsider(): void {
    if (this.isClosed) return;
    if (this.isReconsidering) this.mustReconsider = true;
    else this.reconsiderSlice(this.held.values(), new Slice(this.clock));
    this.ifHeld.reconsider();
    this.parking.reconsider();
  }

  /** At once as far as a slice goes, the rest in later ones; a change in between is looked for from the beginning after them. */
  private reconsiderSlice(held: Iterator<LiveSession>, slice: Slice): void {
    for (let one = held.next(); !one.done; one = held.next()) {
      const session = one.value;
      if (!session.isHeld) continue;
      const decision = this.decide(session.node);
      if (decision.action === 'terminate') session.stop(decision);
      else if (session.mayWake(decision)) this.pacer.add(session.wakeSoon);
      if (!slice.isOver) continue;
      this.isReconsidering = true;
      void slice.next().then(() => {
        if (!this.isClosed) this.reconsiderSlice(held, slice);
      });
      return;
    }
    this.isReconsidering = false;
    if (!this.mustReconsider) return;
    this.mustReconsider = false;
    this.reconsiderSlice(this.held.values(), slice);
  }

  callEnded(session: LiveSession, call: Call): void {
    this.stopping.callEnded(session, call);
  }

  changed(session: LiveSession): void {
    if (this.listeners.size > 0) this.emit({ type: 'session', session: session.id });
  }

  emit(event: RuntimeEvent): void {
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
}

/** Whom a session detached from this one leaves, from the nearest up. */
function leftBy(from: Node): NonNullable<NonNullable<SessionRecord['detached']>['left']> {
  const left: { workflow?: string; user?: string }[] = [];
  for (let at: Node | undefined = from; at; at = at.parent ?? at.detachedFrom) {
    left.push({
      ...(at.workflow === undefined ? {} : { workflow: at.workflow }),
      ...(at.userId === undefined ? {} : { user: at.userId }),
    });
  }
  return left;
}

/** Stand-ins for them at the next start, when they may have ended: only what their tiers say still counts. */
function leftNodes({ from, left }: NonNullable<SessionRecord['detached']>): Node | undefined {
  let node: Node | undefined;
  for (const { workflow, user } of [...(left ?? [])].reverse()) {
    node = new Node({
      id: from,
      ...(workflow === undefined ? {} : { workflow }),
      ...(user === undefined ? {} : { userId: user }),
      ...(node ? { parent: node } : {}),
    });
  }
  return node;
}

function childOf(graph: Graph, parent: LiveSession, call: Call): string | undefined {
  for (const { node, saved } of graph.members()) {
    const { parentCall, path } = saved.record;
    if (parentCall?.key === call.key && parentCall.turn === call.turn.number && path.at(-2) === parent.id) return node.id;
  }
  return undefined;
}
