// counting-client.ts: the client that answers for the application's other flags, and counts them at Unleash.

import { type Context, Unleash, type UnleashConfig } from 'unleash-client';
import type { HeldFlags } from './evaluator.ts';
import type { ResolvingClient } from './resolve.ts';

export interface CountingOptions {
  readonly base: string;
  readonly token: () => string | Promise<string>;
  readonly appName: string;
  readonly instanceId: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly metrics: boolean;
  readonly strategies: UnleashConfig['strategies'];
}

export interface CountingClient extends ResolvingClient {
  close(): void;
}

/** What the class keeps for `getInstance`; our own client must not make the application's be forgotten. */
interface Singleton {
  instance?: unknown;
  configSignature?: unknown;
}

/** Made at the first use: who asks for no flags registers nowhere and has no timer. */
export function countingClient(held: HeldFlags, options: CountingOptions): CountingClient {
  let client: Unleash | undefined;
  const get = (): Unleash => {
    if (client) return client;
    const { base, token, headers, appName, instanceId, metrics, strategies } = options;
    client = new Unleash({
      appName,
      url: `${base}/api/`,
      repository: held,
      ...(instanceId === undefined ? {} : { instanceId }),
      ...(strategies === undefined ? {} : { strategies }),
      customHeadersFunction: async () => {
        try {
          return { ...headers, authorization: await token() };
        } catch {
          // The client calls this where nobody catches: a token that cannot be had would end the process. The count is refused instead.
          return { ...headers };
        }
      },
      disableAutoStart: true,
      disableMetrics: !metrics,
      skipInstanceCountWarning: true,
    });
    client.on('error', () => {});
    // Data is there already, and the event that says so has been.
    held.emit('ready');
    if (metrics) void client.start().catch(() => {});
    return client;
  };
  return {
    isEnabled: (name: string, context?: Context, fallback?: unknown) => get().isEnabled(name, context, fallback as boolean),
    getVariant: (name, context, fallback) => get().getVariant(name, context, fallback),
    getFeatureToggleDefinition: (name) => get().getFeatureToggleDefinition(name),
    close() {
      if (!client) return;
      const kept = Unleash as unknown as Singleton;
      const { instance, configSignature } = kept;
      client.destroy();
      kept.instance = instance;
      kept.configSignature = configSignature;
      client = undefined;
    },
  };
}
