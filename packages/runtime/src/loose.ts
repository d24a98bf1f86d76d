// loose.ts: sub-agents whose spawn was answered with their pause (S8): they are waited for by no call any more, and belong to
// their parent all the same. It rests only when they do, and ends after them, so that a settled root has a settled subtree.

import type { Call } from './call.ts';
import type { PausedChild } from './outcome.ts';
import type { LiveSession } from './session.ts';

/** The loose children of one session, each by the call that started it. */
export class LooseChildren {
  private readonly calls = new Set<Call>();
  private resting = 0;
  private onNone: (() => void) | undefined;
  private isAsked = false;

  get count(): number {
    return this.calls.size;
  }

  /** Its parent's code has ended, and only they are waited for. */
  get isAwaited(): boolean {
    return this.isAsked && this.calls.size > 0;
  }

  get areAtRest(): boolean {
    return this.resting === this.calls.size;
  }

  *sessions(): Generator<LiveSession> {
    for (const { childSession } of this.calls) if (childSession) yield childSession;
  }

  has(call: Call): boolean {
    return this.calls.has(call);
  }

  add(call: Call): void {
    this.calls.add(call);
    this.rests(call, call.childSession?.isAtRest === true);
  }

  rests(call: Call, isResting: boolean): void {
    if (!this.calls.has(call) || call.isResting === isResting) return;
    call.isResting = isResting;
    this.resting += isResting ? 1 : -1;
  }

  /** It has ended. */
  delete(call: Call): void {
    this.rests(call, false);
    if (!this.calls.delete(call) || this.calls.size > 0) return;
    this.onNone?.();
  }

  /** Resolves when all have ended. */
  none(): Promise<void> {
    this.isAsked = true;
    if (this.calls.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.onNone = resolve;
    });
  }
}

/** Few have any, so that the others carry no field for it. */
const looseBySession = new WeakMap<LiveSession, LooseChildren>();

export function looseOf(session: LiveSession): LooseChildren | undefined {
  return looseBySession.get(session);
}

/** What is kept of the loose children of a session; made with the first. */
export function keepsLoose(session: LiveSession): LooseChildren {
  let loose = looseBySession.get(session);
  if (!loose) {
    loose = new LooseChildren();
    looseBySession.set(session, loose);
  }
  return loose;
}

/** The session that lives inside the body of a call, while it does. */
export function liveInside({ childSession: child }: Call): LiveSession | undefined {
  return child && !child.isOver && child.saved.record.inline ? child : undefined;
}

/** Is this what a spawn was answered with while its child was held? */
export function isPause(value: unknown): value is PausedChild {
  return typeof value === 'object' && value !== null && (value as { readonly status?: unknown }).status === 'paused';
}
