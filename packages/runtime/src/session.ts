// session.ts: one live session: where it waits, what it has open, how it ends.
//
// Waiting is a promise that resolves when the gate lets it go on, and never when it may not. A parked or terminated
// session's promises are abandoned: its code is not told, so it cannot act on it (S7, S9).

import { type Decision, effectOf, noticeOf, type Stopped } from '@offswitch/core';
import type { Span } from '@opentelemetry/api';
import type { AgentDefinition } from './agent.ts';
import { Counters } from './breakers.ts';
import { type Call, never } from './call.ts';
import { currentContext, runInContext } from './context.ts';
import type { Engine } from './engine.ts';
import { RuntimeError } from './error.ts';
import type { Graph, Member } from './graph.ts';
import type { JournalRecord } from './journal.ts';
import { Later } from './later.ts';
import type { Limiter } from './limiter.ts';
import { keepsLoose, looseOf } from './loose.ts';
import type { Node } from './node.ts';
import { OpenCalls } from './open-calls.ts';
import type { Outcome, PausedChild } from './outcome.ts';
import { applyRecord, type Saved, type SavedCall, type SavedTurn } from './saved.ts';
import { Slice } from './slices.ts';
import { snapshot } from './snapshot.ts';
import { endSession, noteResumed, noteUsage, startCall, startSession, within } from './telemetry.ts';
import { OpenTurn, type Turn, type Usage } from './turn.ts';

/** A session as its agent sees it. */
export interface Session {
  readonly id: string;
  readonly rootId: string;
  readonly parentId: string | undefined;
  /** Root first, itself last. */
  readonly path: readonly string[];
  readonly agent: string;
  readonly workflow: string;
  readonly userId: string | undefined;
  readonly conversationId: string | undefined;
  /**
   * The last checkpoint: what the last completed turn returned. `undefined` at birth. An agent that looks at it (or at `turnNumber`) before
   * its first turn goes on from there after a park or a crash. One that never looks is replayed: its code runs from the beginning, its
   * completed turns answer from the journal and do nothing again, and the journal of all its turns is kept for that.
   */
  readonly state: unknown;
  /** The last completed turn; 0 at birth. */
  readonly turnNumber: number;
  /** What applies to it now. */
  readonly decision: Decision;
  /** The turn that is open now. For adapters of frameworks. */
  readonly open: Turn | undefined;
  /** Settles once, with whatever comes first: an end, a park, a stop. For adapters, whose streams must end when the session does. */
  readonly outcome: Promise<Outcome>;
  /**
   * One turn. Waits here while the session is paused; what `body` resolves to becomes the checkpoint. Calls still open when it
   * returns are waited for. If `body` rejects, so does this, and there is no checkpoint.
   */
  turn<S>(body: (turn: Turn) => Promise<S>): Promise<S>;
  /** For adapters of frameworks, the same in two halves: ends the open turn with `state` as its checkpoint, waits while paused, begins the next. */
  beginTurn(state?: unknown): Promise<Turn>;
  endTurn(state?: unknown): Promise<void>;
}

// A record without what every record of a session has in common.
type Fact = JournalRecord extends infer R ? (R extends JournalRecord ? Omit<R, 's' | 'e' | 'at'> : never) : never;

export class LiveSession implements Session {
  readonly engine: Engine;
  readonly graph: Graph;
  readonly member: Member;
  /** The call of the parent inside which it lives. */
  readonly parentCall: Call | undefined;
  readonly limiter: Limiter | undefined;
  /** Settles once, with whatever comes first: an end, a park, a stop. */
  get outcome(): Promise<Outcome> {
    this.outcomeLater ??= new Later();
    return this.outcomeLater.promise;
  }
  /** Settles at the end only. */
  get final(): Promise<Outcome> {
    this.finalLater ??= new Later();
    return this.finalLater.promise;
  }
  open: OpenTurn | undefined;
  /** `stopped`: over because it was stopped, parked or taken over: its agent's promises are abandoned. */
  private life: 'live' | 'ended' | 'stopped' = 'live';
  stopping: Stopped | undefined;
  isAtRest = false;
  /** Set only while somebody records. */
  span: Span | undefined;
  calls: OpenCalls | undefined;
  /** Held at a boundary, or before its first turn, since (epoch milliseconds). */
  heldSince: number | undefined;
  private restingCalls = 0;
  private wakers: Set<() => void> | undefined;
  private nextTurn: number;
  /** The agent has looked at its checkpoint, so it goes on from there. One that never looks is replayed from its first turn. */
  private readsState = false;
  private waitsAtBoundary = 0;
  /** Was a turn begun in this life? `waits`: one waits at the gate to be. */
  private begun: 'no' | 'waits' | 'yes' = 'no';
  /** A terminate has come and its calls are being ended, a slice at a time. */
  private isAborting = false;
  private deadline: unknown;
  private outcomeLater: Later<Outcome> | undefined;
  private finalLater: Later<Outcome> | undefined;
  private wakeSoonMade: (() => void) | undefined;

  constructor(engine: Engine, graph: Graph, member: Member, parentCall?: Call) {
    this.engine = engine;
    this.graph = graph;
    this.member = member;
    this.parentCall = parentCall;
    this.limiter = engine.limiter(member.saved.record.workflow);
    this.nextTurn = member.saved.record.inline ? 1 : member.saved.checkpointTurn + 1;
  }

  private resolveOutcome(outcome: Outcome): void {
    this.outcomeLater ??= new Later();
    this.outcomeLater.resolve(outcome);
  }

  private resolveFinal(outcome: Outcome): void {
    this.finalLater ??= new Later();
    this.finalLater.resolve(outcome);
  }

  get isOver(): boolean {
    return this.life !== 'live';
  }
  get isStopped(): boolean {
    return this.life === 'stopped';
  }
  get parent(): LiveSession | undefined {
    return this.parentCall?.session;
  }
  get node(): Node {
    return this.member.node;
  }
  get saved(): Saved {
    return this.member.saved;
  }
  get id(): string {
    return this.member.node.id;
  }
  get rootId(): string {
    return this.graph.id;
  }
  get parentId(): string | undefined {
    return this.parent?.id;
  }
  get path(): readonly string[] {
    return this.saved.record.path;
  }
  get agent(): string {
    return this.saved.record.agent;
  }
  get workflow(): string {
    return this.saved.record.workflow;
  }
  get userId(): string | undefined {
    return this.node.userId;
  }
  get conversationId(): string | undefined {
    return this.node.conversationId;
  }
  get state(): unknown {
    this.readsState = true;
    // A copy: what the agent does to it in a turn that is interrupted is not in the checkpoint.
    return snapshot(`the state of ${this.agent}`, this.saved.state);
  }
  get turnNumber(): number {
    this.readsState = true;
    return this.saved.checkpointTurn;
  }
  get decision(): Decision {
    return this.engine.decide(this.node);
  }
  /** A session is its own async context outside of any call. */
  get session(): LiveSession {
    return this;
  }
  get counters(): Counters {
    this.saved.counters ??= new Counters();
    return this.saved.counters;
  }

  // --- running -----------------------------------------------------------------------------------------------------

  /** Enters the agent's code once the gate lets it: a session that is born paused runs none of it. */
  start(definition: AgentDefinition, input: unknown): void {
    this.span = startSession(this);
    runInContext(this, () => {
      this.pass().then(
        () => this.enterBody(definition, input),
        (error) => this.fail(error),
      );
    });
  }

  /** Callbacks, and no `await`: a session that idles for days inside its agent's code costs no frame of ours. */
  private enterBody(definition: AgentDefinition, input: unknown): void {
    settledBy(() => definition.body(this, input as never)).then(LiveSession.bodyCompleted, LiveSession.bodyFailed);
  }

  // One function for all sessions: a promise's reactions run in the async context they were made in, which is the session's.
  private static bodyCompleted(result: unknown): Promise<void> {
    return currentContext()!.session.complete(result);
  }
  private static bodyFailed(error: unknown): Promise<void> {
    return currentContext()!.session.fail(error);
  }

  private async complete(result: unknown): Promise<void> {
    try {
      await this.finish();
      this.settle('completed', { result });
    } catch (error) {
      await this.fail(error);
    }
  }

  private async fail(error: unknown): Promise<void> {
    if (this.isOver) return;
    await this.joinCalls();
    await this.joinLoose();
    this.settle('failed', { error });
  }

  /** May the agent be given anything now? Sets a terminate in motion that nobody has noticed yet. */
  mayGoOn(): boolean {
    if (this.isOver || this.stopping) return false;
    const decision = this.engine.decide(this.node);
    if (decision.action !== 'terminate') return true;
    this.engine.terminate(this, decision);
    return false;
  }

  turn<S>(body: (turn: Turn) => Promise<S>): Promise<S> {
    if (this.open) {
      const why = `turn ${this.open.number} of ${this.id} is still open; a turn inside a turn is none`;
      return Promise.reject(new RuntimeError('turn_ended', why));
    }
    if (this.begun === 'no' && !this.readsState && this.keepsAllTurns) this.nextTurn = 1;
    const turn = this.newTurn();
    return turn instanceof OpenTurn ? this.inTurn(turn, body) : turn.then((begun) => this.inTurn(begun, body));
  }

  private inTurn<S>(turn: OpenTurn, body: (turn: Turn) => Promise<S>): Promise<S> {
    if (currentContext() === this) return runInContext(turn, LiveSession.turnBody<S>, body);
    // Called from elsewhere: the caller's context is what the body goes on in.
    return settledBy(() => body(turn)).then(
      (state) => this.endTurnOf(turn, state).then(() => state),
      (error) =>
        this.failTurn(turn, error).then(() => {
          throw error;
        }),
    );
  }

  // The same again, the turn being the context: what waits in a turn for days costs no function of its own.
  private static turnBody<S>(body: (turn: Turn) => Promise<S>): Promise<S> {
    return settledBy(() => body(currentContext() as OpenTurn)).then(LiveSession.turnEnded<S>, LiveSession.turnFailed);
  }
  private static async turnEnded<S>(state: S): Promise<S> {
    const turn = currentContext() as OpenTurn;
    await turn.session.endTurnOf(turn, state);
    return state;
  }
  private static async turnFailed(error: unknown): Promise<never> {
    const turn = currentContext() as OpenTurn;
    await turn.session.failTurn(turn, error);
    throw error;
  }

  /** A turn that had failed fails again when it is replayed: what the agent did about it is in the journal too. */
  private async endTurnOf(turn: OpenTurn, state: unknown): Promise<void> {
    if (turn.failedBefore === undefined) return this.closeTurn(turn, state);
    await this.failTurn(turn, undefined);
    throw new Error(turn.failedBefore);
  }

  async beginTurn(state?: unknown): Promise<Turn> {
    if (this.open) await this.closeTurn(this.open, state);
    return this.newTurn();
  }

  async endTurn(state?: unknown): Promise<void> {
    if (this.open) await this.closeTurn(this.open, state);
  }

  /** The end of the agent's code: whatever is open is waited for, so that a settled session has a settled subtree. */
  private async finish(): Promise<void> {
    if (this.open) await this.closeTurn(this.open, this.saved.state, true);
    await this.joinCalls();
    await this.joinLoose();
    if (!this.mayGoOn()) await never();
  }

  /** At once when nothing holds it; else when it may go on. */
  private newTurn(): OpenTurn | Promise<OpenTurn> {
    if (this.isOver)
      return this.isStopped ? never() : Promise.reject(new RuntimeError('session_ended', `session ${this.id} has ended`));
    if (this.begun === 'waits') {
      return Promise.reject(
        new RuntimeError('turn_ended', `a turn of ${this.id} is being begun already; one loop, one turn at a time`),
      );
    }
    this.begun = 'yes';
    const number = this.nextTurn;
    const before = this.saved.turns.find((turn) => turn.number === number);
    // A turn that is only replayed was counted when it was begun.
    if (!before && number > this.saved.lastTurnCharged) {
      this.saved.lastTurnCharged = number;
      this.chargeTurn();
    }
    if (!this.stopping && this.engine.decide(this.node).action === 'run') return this.openTurn(number, before);
    this.begun = 'waits';
    return this.pass().then(() => {
      this.begun = 'yes';
      return this.openTurn(number, before);
    });
  }

  private openTurn(number: number, before: SavedTurn | undefined): OpenTurn {
    this.nextTurn = number + 1;
    const turn = new OpenTurn(this, number, before?.calls ?? []);
    turn.failedBefore = before?.failed;
    this.open = turn;
    if (!before) this.write({ t: 'turn', turn: number });
    this.engine.changed(this);
    return turn;
  }

  private async closeTurn(turn: OpenTurn, state: unknown, isLast = false): Promise<void> {
    await this.quiesce(turn);
    if (this.isOver || this.stopping) return never();
    let kept: unknown;
    try {
      kept = snapshot(`the state that turn ${turn.number} of ${this.agent} returned`, state);
    } catch (error) {
      // Without a checkpoint the turn has failed, and what it did is kept for the day it is run again.
      await this.failTurn(turn, error);
      throw error;
    }
    turn.isEnded = true;
    this.open = undefined;
    // What is replayed from its first turn keeps them all.
    if (this.saved.record.inline || !this.readsState) this.keepTurn(turn);
    if (isLast || turn.number <= this.saved.checkpointTurn) return;
    const read = this.readsState ? ({ read: true } as const) : {};
    this.write({ t: 'checkpoint', turn: turn.number, ...read, ...(kept === undefined ? {} : { state: kept }) });
    this.engine.changed(this);
  }

  /** Waits until nothing of the turn is under way; a call may be made by what another one's end set going. */
  private async quiesce(turn: OpenTurn): Promise<void> {
    do {
      await this.joinCalls();
      await this.settleUnmatched(turn);
    } while (!this.isOver && this.calls !== undefined && this.calls.size > 0);
  }

  /** Is every turn up to the checkpoint in the journal still? Then an agent that does not look at it can be replayed. */
  private get keepsAllTurns(): boolean {
    const { turns, checkpointTurn } = this.saved;
    for (let number = 1; number <= checkpointTurn; number++) if (!turns.some((turn) => turn.number === number)) return false;
    return true;
  }

  private async failTurn(turn: OpenTurn, error: unknown): Promise<void> {
    // An effect that the failed turn did not come to again must not be made by the turn that is tried instead of it.
    await this.quiesce(turn);
    if (this.isOver || this.stopping) return never();
    turn.isEnded = true;
    this.open = undefined;
    this.keepTurn(turn);
    if (turn.failedBefore !== undefined) return;
    this.write({ t: 'turn-failed', turn: turn.number, error: messageOf(error) });
  }

  /** An effect in the journal that the turn, run again, did not make: a person must say what it means (S7). */
  private async settleUnmatched(turn: OpenTurn): Promise<void> {
    for (const before of turn.replay?.values() ?? []) {
      if (before.kind !== 'tool' || before.class !== 'effect' || before.outcome === 'not-sent' || before.outcome === 'failed')
        continue;
      while (!this.isOver && this.engine.resolution(this.id, before.id) === undefined) {
        const call = turn.adopt(before);
        this.track(call);
        await this.waitForPerson(
          call,
          `${before.name} was called before the interruption and not again after it; the turn's history does not show it`,
        );
        this.untrack(call);
      }
    }
  }

  private async joinCalls(): Promise<void> {
    while (this.calls && this.calls.size > 0) await Promise.all([...this.calls].map((call) => call.ended()));
  }

  /** Its code has ended: what it started and waits for no longer ends before it does. */
  private async joinLoose(): Promise<void> {
    const loose = looseOf(this);
    if (!loose) return;
    const none = loose.none();
    this.checkRest();
    await none;
  }

  // --- waiting -----------------------------------------------------------------------------------------------------

  /** Waits at a turn boundary while the session is paused. Inside a turn, `call` is what waits. */
  async pass(call?: Call): Promise<void> {
    for (;;) {
      if (this.isOver || this.stopping) return never();
      const decision = this.engine.decide(this.node);
      if (decision.action === 'run') return;
      if (decision.action === 'terminate') {
        this.engine.terminate(this, decision);
        return never();
      }
      await this.hold(call);
    }
  }

  /** Waits before a call while something holds calls and not only turns: a tripped breaker, a store that failed. */
  async passCall(call: Call): Promise<void> {
    for (;;) {
      if (!this.mayGoOn()) return never();
      if (!this.engine.mustHold(this.node)) return;
      await this.hold(call);
    }
  }

  /** Rests until a person (or another process that heard one) says what became of a call. */
  async waitForPerson(call: Call, why: string): Promise<void> {
    call.waitsForPerson = `${why}; say it with: offswitch resolve ${this.id} ${call.id} --happened | --did-not`;
    this.engine.alarm(`session ${this.id} rests: ${call.waitsForPerson}`);
    while (!this.isOver && this.engine.resolution(this.id, call.id) === undefined) await this.hold(call);
    call.waitsForPerson = undefined;
    if (!this.mayGoOn()) await never();
  }

  async hold(call: Call | undefined): Promise<void> {
    if (this.heldSince === undefined) {
      this.heldSince = this.engine.clock.now();
      if (this.span) this.engine.notePaused(this);
    }
    await new Promise<void>((resolve) => {
      // Before it counts as at rest: whoever hears of that asks what holds it.
      this.wakers ??= new Set();
      this.wakers.add(resolve);
      this.engine.held.add(this);
      if (call) this.setResting(call, true);
      else this.waitsAtBoundary++;
      this.checkRest();
      this.engine.changed(this);
    });
    if (call) this.setResting(call, false);
    else this.waitsAtBoundary--;
  }

  /** Milliseconds. Ends never for a session that is over: its timer goes with it. */
  sleep(ms: number): Promise<void> {
    if (this.isOver) return never();
    return new Promise((resolve) => {
      const sleeps = sleepers.get(this) ?? new Set();
      sleepers.set(this, sleeps);
      const timer = this.engine.clock.setTimeout(() => {
        sleeps.delete(timer);
        resolve();
      }, ms);
      sleeps.add(timer);
    });
  }

  get isHeld(): boolean {
    return this.wakers !== undefined && this.wakers.size > 0;
  }

  /** Would anything that waits here go on now? A boundary needs the gate's word; a call, that nothing holds calls; an unknown outcome, a person's. */
  mayWake(decision: Decision): boolean {
    if (this.waitsAtBoundary > 0 && decision.action === 'run') return true;
    for (const call of this.calls ?? []) {
      if (!call.isResting || call.childSession) continue;
      const mayGo =
        call.waitsForPerson === undefined
          ? !this.engine.mustHold(this.node) && (call.kind !== 'model' || decision.action === 'run')
          : this.engine.resolution(this.id, call.id) !== undefined;
      if (mayGo) return true;
    }
    return false;
  }

  /** For the pacer, which runs one function once. */
  get wakeSoon(): () => void {
    this.wakeSoonMade ??= () => this.wake(true);
    return this.wakeSoonMade;
  }

  /** Lets everything that waits look again. A resume after a stop claims a higher session epoch first (S7). */
  wake(isResume: boolean): void {
    if (this.isOver || !this.isHeld) return;
    if (isResume && !this.engine.claim(this)) return;
    const wakers = this.wakers!;
    this.wakers = undefined;
    this.engine.held.delete(this);
    this.heldSince = undefined;
    if (this.span) noteResumed(this);
    for (const waker of wakers) waker();
    this.checkRest();
    this.engine.changed(this);
  }

  /** A child began or ended to rest. */
  private childRests(call: Call, isResting: boolean): void {
    if (this.engine.ifHeld.restChanged(call)) return;
    const loose = looseOf(this);
    if (!loose?.has(call)) {
      this.setResting(call, isResting);
      return;
    }
    loose.rests(call, isResting);
    this.checkRest();
  }

  setResting(call: Call, isResting: boolean): void {
    if (call.isResting === isResting) return;
    call.isResting = isResting;
    this.restingCalls += isResting ? 1 : -1;
    this.checkRest();
  }

  /**
   * At rest: held at a boundary, or every open call of its turn is held or waits on something at rest (S8); and so is every
   * child that goes on without a call.
   */
  private checkRest(): void {
    const loose = looseOf(this);
    const isAtRest =
      !this.isOver &&
      (this.open || this.restingCalls > 0
        ? this.calls !== undefined && this.calls.size > 0 && this.restingCalls === this.calls.size
        : this.isHeld || loose?.isAwaited === true) &&
      (loose === undefined || loose.areAtRest);
    if (isAtRest === this.isAtRest) return;
    this.isAtRest = isAtRest;
    if (this.parent && this.parentCall) this.parent.childRests(this.parentCall, isAtRest);
    this.engine.restChanged(this);
  }

  // --- calls -------------------------------------------------------------------------------------------------------

  track(call: Call): void {
    this.calls ??= new OpenCalls();
    if (this.calls.has(call)) return;
    this.calls.add(call);
    call.turn.made(call);
    if (this.isAtRest) this.checkRest();
  }

  private untrack(call: Call): void {
    if (call.isResting) this.setResting(call, false);
    this.calls?.delete(call);
    if (this.restingCalls > 0) this.checkRest();
  }

  /** Counts the call against the breakers; false when one is tripped now and the call must wait. */
  charge(call: Call): boolean {
    if (call.kind !== 'tool') return true;
    call.isCharged = true;
    if (call.class === 'effect' || call.class === 'idempotent')
      this.engine.charge(this, 'actions', (one) => ++one.saved.actionsCharged);
    this.engine.charge(this, 'repeats', (one) => one.counters.called(call.recognised));
    return !this.engine.mustHold(this.node);
  }

  chargeTurn(): void {
    this.engine.charge(this, 'turns', (one) => ++one.saved.turnsCharged);
  }

  /** A call that was counted and then waited until its session was parked is counted when it is made. */
  private uncharge(call: Call): void {
    if (!call.isCharged || call.isSent) return;
    const isAction = call.kind === 'tool' && (call.class === 'effect' || call.class === 'idempotent');
    for (let one: LiveSession | undefined = this; one; one = one.parent) {
      if (isAction) one.saved.actionsCharged--;
      if (call.kind === 'tool') one.saved.counters?.uncalled(call.recognised);
      else one.saved.turnsCharged--;
    }
  }

  /** Writes the intent. False when the store refused it: then the call must not be made. */
  intend(call: Call, at: number = this.engine.clock.now()): boolean {
    if (call.isKnown) return true;
    const { turn, key, id, kind, name, class: of, childId } = call;
    // Written out, as the end is below: this is on the path of every call.
    const record = {
      t: 'call',
      s: this.id,
      e: this.saved.epoch,
      at,
      turn: turn.number,
      key,
      id,
      kind,
      name,
      class: of,
    } as const;
    call.isIntended = this.engine.append(this.graph, childId === undefined ? record : { ...record, child: childId });
    return call.isIntended;
  }

  /** Runs the body; the promise is settled for the agent only while it may go on. */
  invoke<R>(call: Call, body: () => Promise<R> | R, usageOf?: (reply: R) => Usage | undefined): Promise<R> {
    call.isSent = true;
    let result: Promise<R> | R;
    try {
      call.span = startCall(call);
      result = call.span ? runInContext(call, within, call.span, body as () => Promise<R> | R) : runInContext(call, body);
    } catch (error) {
      return this.failCall(call, error) ? Promise.reject(error) : never();
    }
    let isLater: boolean;
    try {
      isLater = isThenable(result);
    } catch (error) {
      return this.failCall(call, error) ? Promise.reject(error) : never();
    }
    if (!isLater) {
      try {
        return Promise.resolve(this.deliver(call, result as R, usageOf));
      } catch (error) {
        return Promise.reject(error);
      }
    }
    return Promise.resolve(result).then(
      (value) => this.deliver(call, value, usageOf),
      (error) => {
        if (this.failCall(call, error)) throw error;
        return never<R>();
      },
    );
  }

  private deliver<R>(call: Call, value: R, usageOf: ((reply: R) => Usage | undefined) | undefined): R | Promise<R> {
    let usage: Usage | undefined;
    try {
      usage = usageOf?.(value);
    } catch (error) {
      if (this.failCall(call, error)) throw error;
      return never();
    }
    let isDeliverable: boolean;
    try {
      isDeliverable = this.completeCall(call, value, usage);
    } catch (error) {
      if (this.mayGoOn()) throw error;
      return never();
    }
    return isDeliverable ? value : never();
  }

  /** Records a call's result; true when the agent may have it. Throws `not_serialisable` after recording that it happened. */
  completeCall(call: Call, value: unknown, usage?: Usage): boolean {
    if (call.outcome !== undefined) return this.endLate(call, { ...(value === undefined ? {} : { value }) });
    this.endInline(call, 'completed');
    const costMicros = this.settleCost(call, usage);
    let broken: unknown;
    try {
      // The agent gets the value itself and may change it.
      call.value = snapshot(call.name, value);
      this.writeEnd(call, call.value, costMicros);
    } catch (error) {
      broken = error;
      call.value = undefined;
      this.writeEnd(call, undefined, costMicros);
    }
    this.untrack(call);
    if (call.span) noteUsage(call.span, usage);
    call.end('completed');
    if (call.kind === 'tool' && this.saved.counters) this.toolEnded(call.name, false);
    this.engine.callEnded(this, call);
    if (broken !== undefined) throw broken;
    return this.mayGoOn();
  }

  /** Records a call's failure; true when the agent may be told. */
  failCall(call: Call, error: unknown): boolean {
    if (call.outcome !== undefined) return this.endLate(call, { error: messageOf(error) });
    this.endInline(call, 'failed', error);
    call.error = messageOf(error);
    this.settleCost(call, undefined);
    this.write({ t: 'end', turn: call.turn.number, key: call.key, outcome: 'failed', error: call.error });
    this.untrack(call);
    call.end('failed');
    if (call.kind === 'tool') this.toolEnded(call.name, true);
    this.engine.callEnded(this, call);
    return this.mayGoOn();
  }

  /** Answers a spawn with the pause of its child, which goes on without a call; true when the agent may have it (S8). */
  letGo(call: Call, pause: PausedChild): boolean {
    const isDeliverable = this.completeCall(call, pause);
    if (call.childSession && !call.childSession.isOver) keepsLoose(this).add(call);
    return isDeliverable;
  }

  /** An end taken from the journal: nothing is written, nothing is charged again. */
  answer(call: Call, outcome: 'completed' | 'failed', value: unknown): void {
    call.value = value;
    this.untrack(call);
    call.end(outcome);
  }

  /** It came after the stop: recorded, not delivered. */
  private endLate(call: Call, what: { readonly value?: unknown; readonly error?: string }): boolean {
    // A call that we aborted and that then fails is just that; only a result, or the end of an effect, is news.
    if (!(call.outcome === 'unknown' || (call.outcome === 'aborted' && what.error === undefined))) return false;
    call.outcome = 'late';
    for (const turn of this.saved.turns)
      for (const kept of turn.calls) if (turn.number === call.turn.number && kept.key === call.key) kept.outcome = 'late';
    try {
      this.write({ t: 'end', turn: call.turn.number, key: call.key, outcome: 'late', ...what });
    } catch {
      this.write({ t: 'end', turn: call.turn.number, key: call.key, outcome: 'late' });
    }
    this.engine.callEnded(this, call);
    return false;
  }

  /** A session that lives inside a call's body ends with it. */
  private endInline(call: Call, status: 'completed' | 'failed', error?: unknown): void {
    const child = call.childSession;
    if (child && !child.isOver && child.saved.record.inline) child.settle(status, { error });
  }

  private settleCost(call: Call, usage: Usage | undefined): number {
    const micros = usage?.costMicros;
    const actual = micros !== undefined && Number.isSafeInteger(micros) && micros >= 0 ? micros : call.reservedMicros;
    if (actual !== 0 || call.reservedMicros !== 0) this.graph.budget.settle(call.reservedMicros, actual);
    call.reservedMicros = 0;
    return actual;
  }

  private toolEnded(name: string, hasFailed: boolean): void {
    this.engine.charge(this, 'tool-failures', (one) => one.counters.toolEnded(name, hasFailed));
  }

  detach(call: Call, agent: string, input: unknown, options: { readonly reason: string; readonly owner: string }): string {
    const definition = this.engine.definition(agent);
    if (!definition)
      throw new RuntimeError('agent_not_registered', `the agent ${JSON.stringify(agent)} is not defined in this process`);
    this.track(call);
    const before = call.turn.replay?.get(call.key);
    if (before?.child) {
      call.turn.replay!.delete(call.key);
      call.savedId = before.id;
      this.answer(call, 'completed', before.child);
      return before.child;
    }
    let child: LiveSession | undefined;
    try {
      child = this.engine.child(this, call, {
        agent,
        definition,
        input,
        detached: { reason: options.reason, owner: options.owner },
      });
    } catch (error) {
      // Refused: the turn must not wait for it.
      this.failCall(call, error);
      throw error;
    }
    this.completeCall(call, child!.id);
    return child!.id;
  }

  // --- ending ------------------------------------------------------------------------------------------------------

  write(fact: Fact): boolean {
    const record = { ...fact, s: this.id, e: this.saved.epoch, at: this.engine.clock.now() } as JournalRecord;
    const isWritten = this.engine.append(this.graph, record);
    // The open turn and what its calls say are kept in the turn itself, and folded in when it is parked.
    if (record.t !== 'turn' && record.t !== 'call' && record.t !== 'end') applyRecord(this.saved, record);
    else if (record.t === 'end' && record.costMicros !== undefined) this.saved.costMicros += record.costMicros;
    return isWritten;
  }

  private writeEnd(call: Call, value: unknown, costMicros: number): void {
    const { turn, key } = call;
    const s = this.id;
    const e = this.saved.epoch;
    const at = this.engine.clock.now();
    const record: JournalRecord =
      value === undefined
        ? { t: 'end', s, e, at, turn: turn.number, key, outcome: 'completed' }
        : { t: 'end', s, e, at, turn: turn.number, key, outcome: 'completed', value };
    this.engine.append(this.graph, costMicros === 0 ? record : { ...record, costMicros });
    this.saved.costMicros += costMicros;
  }

  /** Keeps the calls of a turn for the day it is run again. */
  private keepTurn(turn: OpenTurn): void {
    const calls = turn.toSaved();
    const kept = this.saved.turns.find((one) => one.number === turn.number);
    if (kept) kept.calls = calls;
    else this.saved.turns = [...this.saved.turns, { number: turn.number, calls }];
  }

  /** Rests for good in this life: memory is freed, the checkpoint and the interrupted turn stay. The inner promises are abandoned. */
  park(decision: Stopped, unknownCalls: readonly string[]): void {
    if (this.isOver) return;
    for (const call of this.calls ?? []) {
      this.takeBack(call);
      this.uncharge(call);
    }
    if (this.open) this.keepTurn(this.open);
    this.write({ t: 'parked', ...(decision.stopId === undefined ? {} : { stopId: decision.stopId }) });
    this.leave('paused');
    this.resolveOutcome({
      status: 'paused',
      session: this.id,
      decision,
      notice: decision.notice,
      checkpointTurn: this.saved.checkpointTurn,
      unknownCalls,
    });
  }

  /** Written down, never sent: nothing to ask a person about. */
  private takeBack(call: Call): void {
    // What is entered again reserves again; what was sent may have cost its reserve.
    const spent = call.isSent && call.class === 'effect' ? call.reservedMicros : 0;
    if (call.reservedMicros > 0) this.graph.budget.settle(call.reservedMicros, spent);
    call.reservedMicros = 0;
    if (call.isSent || call.isKnown || call.outcome !== undefined || call.waitsForPerson !== undefined || call.childId) return;
    if (call.isIntended && call.class !== 'effect') return;
    call.outcome = 'not-sent';
    if (call.isIntended) this.write({ t: 'end', turn: call.turn.number, key: call.key, outcome: 'not-sent' });
  }

  /** Another process took it over, or this one closes: this copy writes and does nothing more. */
  abandon(why: string): void {
    if (this.isOver) return;
    const decision: Stopped = { ...abandoned, reason: why, since: this.engine.clock.now() };
    for (const call of this.calls ?? []) if (call.class !== 'effect') call.abort(decision);
    this.leave('paused');
    this.resolveOutcome({
      status: 'paused',
      session: this.id,
      decision,
      notice: decision.notice,
      checkpointTurn: this.saved.checkpointTurn,
      unknownCalls: [],
    });
  }

  /**
   * Terminates it: what only reads is aborted at once, effects in flight get until the deadline and are then of unknown
   * outcome. The session is marked when its children are.
   */
  stop(decision: Stopped): void {
    if (this.isOver || this.stopping) return;
    this.stopping = decision;
    const calls = [...(this.calls ?? [])];
    const slice = new Slice(this.engine.clock);
    const left = this.abortCalls(calls, 0, slice);
    if (left < calls.length) void this.abortRest(calls, left, slice);
    else this.aborted();
  }

  /** Ends what a terminate ends at once, for one slice; answers how far it came. */
  private abortCalls(calls: readonly Call[], from: number, slice: Slice): number {
    for (let i = from; i < calls.length; i++) {
      const call = calls[i]!;
      if (!call.isSent)
        this.endStopped(call, call.class === 'effect' && call.waitsForPerson !== undefined ? 'unknown' : 'not-sent');
      else if (call.class !== 'effect' && call.kind !== 'spawn') this.endStopped(call, 'aborted');
      if (slice.isOver) return i + 1;
    }
    return calls.length;
  }

  /** So many calls that aborting them all at once would hold everybody else. */
  private async abortRest(calls: readonly Call[], from: number, slice: Slice): Promise<void> {
    this.isAborting = true;
    for (let at = from; at < calls.length && !this.isOver; ) {
      await slice.next();
      at = this.abortCalls(calls, at, slice);
    }
    this.isAborting = false;
    this.aborted();
  }

  private aborted(): void {
    if (this.isOver || this.tryMark()) return;
    this.deadline = this.engine.clock.setTimeout(() => {
      this.deadline = past;
      for (const call of [...(this.calls ?? [])]) if (call.isSent && call.class === 'effect') this.endStopped(call, 'unknown');
      this.tryMark();
    }, this.engine.effectDeadlineMs);
  }

  private endStopped(call: Call, outcome: 'aborted' | 'not-sent' | 'unknown'): void {
    const hadChild = call.childSession !== undefined && !call.childSession.isOver;
    call.abort(this.stopping);
    if (call.reservedMicros > 0) {
      // What was not sent costs nothing; what was may have cost its reserve.
      this.graph.budget.settle(call.reservedMicros, outcome === 'not-sent' ? 0 : call.reservedMicros);
      call.reservedMicros = 0;
    }
    if (hadChild) return;
    this.write({ t: 'end', turn: call.turn.number, key: call.key, outcome });
    this.untrack(call);
    call.end(outcome);
    this.engine.callEnded(this, call);
  }

  /** Marks it terminated once nothing of it is in flight and its children are settled: leaves first, the root last. */
  tryMark(): boolean {
    if (!this.stopping || this.isOver || this.isAborting || (looseOf(this)?.count ?? 0) > 0) return false;
    for (const call of this.calls ?? []) {
      if (call.childSession && !call.childSession.isOver) return false;
      if (call.isSent && call.class === 'effect') {
        if (this.deadline !== past) return false;
        call.childSession = undefined;
        this.endStopped(call, 'unknown');
        continue;
      }
      if (call.kind === 'spawn' || call.childSession) {
        call.childSession = undefined;
        this.endStopped(call, 'aborted');
      }
    }
    const decision = this.stopping;
    this.settle('terminated', { decision });
    return true;
  }

  /** A child of one of its calls is over. */
  private childOver(call: Call): void {
    const loose = looseOf(this);
    if (loose?.has(call)) {
      loose.delete(call);
      this.checkRest();
    }
    if (this.stopping) this.tryMark();
  }

  private settle(
    status: 'completed' | 'failed' | 'terminated',
    how: { readonly result?: unknown; readonly error?: unknown; readonly decision?: Stopped },
  ): void {
    if (this.isOver) return;
    if (this.open && status === 'terminated') this.keepTurn(this.open);
    let { error } = how;
    try {
      const result = snapshot(`the result of ${this.agent}`, how.result);
      this.write({
        t: 'settled',
        status,
        ...(result === undefined ? {} : { result }),
        ...(error === undefined ? {} : { error: messageOf(error) }),
        ...(how.decision?.stopId === undefined ? {} : { stopId: how.decision.stopId }),
      });
    } catch (failure) {
      // The result is no plain data: then the run has failed, and says so.
      error = failure;
      this.write({ t: 'settled', status: 'failed', error: messageOf(failure) });
    }
    this.leave(error === undefined ? status : 'failed');
    const outcome: Outcome =
      status === 'failed' || error !== undefined
        ? { status: 'failed', session: this.id, error }
        : how.decision
          ? {
              status: 'terminated',
              session: this.id,
              decision: how.decision,
              notice: how.decision.notice,
              receipt: how.decision.stopId ?? '',
            }
          : { status: 'completed', session: this.id, result: how.result };
    this.resolveOutcome(outcome);
    this.resolveFinal(outcome);
    this.engine.settled(this);
    if (this.parentCall) this.parent?.childOver(this.parentCall);
  }

  /** A session that had ended before: its end is told again. */
  recall(settled: NonNullable<Saved['settled']>): void {
    this.life = 'ended';
    const id = this.id;
    switch (settled.status) {
      case 'completed':
        this.resolveFinal({ status: 'completed', session: id, result: snapshot(`the result of ${this.agent}`, settled.result) });
        return;
      case 'failed':
        this.resolveFinal({ status: 'failed', session: id, error: new Error(settled.error ?? `${this.agent} failed`) });
        return;
      case 'terminated': {
        const decision = this.engine.decide(this.node);
        this.resolveFinal({
          status: 'terminated',
          session: id,
          decision: decision.action === 'terminate' ? decision : { ...terminatedBefore, since: settled.at },
          notice: terminatedBefore.notice,
          receipt: settled.stopId ?? '',
        });
      }
    }
  }

  private leave(how: 'completed' | 'failed' | 'paused' | 'terminated'): void {
    const isStopped = how === 'paused' || how === 'terminated';
    endSession(this.span, how, this.stopping?.reason);
    this.life = isStopped ? 'stopped' : 'ended';
    if (this.deadline !== past) this.engine.clock.clearTimeout(this.deadline);
    for (const timer of sleepers.get(this) ?? []) this.engine.clock.clearTimeout(timer);
    sleepers.delete(this);
    this.wakers = undefined;
    this.engine.held.delete(this);
    if (this.isAtRest) {
      this.isAtRest = false;
      if (this.parent && this.parentCall && !this.parent.isOver) this.parent.childRests(this.parentCall, false);
    }
  }

  /** The calls of the turn that is open, as people see them. */
  openCalls(): SavedCall[] {
    return this.open?.toSaved() ?? [];
  }
}

/** In the place of the deadline's timer once it has passed. */
const past: unique symbol = Symbol('past');

/** Timers of sessions whose calls wait for the limiter: few, so that the others carry no field for it. */
const sleepers = new WeakMap<LiveSession, Set<unknown>>();

const abandoned: Stopped = {
  action: 'pause',
  tier: 'instance',
  cause: 'unknown',
  reason: '',
  effect: 'It rests at its last checkpoint; what was under way then is taken up from the journal.',
  notice: noticeOf('pause'),
  since: 0,
};

const terminatedBefore: Stopped = {
  action: 'terminate',
  tier: 'instance',
  cause: 'operator',
  reason: 'it was terminated before',
  effect: effectOf('instance'),
  notice: noticeOf('terminate'),
  since: 0,
};

function isThenable(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

/** The promise of a body that may also throw, or answer with no promise. */
function settledBy<R>(body: () => Promise<R> | R): Promise<R> {
  try {
    return Promise.resolve(body());
  } catch (error) {
    return Promise.reject(error);
  }
}

export function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  } catch {
    return 'an error that cannot be shown';
  }
}
