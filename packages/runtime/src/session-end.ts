// session-end.ts: how a session ends, or rests for good in this life: parked, taken over, terminated, settled.
//
// A parked or terminated session's promises are abandoned: its code is not told, so it cannot act on it (S7, S9).

import { type Decision, effectOf, noticeOf, type Stopped } from '@offswitch/core';
import type { Call } from './call.ts';
import type { Ended } from './ends.ts';
import { messageOf } from './error-text.ts';
import { giveUp } from './given-up.ts';
import { liveInside, looseOf } from './loose.ts';
import type { Outcome } from './outcome.ts';
import { applyRecord, type Saved } from './saved.ts';
import type { LiveSession } from './session.ts';
import { RestingSession, sleepers } from './session-rest.ts';
import type { Fact } from './session-state.ts';
import { Slice } from './slices.ts';
import { snapshot } from './snapshot.ts';
import { endSession } from './telemetry.ts';

export abstract class EndingSession extends RestingSession {
  /** A terminate has come and its calls are being ended, a slice at a time. */
  private isAborting = false;
  private deadline: unknown;

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
    if (call.reservedMicros > 0) this.engine.spend(call, spent);
    if (call.isSent || call.isKnown || call.outcome !== undefined || call.waitsForPerson !== undefined || call.childId) return;
    if (call.isIntended && call.class !== 'effect') return;
    call.outcome = 'not-sent';
    if (call.isIntended) this.write({ t: 'end', turn: call.turn.number, key: call.key, outcome: 'not-sent' });
  }

  /** A call that was counted and then waited until its session was parked is counted when it is made. */
  private uncharge(call: Call): void {
    if (!call.isCharged || call.isSent) return;
    const isAction = call.kind === 'tool' && (call.class === 'effect' || call.class === 'idempotent');
    for (let one: LiveSession | undefined = this.session; one; one = one.parent) {
      if (isAction) one.saved.actionsCharged--;
      if (call.kind === 'tool') one.saved.counters?.uncalled(call.recognised);
      else one.saved.turnsCharged--;
    }
  }

  /** Another process took it over, or this one closes: this copy writes and does nothing more. */
  abandon(why: string): void {
    if (this.isOver) return;
    const decision: Stopped = { ...abandoned, reason: why, since: this.engine.clock.now() };
    for (const call of this.calls ?? []) if (call.class !== 'effect') call.abort(decision);
    this.leave('paused');
    this.engine.grants.left(this.id, this.stopping?.stopId);
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
      // Between two slices it may have come to an end of its own.
      if (call.outcome !== undefined) continue;
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
      void this.endOverdue();
    }, this.engine.effectDeadlineMs);
  }

  /** Effects that did not end in time are of unknown outcome. */
  private async endOverdue(): Promise<void> {
    this.isAborting = true;
    const slice = new Slice(this.engine.clock);
    for (const call of [...(this.calls ?? [])]) {
      if (this.isOver) return;
      if (call.isSent && call.class === 'effect' && call.outcome === undefined) this.endStopped(call, 'unknown');
      if (slice.isOver) await slice.next();
    }
    this.isAborting = false;
    this.tryMark();
  }

  private endStopped(call: Call, outcome: 'aborted' | 'not-sent' | 'unknown'): void {
    const hadChild = call.childSession !== undefined && !call.childSession.isOver;
    call.abort(this.stopping);
    if (call.reservedMicros > 0) {
      // What was not sent costs nothing; what was may have cost its reserve.
      this.engine.spend(call, outcome === 'not-sent' ? 0 : call.reservedMicros);
    }
    if (hadChild) return;
    this.write({ t: 'end', turn: call.turn.number, key: call.key, outcome });
    this.untrack(call);
    call.end(outcome);
    this.engine.callEnded(this.session, call);
  }

  /** Marks a stopped one terminated once nothing of it is in flight and its children are settled: leaves first, the root last. */
  tryMark(): boolean {
    if (!this.stopping || this.isOver || this.isAborting || (looseOf(this.session)?.count ?? 0) > 0) return false;
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
    if (this.engine.isAnyLeftUnder(this.session)) return false;
    const decision = this.stopping;
    this.settle('terminated', { decision });
    return true;
  }

  /** A child of one of its calls is over. */
  childOver(call: Call): void {
    const loose = looseOf(this.session);
    if (loose?.has(call)) {
      loose.delete(call);
      this.checkRest();
    }
    if (this.stopping) this.tryMark();
    else if (call.childSession?.saved.record.inline && call.childSession.stopping && call.outcome === undefined && this.mayGoOn())
      giveUp(call, call.childSession);
  }

  protected settle(status: Ending['status'], how: Omit<Ending, 'status'>): void {
    // A terminate is the stronger end of one that is not taken down yet.
    if (this.isOver || (refused.has(this) && status !== 'terminated')) return;
    this.endAs({ status, ...how });
  }

  /**
   * The body of the call inside which it lives has ended: it ends with that, or after the last that it began there, which may do something yet. What only
   * reads is left alone; what a terminate ends is its to end.
   */
  endWithCall(status: 'completed' | 'failed', error: unknown): void {
    void this.endAfterAll(
      () => this.settle(status, { error }),
      () => this.acting(),
    );
  }

  private acting(): readonly Call[] {
    return [...(this.calls ?? [])].filter((call) => call.class !== 'read' || liveInside(call));
  }

  /** Tries again with an end that the store refused to take down. */
  end(): void {
    const ending = refused.get(this);
    if (!ending || this.isOver) return;
    if (ending.status === 'terminated') this.endAs(ending);
    // What it began meanwhile ends before it does.
    else void this.endAfterAll(() => this.endAs(ending), this.saved.record.inline ? () => this.acting() : undefined);
  }

  /**
   * It has ended when that is taken down, and is told of then: where the store refuses it, it is tried again. One that was called completed and
   * is run again after a crash would have ended twice (I9, S10).
   */
  private endAs(ending: Ending): void {
    if (!this.engine.endLeftUnder(this.session)) {
      this.endLater(ending);
      return;
    }
    // Who hears of it may have closed this runtime.
    if (this.isOver) return;
    const { status, ...how } = ending;
    if (this.open && status === 'terminated') this.keepLastTurn(this.open);
    let { error } = how;
    let isTakenDown: boolean;
    try {
      const result = snapshot(`the result of ${this.agent}`, how.result);
      isTakenDown = this.takeDown({
        t: 'settled',
        status,
        ...(result === undefined ? {} : { result }),
        ...(error === undefined ? {} : { error: messageOf(error) }),
        ...(how.decision?.stopId === undefined ? {} : { stopId: how.decision.stopId }),
      });
    } catch (failure) {
      // The result is no plain data: then the run has failed, and says so.
      error = failure;
      isTakenDown = this.takeDown({ t: 'settled', status: 'failed', error: messageOf(failure) });
    }
    if (!isTakenDown) {
      this.endLater(ending);
      return;
    }
    // What only reads may be left: it is never sent now, and keeps nothing of the budget.
    for (const call of this.calls ?? []) if (!call.isSent && call.reservedMicros > 0) this.engine.spend(call, 0);
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
    this.engine.settled(this.session);
    if (this.parentCall) this.parent?.childOver(this.parentCall);
  }

  private endLater(ending: Ending): void {
    refused.set(this, ending);
    this.engine.endLater(this.session);
  }

  /** What lives inside a call is as good as the end of that, which comes now; of what was never written down there is nothing to be ended. */
  private takeDown(fact: Fact): boolean {
    const record = this.recordOf(fact);
    const isWritten = this.engine.append(this.graph, record);
    const isTold = this.saved.record.inline === true && this.parentCall?.outcome === undefined;
    if (!isWritten && !isTold && this.engine.isWritten(this.session)) return false;
    applyRecord(this.saved, record);
    return true;
  }

  /** A session that had ended before: its end is told again. */
  recall(settled: NonNullable<Saved['settled']>): void {
    this.life = 'ended';
    this.resolveFinal(endedBefore(this.id, settled, this.engine.decide(this.node)));
  }

  protected leave(how: 'completed' | 'failed' | 'paused' | 'terminated'): void {
    const isStopped = how === 'paused' || how === 'terminated';
    endSession(this.span, how, this.stopping?.reason);
    this.life = isStopped ? 'stopped' : 'ended';
    if (this.deadline !== past) this.engine.clock.clearTimeout(this.deadline);
    for (const timer of sleepers.get(this) ?? []) this.engine.clock.clearTimeout(timer);
    sleepers.delete(this);
    this.wakers = undefined;
    this.engine.held.delete(this.session);
    if (this.isAtRest) {
      this.rest = 'no';
      if (this.parent && this.parentCall && !this.parent.isOver) this.parent.childRests(this.parentCall, false);
    }
  }
}

interface Ending {
  readonly status: 'completed' | 'failed' | 'terminated';
  readonly result?: unknown;
  readonly error?: unknown;
  readonly decision?: Stopped;
}

/** Few have one, so that the others carry no field for it. */
const refused = new WeakMap<EndingSession, Ending>();

/** In the place of the deadline's timer once it has passed. */
const past: unique symbol = Symbol('past');

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

/** The outcome of a session that had ended before, as its journal tells it. `decision`: what applies to it now, where it has a place in a graph. */
export function endedBefore(session: string, settled: NonNullable<Saved['settled']>, decision?: Decision): Ended {
  switch (settled.status) {
    case 'completed':
      return { status: 'completed', session, result: snapshot(`the result of ${session}`, settled.result) };
    case 'failed':
      return { status: 'failed', session, error: new Error(settled.error ?? `${session} failed`) };
    case 'terminated':
      return {
        status: 'terminated',
        session,
        decision: decision?.action === 'terminate' ? decision : { ...terminatedBefore, since: settled.at },
        notice: terminatedBefore.notice,
        receipt: settled.stopId ?? '',
      };
  }
}
