// from-openfeature.ts: any OpenFeature client as a switch source, for vendors we have no adapter for.
//
// OpenFeature carries no version of the vendor's data, so a stop learned here is released by act alone (S3).

import { type FlagType, type Resolution, type SourceChange, type SwitchSource, unknown } from '@offswitch/core';
import { type Client, type EvaluationContext, type EventDetails, ProviderEvents } from '@openfeature/server-sdk';
import { clientHealth } from './client-health.ts';
import { readClient } from './client-reading.ts';
import { resolveClient } from './client-resolution.ts';
import { type ProviderClock, systemClock } from './clock.ts';
import { deadline, wordsOf } from './deadline.ts';
import { contextOf } from './subject-context.ts';

export interface FromOpenFeatureOptions {
  /**
   * Names vendor, project and environment in positions, `launchdarkly:web:production`. Default `openfeature:<domain>:<provider>`,
   * of the client's domain and its provider's name: two environments of one vendor need different domains, or this option.
   */
  readonly series?: string;
  /** The end of one read, both evaluations of it. Milliseconds, default 1000. OpenFeature has none of its own. */
  readonly readTimeoutMs?: number;
  /** How long `open` waits for the provider to be ready. Milliseconds, default 3000; a slower one becomes fresh when it is. */
  readonly openTimeoutMs?: number;
  /** Time source; tests pass a manual clock. Default: the machine's. */
  readonly clock?: ProviderClock;
}

/**
 * The client as a source. Give it a client of its own domain, with a provider of its own (`openFeatureSource` does both):
 * on the default domain whoever calls `OpenFeature.setProvider` swaps the vendor under the switches.
 *
 * A flag is read as a boolean; `engagedWhen` says which one stops. Everything but a clear answer of the vendor's is `unknown`:
 * each error code, a default, a value that is no boolean, a provider that was swapped, an evaluation that does not end. A hook
 * of the application that throws can undo a release, never a stop.
 */
export function fromOpenFeature(client: Client, options: FromOpenFeatureOptions = {}): SwitchSource {
  const clock = options.clock ?? systemClock;
  const readTimeoutMs = options.readTimeoutMs ?? 1000;
  const reads = deadline(readTimeoutMs, clock);
  const opening = deadline(options.openTimeoutMs ?? 3000, clock);
  const health = clientHealth(client, clock);
  const listeners = new Set<(change: SourceChange) => void>();
  let state: 'new' | 'open' | 'closed' = 'new';
  let whenSettled: (() => void) | undefined;

  const notify = (change: SourceChange): void => {
    for (const listener of [...listeners]) {
      try {
        listener(change);
      } catch {
        // A listener is outside the decision: it cannot keep the others from hearing (I13).
      }
    }
  };
  const onStatus = (details?: EventDetails): void => {
    health.fault(details?.message);
    if (health.observe().state !== 'starting') whenSettled?.();
    notify({});
  };
  const onChange = (details?: EventDetails<ProviderEvents.ConfigurationChanged>): void => {
    const keys: unknown = details?.flagsChanged;
    notify(Array.isArray(keys) && keys.length > 0 ? { flagsChanged: keys.filter((key) => typeof key === 'string') } : {});
  };
  const notOpen = (): string => (state === 'closed' ? 'the source is closed' : 'the source is not open');
  const series = (): string => {
    const { domain, providerMetadata } = client.metadata;
    return options.series ?? `openfeature:${domain ?? 'default'}:${health.providerName ?? providerMetadata.name}`;
  };

  return {
    name: 'openfeature',
    get location() {
      const { domain, providerMetadata } = client.metadata;
      return `${providerMetadata.name} on ${domain === undefined ? 'the default domain' : `domain ${domain}`}`;
    },
    get health() {
      return health.observe();
    },
    async open() {
      if (state !== 'new') return;
      state = 'open';
      health.open();
      for (const type of statusEvents) client.addHandler(type, onStatus);
      client.addHandler(ProviderEvents.ConfigurationChanged, onChange);
      if (health.observe().state !== 'starting') return;
      const settled = new Promise<void>((resolve) => {
        whenSettled = resolve;
      });
      await opening.run<void>(
        () => settled,
        () => undefined,
        () => undefined,
      );
      whenSettled = undefined;
    },
    async read(flag, subject) {
      if (state !== 'open') return unknown(state === 'closed' ? 'error' : 'not-ready', notOpen());
      let context: EvaluationContext;
      try {
        context = contextOf(flag, subject ?? {});
      } catch (error) {
        return unknown('error', wordsOf(error));
      }
      if (context.targetingKey === undefined)
        return unknown('error', `${flag.key} is a ${flag.tier} switch and was read for none`);
      const reading = await reads.run(
        () => {
          const isStale = health.observe().state !== 'fresh';
          return readClient({
            client,
            flag,
            context,
            position: { series: series() },
            isStale,
            providerName: health.providerName,
          });
        },
        () => unknown('error', `${flag.key} was not answered within ${readTimeoutMs} ms`),
        (error) => unknown('error', `reading ${flag.key} failed: ${wordsOf(error)}`),
      );
      if (state !== 'open') return unknown('error', notOpen());
      // Lost while it was being read: what came may be from before.
      return reading.state !== 'unknown' && health.observe().state !== 'fresh' ? { ...reading, origin: 'cached' } : reading;
    },
    subscribe(listener) {
      const own = (change: SourceChange): void => listener(change);
      listeners.add(own);
      return () => {
        listeners.delete(own);
      };
    },
    async resolve(flagKey: string, type: FlagType, context: Readonly<Record<string, unknown>>): Promise<Resolution> {
      if (state !== 'open') return { errorCode: 'PROVIDER_NOT_READY', errorMessage: notOpen() };
      return reads.run<Resolution>(
        // The context is OpenFeature's own where it came through a provider; of any other the vendor is the judge.
        () => resolveClient(client, flagKey, type, context as EvaluationContext),
        () => ({ errorCode: 'GENERAL', errorMessage: `${flagKey} was not answered within ${readTimeoutMs} ms` }),
        (error) => ({ errorCode: 'GENERAL', errorMessage: wordsOf(error) }),
      );
    },
    async close() {
      if (state === 'closed') return;
      if (state === 'open') {
        for (const type of statusEvents) client.removeHandler(type, onStatus);
        client.removeHandler(ProviderEvents.ConfigurationChanged, onChange);
      }
      state = 'closed';
      health.close();
      reads.cancel();
      opening.cancel();
      notify({});
      listeners.clear();
    },
  };
}

const statusEvents = [ProviderEvents.Ready, ProviderEvents.Stale, ProviderEvents.Error] as const;
