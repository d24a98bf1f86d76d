// session-calls.ts: what becomes of a session's calls: counted, written down, run, and their ends recorded before anybody hears of them.

import { type Call, never } from './call.ts';
import { runInContext } from './context.ts';
import { messageOf } from './error-text.ts';
import { orGivenUp } from './given-up.ts';
import type { JournalRecord } from './journal.ts';
import { keepsLoose, liveInside } from './loose.ts';
import type { PausedChild } from './outcome.ts';
import { letGo } from './saved.ts';
import { EndingSession } from './session-end.ts';
import { snapshot } from './snapshot.ts';
import { noteUsage, startCall, within } from './telemetry.ts';
import type { Usage } from './turn.ts';

export abstract class CallingSession extends EndingSession {
  /** Counts the call against the breakers; false when one is tripped now and the call must wait. */
  charge(call: Call): boolean {
    if (call.kind !== 'tool') return true;
    call.isCharged = true;
    if (call.class === 'effect' || call.class === 'idempotent')
      this.engine.charge(this.session, 'actions', (one) => ++one.saved.actionsCharged);
    this.engine.charge(this.session, 'repeats', (one) => one.counters.called(call.recognised));
    return !this.engine.mustHold(this.node);
  }

  chargeTurn(): void {
    this.engine.charge(this.session, 'turns', (one) => ++one.saved.turnsCharged);
  }

  /** Writes the intent. False when the store refused it: then the call must not be made. */
  intend(call: Call, at: number = this.engine.clock.now()): boolean {
    if (call.isKnown && call.credit === undefined) return true;
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
    const withChild = childId === undefined ? record : { ...record, child: childId };
    const isWritten = this.engine.append(
      this.graph,
      call.credit === undefined
        ? withChild
        : { ...withChild, reserveMicros: call.reservedMicros, ...(call.isKnown ? { isAgain: true } : {}) },
    );
    if (!call.isKnown) call.isIntended = isWritten;
    return isWritten;
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
    result = orGivenUp(call, result);
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
    // Abandoned with its session: whoever goes on enters it again.
    if (call.outcome === undefined && this.isOver && call.class === 'delegates') return false;
    if (!this.endInline(call, 'completed')) return this.endLate(call, { ...(value === undefined ? {} : { value }) });
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
    this.engine.callEnded(this.session, call);
    this.tryMark();
    if (broken !== undefined) throw broken;
    return this.mayGoOn();
  }

  /** Records a call's failure; true when the agent may be told. */
  failCall(call: Call, error: unknown): boolean {
    // Abandoned: what it fails with is the abort, or that its session has ended here. Whoever goes on makes it again.
    if (call.outcome === undefined && this.isOver && (call.isAborted || call.class === 'delegates')) return false;
    if (!this.endInline(call, 'failed', error)) return this.endLate(call, { error: messageOf(error) });
    call.error = messageOf(error);
    this.settleCost(call, undefined);
    this.write({ t: 'end', turn: call.turn.number, key: call.key, outcome: 'failed', error: call.error });
    this.untrack(call);
    call.end('failed');
    if (call.kind === 'tool') this.toolEnded(call.name, true);
    this.engine.callEnded(this.session, call);
    this.tryMark();
    return this.mayGoOn();
  }

  /** Answers a spawn with the pause of its child, which goes on without a call; true when the agent may have it (S8). `undefined` where the store refuses that. */
  letGo(call: Call, pause: PausedChild): boolean | undefined {
    // Nothing else tells of it once its turn is completed: until the store takes it, the spawn waits as any other.
    if (!this.write({ t: 'end', turn: call.turn.number, key: call.key, outcome: 'completed', value: pause })) return undefined;
    letGo(this.saved, call.childId!);
    const isDeliverable = this.completeCall(call, pause);
    if (call.childSession && !call.childSession.isOver) keepsLoose(this.session).add(call);
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
    // A call that we aborted and that then fails is just that, which says nothing of what an effect came to at the other end. A
    // result is news, and so is the failure of an effect that was never given a signal to fail by.
    if (what.error === undefined) {
      if (call.outcome !== 'unknown' && call.outcome !== 'aborted') return false;
    } else if (call.outcome !== 'unknown' || call.hasSignal) return false;
    call.outcome = 'late';
    let end = what;
    try {
      if (what.value !== undefined) end = { value: snapshot(call.name, what.value) };
    } catch {
      end = {};
    }
    for (const turn of this.saved.turns)
      for (const kept of turn.calls)
        if (turn.number === call.turn.number && kept.key === call.key) Object.assign(kept, { outcome: 'late' }, end);
    this.write({ t: 'end', turn: call.turn.number, key: call.key, outcome: 'late', ...end });
    this.engine.callEnded(this.session, call);
    return false;
  }

  /** A session that lives inside a call's body ends with it. False where the call has ended before its body: a terminate may have waited for that session alone. */
  private endInline(call: Call, status: 'completed' | 'failed', error?: unknown): boolean {
    if (call.outcome === undefined) liveInside(call)?.endWithCall(status, error);
    return call.outcome === undefined;
  }

  private settleCost(call: Call, usage: Usage | undefined): number {
    const micros = usage?.costMicros;
    const actual = micros !== undefined && Number.isSafeInteger(micros) && micros >= 0 ? micros : call.reservedMicros;
    if (actual !== 0 || call.reservedMicros !== 0) this.engine.spend(call, actual);
    return actual;
  }

  private toolEnded(name: string, hasFailed: boolean): void {
    this.engine.charge(this.session, 'tool-failures', (one) => one.counters.toolEnded(name, hasFailed));
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
}

function isThenable(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}
