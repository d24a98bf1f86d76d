// session-rest.ts: where a session waits, and when it is at rest.
//
// Waiting is a promise that resolves when the gate lets it go on, and never when it may not.

import type { Decision } from '@offswitch/core';
import { type Call, never } from './call.ts';
import { commandFor } from './command-hint.ts';
import { keepsLoose, type LooseChildren, liveInside, looseOf } from './loose.ts';
import { OpenCalls } from './open-calls.ts';
import { SessionState } from './session-state.ts';
import { noteResumed } from './telemetry.ts';

export abstract class RestingSession extends SessionState {
  /** Held at a boundary, or before its first turn, since (epoch milliseconds). */
  heldSince: number | undefined;
  private restingCalls = 0;
  protected wakers: Set<() => void> | undefined;
  private waitsAtBoundary = 0;
  private wakeSoonMade: (() => void) | undefined;

  /** Waits at a turn boundary while the session is paused, or not written down yet. Inside a turn, `call` is what waits. */
  async pass(call?: Call): Promise<void> {
    for (;;) {
      if (this.isOver || this.stopping) return never();
      const decision = this.engine.decide(this.node);
      if (decision.action === 'run' && this.engine.isBorn(this.session)) return;
      if (decision.action === 'terminate') {
        this.engine.terminate(this.session, decision);
        return never();
      }
      await this.hold(call);
    }
  }

  /** Waits before a call while something holds calls and not only turns: a tripped breaker, a store that failed. */
  async passCall(call: Call): Promise<void> {
    for (;;) {
      if (!this.mayGoOn()) return never();
      if (!this.engine.mustHold(this.node) && !this.staysAtRest()) return;
      await this.hold(call);
    }
  }

  /** Has it been at rest, and not been let go on since? */
  get hasRested(): boolean {
    return this.rest !== 'no';
  }

  /** It has come to rest, and a pause that may have been told so holds it: no call of it starts before that is over, whatever its turn was waiting for (I1, S10). */
  staysAtRest(): boolean {
    if (!this.hasRested) return false;
    if (this.engine.decide(this.node).action === 'pause') return true;
    if (this.rest === 'stirs') this.rest = 'no';
    return false;
  }

  /** Rests until a person (or another process that heard one) says what became of a call. */
  async waitForPerson(call: Call, why: string): Promise<void> {
    call.waitsForPerson = `${why}; say it with: ${commandFor(this.engine.store)} resolve ${this.id} ${call.id} --happened | --did-not`;
    this.engine.alarm(`session ${this.id} rests: ${call.waitsForPerson}`);
    while (!this.isOver && this.engine.resolution(this.id, call.id) === undefined) await this.hold(call);
    call.waitsForPerson = undefined;
    if (!this.mayGoOn()) await never();
  }

  async hold(call: Call | undefined): Promise<void> {
    if (this.heldSince === undefined) {
      this.heldSince = this.engine.clock.now();
      if (this.span) this.engine.notePaused(this.session);
    }
    await new Promise<void>((resolve) => {
      // Before it counts as at rest: whoever hears of that asks what holds it.
      this.wakers ??= new Set();
      this.wakers.add(resolve);
      this.engine.held.add(this.session);
      if (call) this.setResting(call, true);
      else this.waitsAtBoundary++;
      this.checkRest();
      this.engine.changed(this.session);
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

  /** Would anything that waits here go on now? A boundary needs the gate's word, and so does what has come to rest; a call, that nothing holds calls; an unknown outcome, a person's. */
  mayWake(decision: Decision): boolean {
    if (this.waitsAtBoundary > 0 && decision.action === 'run') return true;
    if (this.hasRested && decision.action !== 'run') return false;
    for (const call of this.calls ?? []) {
      if (!call.isResting || call.childSession || call.isCarried) continue;
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
    // Since it was put in the queue it may have been paused again.
    if (isResume && this.hasRested && !this.mayWake(this.engine.decide(this.node))) return;
    if (isResume && !(this.engine.isBorn(this.session) && this.engine.claim(this.session))) return;
    const wakers = this.wakers!;
    this.wakers = undefined;
    this.engine.held.delete(this.session);
    this.heldSince = undefined;
    if (this.span) noteResumed(this.session);
    for (const waker of wakers) waker();
    this.checkRest();
    this.engine.changed(this.session);
  }

  /** A child began or ended to rest. */
  protected childRests(call: Call, isResting: boolean): void {
    if (this.engine.ifHeld.restChanged(call)) return;
    const loose = looseOf(this.session);
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
  protected checkRest(): void {
    const loose = looseOf(this.session);
    // A turn that nobody closes, inside a call that has ended, does nothing more.
    const isInTurn = this.open !== undefined && !(loose?.isAwaited === true && !this.calls?.size);
    const isAtRest =
      !this.isOver &&
      (isInTurn || this.restingCalls > 0
        ? this.calls !== undefined && this.calls.size > 0 && this.restingCalls === this.calls.size
        : this.isHeld || loose?.isAwaited === true) &&
      (loose === undefined || loose.areAtRest);
    if (isAtRest === this.isAtRest) return;
    const isHeldOn = !isAtRest && this.engine.decide(this.node).action !== 'run';
    this.rest = isAtRest ? 'rests' : isHeldOn ? 'stirs' : 'no';
    if (this.parent && this.parentCall) this.parent.childRests(this.parentCall, isAtRest);
    this.engine.restChanged(this.session);
  }

  track(call: Call): void {
    this.calls ??= new OpenCalls();
    if (this.calls.has(call)) return;
    this.calls.add(call);
    call.turn.made(call);
    if (this.isAtRest) this.checkRest();
  }

  protected untrack(call: Call): void {
    if (call.isResting) this.setResting(call, false);
    this.calls?.delete(call);
    // What lives inside it and could not end with it: this one ends after that, and rests when it does.
    if (liveInside(call)) keepsLoose(this.session).add(call);
    if (this.restingCalls > 0) this.checkRest();
  }

  /** Parked, it keeps calls that have ended, and that no wait would take away. */
  protected async joinCalls(): Promise<void> {
    while (!this.isOver && this.calls && this.calls.size > 0) await Promise.all([...this.calls].map((call) => call.ended()));
  }

  /**
   * Its code has ended: `end` is called once nothing is open any more (of `calls`, by default all) and nobody goes on without a call. Looked at
   * once more after each wait, so that what is begun after `end` finds it ended. Never called for one that may not go on.
   */
  protected async endAfterAll(end: () => void, calls: () => readonly Call[] = () => [...(this.calls ?? [])]): Promise<void> {
    while (this.mayGoOn()) {
      const open = calls();
      const loose = looseOf(this.session);
      if (open.length > 0) await Promise.all(open.map((call) => call.ended()));
      else if (loose && loose.count > 0) await this.joinLoose(loose);
      else {
        end();
        return;
      }
    }
  }

  private joinLoose(loose: LooseChildren): Promise<void> {
    for (const { id, saved } of loose.sessions())
      if (saved.record.inline)
        this.engine.alarm(
          `session ${this.id} ends after ${id}, which goes on though the call that it lives in has ended; where it hangs, end it with: ${commandFor(this.engine.store)} stop ${id}`,
        );
    const none = loose.none();
    this.checkRest();
    return none;
  }
}

/** Timers of sessions whose calls wait for the limiter: few, so that the others carry no field for it. */
export const sleepers: WeakMap<RestingSession, Set<unknown>> = new WeakMap();
