// open-turn.ts: a turn that is open: how its calls are made, recognised, and found again when it is run again (S7).

import type { Agent } from './agent.ts';
import { Call, never, ToolContext } from './call.ts';
import { runInContext } from './context.ts';
import { detach } from './detach.ts';
import { digest, digestOf } from './digest.ts';
import { enter } from './enter.ts';
import { RuntimeError } from './error.ts';
import { orGivenUp } from './given-up.ts';
import type { CallClass } from './journal.ts';
import type { Outcome, PausedChild } from './outcome.ts';
import type { SavedCall } from './saved.ts';
import type { LiveSession } from './session.ts';
import { snapshot } from './snapshot.ts';
import { type AttachOptions, attach } from './spawn.ts';
import type {
  ModelOptions,
  OpenCall,
  OpenSpec,
  SpawnIfHeldOptions,
  SpawnOptions,
  SpawnOutcome,
  ToolOptions,
  Turn,
  Usage,
} from './turn.ts';

export class OpenTurn implements Turn {
  readonly session: LiveSession;
  readonly number: number;
  /** Calls made in this turn, ended or not; kept until the checkpoint. */
  private calls: Call[] | undefined;
  /** What the journal knows of this turn from before, by key; entries are taken out as they are matched. */
  readonly replay: Map<string, SavedCall> | undefined;
  modelCalls = 0;
  /** The error it ended in before, where it is replayed and had failed. */
  failedBefore: string | undefined;
  isEnded = false;
  private readonly firstOrdinal: number;
  private occurrences: Map<string, number> | undefined;

  constructor(session: LiveSession, number: number, replay: readonly SavedCall[]) {
    this.session = session;
    this.number = number;
    this.replay = replay.length === 0 ? undefined : new Map(replay.map((call) => [call.key, call]));
    this.firstOrdinal = replay.reduce((most, call) => Math.max(most, Number(call.id.split('-')[1]) || 0), 0) + 1;
  }

  model<R>(
    name: string,
    call: (signal: AbortSignal) => Promise<R>,
    usageOf?: (reply: R) => Usage | undefined,
    options?: ModelOptions,
  ): Promise<R> {
    const one = this.make('model', name, 'read', options?.key, digest(options?.digest ?? ''));
    if (typeof one === 'undefined') return never();
    return enter(one, { maxCostMicros: options?.maxCostMicros, isModel: true }, () => call(one.signal), usageOf);
  }

  tool<A, R>(name: string, args: A, call: (args: A, context: ToolContext) => Promise<R> | R, options?: ToolOptions): Promise<R> {
    const one = this.make('tool', name, classOf(options), options?.key, digestOf('the arguments of', name, args));
    if (typeof one === 'undefined') return never();
    return enter(one, { maxCostMicros: options?.maxCostMicros, probe: options?.probe }, () => call(args, new ToolContext(one)));
  }

  spawn<I, R>(agent: Agent<I, R>, input: I, options?: SpawnOptions): Promise<SpawnOutcome<R>>;
  spawn<I, R>(agent: Agent<I, R>, input: I, options: SpawnIfHeldOptions): Promise<SpawnOutcome<R> | PausedChild>;
  spawn<I, R>(agent: Agent<I, R>, input: I, options?: SpawnOptions | SpawnIfHeldOptions): Promise<SpawnOutcome<R> | PausedChild> {
    const one = this.make('spawn', agent.name, 'delegates', options?.key, digestOf('the input of', agent.name, input));
    if (typeof one === 'undefined') return never();
    return attach(one, agent.name, input, options) as Promise<SpawnOutcome<R> | PausedChild>;
  }

  /** A run started inside this turn: a child of it, whose failure is an outcome (S2). */
  run(agent: string, input: unknown, options: Omit<AttachOptions, 'isRun'>): Promise<Outcome> {
    const one = this.make('spawn', agent, 'delegates', undefined, digestOf('the input of', agent, input));
    if (typeof one === 'undefined') return never();
    return attach(one, agent, input, { ...options, isRun: true }) as Promise<Outcome>;
  }

  detach<I>(
    agent: Agent<I, unknown>,
    input: I,
    options: { readonly reason: string; readonly owner: string; readonly key?: string },
  ): string {
    if (!options?.reason || !options.owner)
      throw new RuntimeError('invalid_option', 'detach needs a reason and an owner: who looks after it when its parent is gone?');
    const one = this.make('spawn', agent.name, 'idempotent', options.key, digestOf('the input of', agent.name, input));
    if (typeof one === 'undefined') throw new RuntimeError('session_ended', `session ${this.session.id} was stopped`);
    return detach(one, agent.name, input, options);
  }

  async open(spec: OpenSpec): Promise<OpenCall> {
    const of = spec.class ?? (spec.kind === 'model' ? 'read' : 'effect');
    const identity = spec.digest === undefined ? digestOf('the arguments of', spec.name, spec.args) : digest(spec.digest);
    const one = this.make(spec.kind, spec.name, of, spec.key, identity);
    if (typeof one === 'undefined') return never();
    let replay: { readonly value: unknown } | undefined;
    const body = (): undefined => undefined;
    await enter<unknown>(
      one,
      { maxCostMicros: spec.maxCostMicros, isModel: spec.kind === 'model', probe: spec.probe, isOpen: true },
      body,
    );
    if (one.outcome === 'completed') replay = { value: snapshot(spec.name, one.value) };
    return {
      replay,
      get signal() {
        return one.signal;
      },
      get idempotencyKey() {
        return one.idempotencyKey;
      },
      run: (run) => orGivenUp(one, runInContext(one, run)),
      complete: (value, usage) => void this.session.completeCall(one, value, usage),
      fail: (error) => void this.session.failCall(one, error),
      delivered: (value) => (this.session.mayGoOn() ? Promise.resolve(value) : never()),
    };
  }

  /** Keeps a call that this turn has made. */
  made(call: Call): void {
    this.calls ??= [];
    this.calls.push(call);
  }

  /** Is there an effect of this name in the journal that the turn has not made again? */
  hasUnmatchedEffect(name: string): boolean {
    return this.unmatched(name).length > 0;
  }

  unmatchedIds(name: string): string {
    return this.unmatched(name)
      .map((call) => call.id)
      .join(', ');
  }

  private unmatched(name: string): SavedCall[] {
    return [...(this.replay?.values() ?? [])].filter(
      (call) =>
        call.name === name &&
        call.kind === 'tool' &&
        call.class === 'effect' &&
        call.outcome !== 'not-sent' &&
        call.outcome !== 'failed',
    );
  }

  /** A call of the journal that the agent did not make again, so that a person can be asked about it. */
  adopt(before: SavedCall): Call {
    const call = new Call(
      this.session,
      this,
      { kind: before.kind, name: before.name, class: before.class },
      before.key,
      1,
      0,
      this.session.engine.clock.now(),
    );
    call.savedId = before.id;
    call.adoptedKey = before.key;
    call.isKnown = true;
    return call;
  }

  /** Every call of this turn, what is only in the journal included. */
  toSaved(): SavedCall[] {
    return this.told().map((call) => (call instanceof Call ? call.toSaved() : call));
  }

  /** The same as they are now, not written out. */
  told(): readonly (Call | SavedCall)[] {
    const made = this.calls ?? [];
    if (!this.replay || this.replay.size === 0) return made;
    // What was made again and has not come to its answer yet is as the journal has it.
    return [...this.replay.values(), ...made.filter((call) => !this.replay!.has(call.key))];
  }

  /** `undefined` where the session may not go on: the caller then waits for ever. Throws for a turn that is over. */
  private make(kind: Call['kind'], name: string, of: CallClass, key: string | undefined, identity: string): Call | undefined {
    const { session } = this;
    if ((session.isOver && session.isStopped) || session.stopping) return undefined;
    if (this.isEnded)
      throw new RuntimeError(
        'turn_ended',
        `turn ${this.number} of ${session.id} has ended; ${name} must be called inside its turn`,
      );
    if (session.isOver) throw new RuntimeError('session_ended', `session ${session.id} has ended; ${name} was not called`);
    if (typeof name !== 'string' || name === '') throw new RuntimeError('invalid_option', 'a call needs a name');
    let occurrence = 1;
    const recognised = key === undefined ? `${name}:${identity}` : `${name}=${key}`;
    this.occurrences ??= new Map();
    const before = this.occurrences.get(recognised);
    if (before !== undefined) {
      if (key !== undefined)
        throw new RuntimeError(
          'duplicate_call_key',
          `${name}: the key ${JSON.stringify(key)} was already used in turn ${this.number}`,
        );
      occurrence = before + 1;
    }
    this.occurrences.set(recognised, occurrence);
    return new Call(
      session,
      this,
      { kind, name, class: of, key },
      recognised,
      occurrence,
      this.firstOrdinal + (this.calls?.length ?? 0),
      session.engine.clock.now(),
    );
  }
}

function classOf(options: ToolOptions | undefined): CallClass {
  if (options?.delegates) return 'delegates';
  switch (options?.effect) {
    case undefined:
    case true:
      return 'effect';
    case 'idempotent':
      return 'idempotent';
    case false:
      return 'read';
  }
}
