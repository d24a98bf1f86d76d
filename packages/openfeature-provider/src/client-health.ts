// client-health.ts: an OpenFeature client's provider status as a source's health, by our own clock.
//
// The status is asked for and not only listened to: a swapped provider, or a FATAL at initialisation, need not come with an
// event that says so.

import type { SourceHealth } from '@offswitch/core';
import { type Client, ProviderStatus } from '@openfeature/server-sdk';
import type { ProviderClock } from './clock.ts';

export interface ClientHealth {
  /** Asks the client now. Frozen in `starting` until `open`, and in `closed` after `close`. */
  observe(): SourceHealth;
  /** What the provider last said of its own trouble; shown with the status. */
  fault(message: string | undefined): void;
  /** The provider that was there when the client was first ready; another one is not this source. */
  readonly providerName: string | undefined;
  open(): void;
  close(): void;
}

export function clientHealth(client: Client, clock: ProviderClock): ClientHealth {
  let health: SourceHealth = { state: 'starting', since: clock.now(), why: 'the source was not opened yet' };
  let isOpen = false;
  let providerName: string | undefined;
  let lastFault: string | undefined;

  const status = (): Pick<SourceHealth, 'state' | 'why'> => {
    const { name } = client.metadata.providerMetadata;
    if (providerName !== undefined && name !== providerName) return { state: 'stale', why: swapped(providerName, name) };
    const { providerStatus } = client;
    switch (providerStatus) {
      case ProviderStatus.READY:
        return { state: 'fresh' };
      case ProviderStatus.NOT_READY:
        return { state: providerName === undefined ? 'starting' : 'stale', why: `${name} is not ready` };
      case ProviderStatus.STALE:
      case ProviderStatus.ERROR:
      case ProviderStatus.FATAL:
        return {
          state: 'stale',
          why: `${name} is in status ${providerStatus}${lastFault === undefined ? '' : `: ${lastFault}`}`,
        };
    }
  };

  return {
    observe() {
      if (!isOpen) return health;
      const next = status();
      if (next.state === 'fresh') providerName ??= client.metadata.providerMetadata.name;
      if (next.state !== health.state || next.why !== health.why)
        health = { ...next, since: next.state === health.state ? health.since : clock.now() };
      return health;
    },
    fault(message) {
      lastFault = message;
    },
    get providerName() {
      return providerName;
    },
    open() {
      isOpen = true;
    },
    close() {
      isOpen = false;
      health = { state: 'closed', since: clock.now() };
    },
  };
}

export function swapped(from: string, to: string): string {
  return `the provider was changed from ${from} to ${to}; open the source anew if that was meant`;
}
