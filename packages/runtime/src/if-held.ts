// if-held.ts: spawns that asked to be answered with the pause when only their child is held (S8).
//
// Held alone means that nothing holds the parent: a stop that covers both settles nothing, and both rest. A stop, a breaker and a
// call that waits for a person answer at once. A hold may be over in a moment, so it gets the time after which a run settles as
// paused because of it (S5).

import type { Stopped } from '@offswitch/core';
import { blockedWithin, waiting } from './blocked.ts';
import type { Call } from './call.ts';
import type { Engine } from './engine.ts';
import type { PausedChild } from './outcome.ts';
import type { LiveSession } from './session.ts';
import { Slice, turnOfLoop } from './slices.ts';

interface Asking {
  readonly call: Call;
  readonly child: LiveSession;
  readonly answer: (pause: PausedChild) => boolean;
  /** Runs while the child is held alone by a hold. */
  holdTimer: unknown;
}

export class IfHeld {
  private readonly engine: Engine;
  private readonly holdForMs: number;
  private readonly asking = new Map<Call, Asking>();
  /** Those whose child is at rest: what changes elsewhere is news to them alone. */
  private readonly resting = new Set<Asking>();
  private isScheduled = false;

  constructor(engine: Engine, holdForMs: number) {
    this.engine = engine;
    this.holdForMs = holdForMs;
  }

  /** Calls `answer` once, in the same synchronous block in which the child was found to be held alone; or never. */
  ask(call: Call, child: LiveSession, answer: (pause: PausedChild) => boolean): void {
    const one: Asking = { call, child, answer, holdTimer: undefined };
    this.asking.set(call, one);
    this.look(one, false);
  }

  /** The child has ended. */
  end(call: Call): void {
    const one = this.asking.get(call);
    if (!one) return;
    this.stopTimer(one);
    this.asking.delete(call);
    this.resting.delete(one);
  }

  /** A child began or ended to rest; false where nobody asked. */
  restChanged(call: Call): boolean {
    const one = this.asking.size === 0 ? undefined : this.asking.get(call);
    if (one) this.look(one, false);
    return one !== undefined;
  }

  has(call: Call): boolean {
    return this.asking.has(call);
  }

  /** What decides has changed: a parent that was held with its child may go on now. */
  reconsider(): void {
    if (this.isScheduled || this.resting.size === 0) return;
    this.isScheduled = true;
    void this.lookAgain();
  }

  close(): void {
    for (const one of this.asking.values()) this.stopTimer(one);
    this.asking.clear();
    this.resting.clear();
  }

  private async lookAgain(): Promise<void> {
    await turnOfLoop();
    this.isScheduled = false;
    const slice = new Slice(this.engine.clock);
    for (const one of [...this.resting]) {
      if (this.resting.has(one)) this.look(one, false);
      if (slice.isOver) await slice.next();
    }
  }

  private look(one: Asking, isHoldOver: boolean): void {
    const { call, child } = one;
    const { session } = call;
    if (session.isOver || child.isOver) {
      this.end(call);
      if (!session.isOver) session.setResting(call, false);
      return;
    }
    if (child.isAtRest) this.resting.add(one);
    else this.resting.delete(one);
    const isParentHeld = this.engine.decide(session.node).action !== 'run' || this.engine.mustHold(session.node);
    // The spawn rests with its child only while it waits for it as any other does; else it is about to be answered.
    session.setResting(call, child.isAtRest && isParentHeld);
    if (!child.isAtRest || isParentHeld) {
      this.stopTimer(one);
      return;
    }
    const decision = this.pauseOf(child, isHoldOver);
    if (!decision) {
      one.holdTimer ??= this.engine.clock.setTimeout(() => this.look(one, true), this.holdForMs);
      return;
    }
    this.end(call);
    // A copy: the agent may change what it is given.
    if (one.answer({ status: 'paused', session: child.id, decision: { ...decision }, notice: decision.notice })) return;
    // The store refused it: it is asked again in a while.
    this.asking.set(call, one);
    this.resting.add(one);
    this.engine.reconsiderLater();
  }

  /** What holds the child, or what it waits on; `undefined` while that may be over in a moment. */
  private pauseOf(child: LiveSession, isHoldOver: boolean): Stopped | undefined {
    const now = this.engine.clock.now();
    let hold: Stopped | undefined;
    for (const held of blockedWithin(this.engine, child)) {
      const { decision } = held;
      if (decision.action === 'terminate') continue;
      if (held.why !== undefined) return waiting(held, now);
      if (decision.action === 'pause' && decision.cause !== 'unknown') return decision;
      hold ??= decision.action === 'run' ? waiting(held, now) : decision;
    }
    return isHoldOver ? hold : undefined;
  }

  private stopTimer(one: Asking): void {
    this.engine.clock.clearTimeout(one.holdTimer);
    one.holdTimer = undefined;
  }
}
