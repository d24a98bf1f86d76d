// turn.ts: one turn, as an agent sees it: the only place from which models, tools and sub-agents are called.
//
// A governed call goes: guard, reserve, intent durable, guard again and invoke in one synchronous block. What may not go on
// gets a promise that never settles, so that no `catch` of the agent can act on a stop (S9).

import type { Agent } from './agent.ts';
import type { ToolContext } from './call.ts';
import type { CallClass } from './journal.ts';
import type { Outcome, PausedChild } from './outcome.ts';

/** What a model call used. `costMicros`: integer millionths of a currency unit. */
export interface Usage {
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  readonly costMicros?: number;
}

export interface ModelOptions {
  /** The caller's own name for the call within the turn; else its occurrence. */
  readonly key?: string;
  /** A digest of the prompt: a reply in the journal answers only the same prompt. */
  readonly digest?: string;
  /** The most it can cost: reserved before the call, so that the cap holds. Default: the dearest call of the graph so far. */
  readonly maxCostMicros?: number;
}

export interface ToolOptions {
  /** Does it change the world? Default true: an undeclared tool counts as an effect. `'idempotent'`: safe to repeat with the same key. `false`: reads only. */
  readonly effect?: boolean | 'idempotent';
  /** It only starts other governed work: after a crash it is entered again, and its inner calls answer from the journal. */
  readonly delegates?: boolean;
  /** The caller's own key, or the framework's tool call id. Unique within the turn. */
  readonly key?: string;
  /** Asks the world whether an effect of unknown outcome happened, by its idempotency key; without one a person must say. */
  readonly probe?: (idempotencyKey: string) => Promise<'happened' | 'did-not'>;
  /** Reserved before the call and spent by it. Integer micro-units, default 0. */
  readonly maxCostMicros?: number;
}

export interface SpawnOptions {
  readonly key?: string;
  /** Default: the parent's. */
  readonly userId?: string;
  /**
   * What the spawn does while only the child is held, by a stop, a breaker or a hold that does not hold this session. `'wait'`, the
   * default, waits until it is released. `'value'` resolves to the pause: at once for a stop, after `holdForMs` for a hold. The child
   * stays a sub-agent of this session, goes on when it is released and ends before this session does, but this spawn hears no more of
   * it; ask `runtime.settled` for its end. A stop that holds both settles nothing: both rest (S8).
   */
  readonly ifHeld?: 'wait';
}

/** Asks for the pause as a value. */
export interface SpawnIfHeldOptions extends Omit<SpawnOptions, 'ifHeld'> {
  readonly ifHeld: 'value';
}

/** What a sub-agent came to. Held, it is waited for; failed, the spawn rejects with its error. */
export type SpawnOutcome<R> = Extract<Outcome<R>, { status: 'completed' | 'terminated' }>;

export interface OpenSpec {
  readonly kind: 'model' | 'tool';
  readonly name: string;
  readonly key?: string;
  readonly digest?: string;
  readonly args?: unknown;
  /** Default `read` for a model, `effect` for a tool. */
  readonly class?: CallClass;
  readonly probe?: ToolOptions['probe'];
  readonly maxCostMicros?: number;
}

/** A call whose body the adapter of a framework runs itself. */
export interface OpenCall {
  /** Set when the journal has the answer: the call must not be made. */
  readonly replay: { readonly value: unknown } | undefined;
  readonly signal: AbortSignal;
  readonly idempotencyKey: string;
  /** Runs the body as this call: governed agents inside it become its children. */
  run<R>(body: () => R): R;
  /** Records the end. Then give `delivered(value)` to the agent, never the value itself. */
  complete(value: unknown, usage?: Usage): void;
  fail(error: unknown): void;
  /** The value for the agent; never settles for one that may not go on. */
  delivered<R>(value: R): Promise<R>;
}

/** One turn of a session: use it inside the turn, and for nothing after it. */
export interface Turn {
  readonly number: number;
  /** A second model call in one turn is a turn boundary too (S9). */
  model<R>(
    name: string,
    call: (signal: AbortSignal) => Promise<R>,
    usageOf?: (reply: R) => Usage | undefined,
    options?: ModelOptions,
  ): Promise<R>;
  tool<A, R>(name: string, args: A, call: (args: A, context: ToolContext) => Promise<R> | R, options?: ToolOptions): Promise<R>;
  /** Starts a sub-agent and waits for it. A terminated child is a value for its parent; a failed one rejects with its error. */
  spawn<I, R>(agent: Agent<I, R>, input: I, options?: SpawnOptions): Promise<SpawnOutcome<R>>;
  /** The same, and a child that alone is held is a value too. */
  spawn<I, R>(agent: Agent<I, R>, input: I, options: SpawnIfHeldOptions): Promise<SpawnOutcome<R> | PausedChild>;
  /** Starts a sub-agent that a stop of this session does not reach; global, feature and user stops still do. Only where the workflow declares `mayDetach`. */
  detach<I>(
    agent: Agent<I, unknown>,
    input: I,
    options: { readonly reason: string; readonly owner: string; readonly key?: string },
  ): string;
  open(spec: OpenSpec): Promise<OpenCall>;
}
