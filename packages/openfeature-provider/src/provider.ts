// provider.ts: the OpenFeature face of any switch source, so that one connection to the vendor serves both.
//
// Switches have their fixed semantics; every other flag passes through to the vendor's evaluation. OpenFeature answers every
// failure with the caller's default, so this face is for showing and for code that is not governed: the gate of the runtime
// reads the source itself, and does not pass here.

import {
  checkReading,
  type FlagType,
  type KillSwitches,
  type Reading,
  type Subject,
  type SwitchFlag,
  type SwitchSource,
  unknown,
} from '@offswitch/core';
import {
  ErrorCode,
  type EvaluationContext,
  type JsonValue,
  OpenFeatureError,
  OpenFeatureEventEmitter,
  type Provider,
  ProviderFatalError,
  ProviderNotReadyError,
  type ResolutionDetails,
  StandardResolutionReasons,
} from '@openfeature/server-sdk';
import { canariesOf, untargetedMessage } from './canary.ts';
import { type ProviderClock, systemClock } from './clock.ts';
import { subjectOfContext } from './context-subject.ts';
import { type Deadline, deadline, wordsOf } from './deadline.ts';
import { type HealthEvents, healthEvents } from './health-events.ts';
import { passThroughDetails } from './pass-through.ts';
import { asAction, asBoolean, asObject, definiteDetails, unknownDetails } from './switch-details.ts';

export interface KillSwitchProviderOptions {
  readonly switches: KillSwitches;
  readonly source: SwitchSource;
  /**
   * Does the provider open the source when it is initialised and close it when it is closed? Default true. Say false where a
   * runtime or gate uses the same source and owns it: the provider then only listens and reads.
   */
  readonly ownsSource?: boolean;
  /**
   * How long the source may be stale before STALE becomes ERROR. Milliseconds, default 30000: three times a usual polling
   * interval, so that one lost poll is no alarm. `Infinity` never.
   */
  readonly errorAfterMs?: number;
  /** The end of one read of the source. Milliseconds, default 1000: sources read from memory, so this is a fault and not a wait. */
  readonly readTimeoutMs?: number;
  /** Time source; tests pass a manual clock. Default: the machine's. */
  readonly clock?: ProviderClock;
}

/**
 * Register it on a domain: `OpenFeature.setProviderAndWait('agents', new KillSwitchProvider({ switches, source }))`.
 *
 * A switch asked for as a boolean says whether it is engaged, as a string what to do (`run`, `pause`, `terminate`), as an object
 * the whole reading; as a number it is TYPE_MISMATCH. Errors, always with the caller's default as the value:
 * PROVIDER_NOT_READY before the first data and after close, FLAG_NOT_FOUND, PARSE_ERROR (the vendor's flag is no switch),
 * TARGETING_KEY_MISSING and INVALID_CONTEXT (see `subjectOfContext`), GENERAL (stale, untargeted, failed).
 *
 * One instance serves one domain and one life: after it was closed, make a new one.
 */
export class KillSwitchProvider implements Provider {
  readonly metadata: { readonly name: 'offswitch' } = Object.freeze({ name: 'offswitch' });
  readonly runsOn = 'server' as const;
  readonly domainScoped = true as const;
  readonly events: OpenFeatureEventEmitter = new OpenFeatureEventEmitter();
  readonly #source: SwitchSource;
  readonly #ownsSource: boolean;
  readonly #flags: ReadonlyMap<string, SwitchFlag>;
  readonly #deadline: Deadline;
  readonly #readTimeoutMs: number;
  readonly #health: HealthEvents;
  #unsubscribe: (() => void) | undefined;
  #settling: NodeJS.Immediate | undefined;
  #state: 'new' | 'open' | 'closed' = 'new';

  constructor(options: KillSwitchProviderOptions) {
    const clock = options.clock ?? systemClock;
    this.#source = options.source;
    this.#ownsSource = options.ownsSource ?? true;
    this.#flags = new Map(options.switches.flags.map((flag) => [flag.key, flag]));
    this.#readTimeoutMs = options.readTimeoutMs ?? 1000;
    this.#deadline = deadline(this.#readTimeoutMs, clock);
    this.#health = healthEvents({
      source: options.source,
      events: this.events,
      switchKeys: [...this.#flags.keys()],
      errorAfterMs: options.errorAfterMs ?? 30_000,
      clock,
    });
  }

  /** Opens the source and listens. Rejects with PROVIDER_FATAL on bad configuration only; a slow vendor shows as STALE. */
  async initialize(): Promise<void> {
    if (this.#state === 'closed')
      throw new ProviderFatalError('this provider was closed; make a new one, with a source that is open');
    this.#unsubscribe ??= this.#source.subscribe((change) => this.#health.changed(change));
    if (this.#ownsSource && this.#state === 'new') {
      try {
        await this.#source.open();
      } catch (error) {
        this.#unsubscribe();
        this.#unsubscribe = undefined;
        throw new ProviderFatalError(`${this.#source.name} cannot be opened: ${wordsOf(error)}`, { cause: error });
      }
      // Closed while it was opening: what came of it is closed too.
      if (this.#isClosed()) throw new ProviderNotReadyError('the provider was closed while it was opening');
    }
    this.#state = 'open';
    // The SDK sets READY in the microtasks after this settles; an immediate comes after them.
    this.#settling = setImmediate(() => this.#health.settled());
  }

  /** Stops listening, clears its timers, closes the source it owns. Idempotent. The SDK goes on asking closed providers, which is answered PROVIDER_NOT_READY. */
  async onClose(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    clearImmediate(this.#settling);
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#health.close();
    this.#deadline.cancel();
    if (this.#ownsSource) await this.#source.close();
  }

  resolveBooleanEvaluation(
    flagKey: string,
    defaultValue: boolean,
    context: EvaluationContext,
  ): Promise<ResolutionDetails<boolean>> {
    return this.#resolve('boolean', flagKey, defaultValue, context, (_, reading) => asBoolean(reading));
  }

  resolveStringEvaluation(flagKey: string, defaultValue: string, context: EvaluationContext): Promise<ResolutionDetails<string>> {
    return this.#resolve('string', flagKey, defaultValue, context, asAction);
  }

  resolveNumberEvaluation(flagKey: string, defaultValue: number, context: EvaluationContext): Promise<ResolutionDetails<number>> {
    return this.#resolve<number>('number', flagKey, defaultValue, context, undefined);
  }

  resolveObjectEvaluation<T extends JsonValue>(
    flagKey: string,
    defaultValue: T,
    context: EvaluationContext,
  ): Promise<ResolutionDetails<T>> {
    // The SDK's signature lets the caller name any T; that a reading is one is the caller's word, as with every provider.
    return this.#resolve('object', flagKey, defaultValue, context, (_, reading) => asObject(reading) as T);
  }

  #isClosed(): boolean {
    return this.#state === 'closed';
  }

  async #resolve<T>(
    type: FlagType,
    flagKey: string,
    defaultValue: T,
    context: EvaluationContext,
    asValue: ((flag: SwitchFlag, reading: Exclude<Reading, { state: 'unknown' }>) => T) | undefined,
  ): Promise<ResolutionDetails<T>> {
    try {
      if (this.#state !== 'open') throw notOpen(this.#state);
      const flag = this.#flags.get(flagKey);
      if (!flag) return await this.#passThrough(type, flagKey, defaultValue, context);
      if (!asValue)
        return failed(
          ErrorCode.TYPE_MISMATCH,
          `${flagKey} is a switch; ask for it as a boolean, a string or an object`,
          defaultValue,
        );
      const subject = subjectOfContext(flag, context);
      const reading = await this.#read(flag, subject);
      if (this.#isClosed()) throw notOpen('closed');
      if (reading.state === 'unknown') return unknownDetails(flag, reading, defaultValue);
      return definiteDetails(flag, subject, reading, asValue(flag, reading));
    } catch (error) {
      if (error instanceof OpenFeatureError) return failed(error.code, error.message, defaultValue);
      return failed(ErrorCode.GENERAL, wordsOf(error), defaultValue);
    }
  }

  /** The reading, corrected by the canaries: what is engaged for nobody's id is engaged for everybody, and means nothing (S11). */
  async #read(flag: SwitchFlag, subject: Subject): Promise<Reading> {
    const [reading, ...canaries] = await Promise.all(
      [subject, ...canariesOf(flag, subject)].map((one) =>
        this.#deadline.run(
          async () => checkReading(await this.#source.read(flag, one)),
          () => unknown('error', `${flag.key} was not answered within ${this.#readTimeoutMs} ms`),
          (error) => unknown('error', `reading ${flag.key} failed: ${wordsOf(error)}`),
        ),
      ),
    );
    if (canaries.some((one) => one.state === 'engaged')) return unknown('untargeted', untargetedMessage(flag));
    return reading ?? unknown('error', `${flag.key} was not read`);
  }

  #passThrough<T>(type: FlagType, flagKey: string, defaultValue: T, context: EvaluationContext): Promise<ResolutionDetails<T>> {
    const { resolve, name } = this.#source;
    if (!resolve)
      return Promise.resolve(
        failed(
          ErrorCode.FLAG_NOT_FOUND,
          `flag ${flagKey} not found: it is no declared switch, and ${name} evaluates no others`,
          defaultValue,
        ),
      );
    return this.#deadline.run(
      async () => passThroughDetails(await resolve.call(this.#source, flagKey, type, context), type, defaultValue),
      () => failed(ErrorCode.GENERAL, `${flagKey} was not answered within ${this.#readTimeoutMs} ms`, defaultValue),
      (error) => failed(ErrorCode.GENERAL, `${name} failed to evaluate ${flagKey}: ${wordsOf(error)}`, defaultValue),
    );
  }
}

function notOpen(state: 'new' | 'closed'): ProviderNotReadyError {
  return new ProviderNotReadyError(state === 'new' ? 'the provider is not initialised' : 'the provider is closed');
}

function failed<T>(errorCode: ErrorCode, errorMessage: string, value: T): ResolutionDetails<T> {
  return { value, reason: StandardResolutionReasons.ERROR, errorCode, errorMessage };
}
