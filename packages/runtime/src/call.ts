// call.ts: one governed call: a model call, a tool call, a spawn. What it costs, how it is recognised, how it ended.
//
// Signal and keys are made only when asked for: most tools ask for neither, and the check before a call must cost nothing.

import type { Span } from '@opentelemetry/api';
import type { Credit } from './credit.ts';
import type { Grant, GrantRequest } from './grants/lent.ts';
import { type CallClass, type CallKind, type CallOutcome, idempotencyKeyOf } from './journal.ts';
import type { OpenCalls } from './open-calls.ts';
import type { OpenTurn } from './open-turn.ts';
import type { SavedCall } from './saved.ts';
import type { LiveSession } from './session.ts';
import { endCall } from './telemetry.ts';

export interface CallSpec {
  readonly kind: CallKind;
  readonly name: string;
  readonly class: CallClass;
  /** The caller's own key, or the framework's tool call id. */
  readonly key?: string | undefined;
}

/** How a call may be recognised as the same when its turn runs again; also the key of the journal. */
export class Call {
  readonly session: LiveSession;
  readonly turn: OpenTurn;
  readonly kind: CallKind;
  readonly name: string;
  readonly class: CallClass;
  readonly ordinal: number;
  readonly startedAt: number;
  outcome: CallOutcome | undefined;
  value: unknown;
  error: string | undefined;
  /** The id of the child session of a spawn, or of the one that lives inside this call's body. */
  childId: string | undefined;
  /** In a restart: the old run's child, whose work the new child takes up. */
  inheritsChild: string | undefined;
  childSession: LiveSession | undefined;
  /** Waits: at the gate, for a person, or on a child at rest. */
  isResting = false;
  /** The body was entered. */
  isSent = false;
  /** Why it rests, where that is not a stop: the words for a person. */
  waitsForPerson: string | undefined;
  reservedMicros = 0;
  /** What it reserved from, where the cap is shared with other processes. */
  credit: Credit | undefined = undefined;
  /** It carried the path to another process, and rests when the session that began there does. */
  isCarried = false;
  /** Breakers have counted it: a tool call, or a model call that is a turn. */
  isCharged = false;
  span: Span | undefined;
  /** The id under which the journal already knows it. */
  savedId: string | undefined;
  /** The key under which the journal knows it, where it was not made again by the agent. */
  adoptedKey: string | undefined;
  /** The journal already has its intent. */
  isKnown = false;
  /** Its intent was written in this life. */
  isIntended = false;
  /** Name and digest of the arguments (or key): what makes two calls of a turn the same, and what repeats. */
  readonly recognised: string;
  private readonly isKeyExplicit: boolean;
  private readonly occurrence: number;
  private keyMade: string | undefined;
  /** Where it is in the list of its session's open calls (open-calls.ts). */
  openIn: OpenCalls | undefined;
  openBefore: Call | undefined;
  openAfter: Call | undefined;
  private controller: AbortController | undefined;
  private abortReason: unknown;
  private onEnd: (() => void)[] | undefined;

  constructor(
    session: LiveSession,
    turn: OpenTurn,
    spec: CallSpec,
    recognised: string,
    occurrence: number,
    ordinal: number,
    startedAt: number,
  ) {
    this.session = session;
    this.turn = turn;
    this.kind = spec.kind;
    this.name = spec.name;
    this.class = spec.class;
    this.isKeyExplicit = spec.key !== undefined;
    this.recognised = recognised;
    this.occurrence = occurrence;
    this.ordinal = ordinal;
    this.startedAt = startedAt;
  }

  /** A call is its own async context: code inside its body finds both the session and the call. */
  get call(): Call {
    return this;
  }

  get key(): string {
    this.keyMade ??= this.adoptedKey ?? (this.isKeyExplicit ? this.recognised : `${this.recognised}:${this.occurrence}`);
    return this.keyMade;
  }

  /** What people call it. */
  get id(): string {
    return this.savedId ?? `t${this.turn.number}-${this.ordinal}`;
  }

  /** Stable across resume and process, different for every call that is meant to be another one. */
  get idempotencyKey(): string {
    return idempotencyKeyOf(this.session.saved.record, this.turn.number, this.key);
  }

  get signal(): AbortSignal {
    if (!this.controller) {
      this.controller = new AbortController();
      if (this.abortReason !== undefined) this.controller.abort(this.abortReason);
    }
    return this.controller.signal;
  }

  /** Its body was given the signal, so what it fails with after an abort may be the abort. */
  get hasSignal(): boolean {
    return this.controller !== undefined;
  }

  get isAborted(): boolean {
    return this.abortReason !== undefined;
  }

  /** One shared reason object per stop: a fresh DOMException each would cost its stack. */
  abort(reason: unknown): void {
    if (this.abortReason !== undefined) return;
    this.abortReason = reason;
    this.controller?.abort(reason);
  }

  end(outcome: CallOutcome): void {
    this.outcome = outcome;
    if (this.span) endCall(this);
    const listeners = this.onEnd;
    this.onEnd = undefined;
    if (listeners) for (const listener of listeners) listener();
  }

  /** Resolves when the call has an outcome. */
  ended(): Promise<void> {
    if (this.outcome !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.onEnd ??= [];
      this.onEnd.push(resolve);
    });
  }

  toSaved(): SavedCall {
    return {
      key: this.key,
      id: this.id,
      kind: this.kind,
      name: this.name,
      class: this.class,
      ...(this.childId === undefined ? {} : { child: this.childId }),
      ...(this.inheritsChild === undefined ? {} : { inheritsChild: this.inheritsChild }),
      idempotencyKey: this.idempotencyKey,
      ...(this.outcome === undefined ? {} : { outcome: this.outcome }),
      ...(this.value === undefined ? {} : { value: this.value }),
      ...(this.error === undefined ? {} : { error: this.error }),
    };
  }
}

/** What a tool's body is handed beside its arguments. */
export class ToolContext {
  private readonly call: Call;

  constructor(call: Call) {
    this.call = call;
  }

  /** Aborts when the session is terminated (an effect's, only at the deadline). Pass it on to whatever can be aborted. */
  get signal(): AbortSignal {
    return this.call.signal;
  }

  /** Hand it to the service: the same call repeated after a crash carries the same key. */
  get idempotencyKey(): string {
    return this.call.idempotencyKey;
  }

  /**
   * The credential that the call needs, lent by the broker of that name (`createRuntime({ brokers })`) to this session alone and taken
   * back when it is stopped. Ask where you use it: it is the same one while it lives. Never settles for a session that may not go on; rejects
   * with `grant_failed` where the broker lends none.
   */
  grant(broker: string, request?: GrantRequest): Promise<Grant> {
    return this.call.session.engine.grants.ask(this.call, broker, request);
  }
}

/** A promise that never settles: what an agent that may not go on is given. Made anew each time, so that nothing piles up on it. */
export function never<T>(): Promise<T> {
  return new Promise<T>(() => {});
}
