// scenario-world.ts: what one scenario knows: a provider of ours on a domain of its own, a flag, a context, what came of it.

import { type ManualClock, manualClock } from '@offswitch/testing';
import {
  AsyncLocalStorageTransactionContextPropagator,
  type Client,
  type EvaluationContext,
  type EvaluationDetails,
  type FlagValue,
  type Hook,
  type JsonValue,
  NOOP_TRANSACTION_CONTEXT_PROPAGATOR,
  OpenFeature,
} from '@openfeature/server-sdk';
import { fromOpenFeature, KillSwitchProvider } from '../../src/index.ts';
import { freshDomain, settle, switches } from '../world.ts';
import { type SpecFlags, type SpecSource, specSource } from './spec-flags.ts';

export type ProviderState = 'stable' | 'not ready' | 'error' | 'fatal' | 'stale' | 'unavailable';
export type Level = 'API' | 'Transaction' | 'Client' | 'Invocation' | 'Before Hooks';

/** Below the ten seconds in which the draft suite wants an unreachable backend reported; set, because the default is longer. Milliseconds. */
const errorAfterMs = 5_000;

/** `direct`: our provider over a source. `through a client`: the same, with `fromOpenFeature` and another provider of ours between. */
export type Subject = 'direct' | 'through a client';

export class World {
  readonly clock: ManualClock = manualClock();
  readonly flags: SpecFlags;
  readonly subject: Subject;
  spec: SpecSource | undefined;
  client: Client = OpenFeature.getClient('nobody');
  flag: { type: string; key: string; value: JsonValue } = { type: 'boolean', key: '', value: false };
  context: Record<string, EvaluationContext[string]> = {};
  readonly levels = new Map<Level, EvaluationContext>();
  details: EvaluationDetails<FlagValue> | undefined;
  remembered: JsonValue | undefined;
  thrown: unknown;
  /** Stages of the hook that ran, in order, with what they were given. */
  readonly hooked: { readonly stage: string; readonly details: EvaluationDetails<FlagValue> | undefined }[] = [];
  hooks: Hook[] = [];
  /** Events that handlers of the scenario have seen and no step has asked about. */
  readonly events: { readonly type: string; readonly flagsChanged: readonly string[] | undefined }[] = [];

  constructor(flags: SpecFlags, subject: Subject) {
    this.flags = flags;
    this.subject = subject;
  }

  async provide(state: ProviderState): Promise<void> {
    const never = new Promise<void>(() => undefined);
    const open =
      state === 'not ready'
        ? { open: () => never }
        : state === 'fatal'
          ? { open: () => Promise.reject(new Error('bad configuration')) }
          : state === 'unavailable'
            ? { open: () => Promise.resolve() }
            : {};
    this.spec = specSource(this.flags, open);
    const { source, memory } = this.spec;
    const domain = freshDomain();
    const inner = new KillSwitchProvider({ switches, source, clock: this.clock, errorAfterMs });
    if (this.subject === 'direct') {
      await this.bind(domain, inner, state);
    } else {
      const innerDomain = freshDomain();
      await this.bind(innerDomain, inner, state);
      const client = OpenFeature.getClient(innerDomain);
      await this.bind(
        domain,
        new KillSwitchProvider({ switches, source: fromOpenFeature(client), clock: this.clock, errorAfterMs }),
        state,
      );
    }
    this.client = OpenFeature.getClient(domain);
    if (state === 'stale' || state === 'error') memory.lose();
    if (state === 'error') await this.clock.advance(errorAfterMs);
  }

  async evaluate(hooks: Hook[] = []): Promise<void> {
    try {
      const run = (): Promise<EvaluationDetails<FlagValue>> => this.ask({ hooks: [...this.hooks, ...hooks] });
      const transaction = this.levels.get('Transaction');
      if (!transaction) this.details = await run();
      else {
        OpenFeature.setTransactionContextPropagator(new AsyncLocalStorageTransactionContextPropagator());
        this.details = await new Promise((resolve, reject) => {
          OpenFeature.setTransactionContext(transaction, () => void run().then(resolve, reject));
        });
      }
    } catch (error) {
      this.thrown = error;
    }
  }

  recordingHook(): Hook {
    const note = (stage: string, details?: EvaluationDetails<FlagValue>): void => void this.hooked.push({ stage, details });
    return {
      before: () => note('before'),
      after: (_, details) => note('after', details),
      error: () => note('error'),
      finally: (_, details) => note('finally', details),
    };
  }

  async end(): Promise<void> {
    OpenFeature.setContext({});
    OpenFeature.setTransactionContextPropagator(NOOP_TRANSACTION_CONTEXT_PROPAGATOR);
    OpenFeature.clearHooks();
    await OpenFeature.clearProviders();
  }

  private ask(options: { hooks: Hook[] }): Promise<EvaluationDetails<FlagValue>> {
    const { type, key, value } = this.flag;
    const context = { ...this.context, ...this.levels.get('Invocation') };
    switch (type) {
      case 'boolean':
        return this.client.getBooleanDetails(key, value === true, context, options);
      case 'string':
        return this.client.getStringDetails(key, String(value), context, options);
      case 'integer':
      case 'float':
        return this.client.getNumberDetails(key, Number(value), context, options);
      case 'object':
        return this.client.getObjectDetails(key, value, context, options);
      default:
        throw new Error(`no flag type ${type}`);
    }
  }

  private async bind(domain: string, provider: KillSwitchProvider, state: ProviderState): Promise<void> {
    const ready = OpenFeature.setProviderAndWait(domain, provider).catch(() => undefined);
    if (state !== 'not ready') await ready;
    await settle();
  }
}

/** A value as the scenarios write it, in the type they name. */
export function cast(type: string, text: string): JsonValue {
  switch (type.toLowerCase()) {
    case 'boolean':
      return text === 'true';
    case 'integer':
    case 'float':
    case 'double':
      return Number(text);
    case 'object':
      return JSON.parse(text.replaceAll('\\"', '"'));
    case 'string':
      return text;
    default:
      throw new Error(`no type ${type}`);
  }
}
