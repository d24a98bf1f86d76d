// options.ts: how a LaunchDarkly source is told what to read, and how quickly it must notice that it cannot.

import { createHash } from 'node:crypto';
import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import { LaunchDarklyError } from './error.ts';
import { wrongInHeader } from './header.ts';
import type { LaunchDarklySdk, LdClient } from './sdk.ts';

export interface LaunchDarklyOptions {
  /**
   * The server-side SDK key of the environment. With it the source holds its own connection, which is what makes health, recovery
   * and live readings possible. Without it, see `client`.
   */
  readonly sdkKey?: string;
  /**
   * A client of `@launchdarkly/node-server-sdk` 9.x or `launchdarkly-node-server-sdk` 7.x that the application already has; it is
   * never closed from here. Beside `sdkKey` it answers the application's other flags. Alone it is read for switches too, but
   * whether its connection lives cannot be seen from outside (it says `initialized` through a stall, and for ever after a 401):
   * health is then `stale`, every reading `cached`, so that it stops but never releases by itself.
   */
  readonly client?: LdClient;
  /** The SDK to evaluate with. Default: the one that is installed, 9.x before 7.x. */
  readonly sdk?: LaunchDarklySdk;
  /** More options for the client that answers other flags and reports evaluations (`application`, `hooks`, `sendEvents`, `bigSegments`, ...). */
  readonly sdkOptions?: Readonly<Record<string, unknown>>;
  /** Where positions compare. Default: a hash of `baseUri` and the SDK key, so that a rotated key is another series unless this is set. */
  readonly series?: string;
  /** Default `https://sdk.launchdarkly.com`; a Relay Proxy's address where there is one. */
  readonly baseUri?: string;
  /** Default `https://stream.launchdarkly.com`. */
  readonly streamUri?: string;
  /** Default `https://events.launchdarkly.com`. */
  readonly eventsUri?: string;
  /** For a way out through a proxy, as for `https.request`. Default: one of our own. */
  readonly agent?: HttpAgent | HttpsAgent;
  /**
   * How long after the last confirmation data still counts as live. Milliseconds. Default 8000: two polls may be lost, and health
   * leaves `fresh` within 10 s of any fault.
   */
  readonly staleAfterMs?: number;
  /**
   * Between two conditional requests that confirm the data. Milliseconds, default 3000. `Infinity` relies on the stream's
   * heartbeat alone: then `staleAfterMs` must exceed it, which LaunchDarkly gives only as "less than 5 minutes".
   */
  readonly pollMs?: number;
  /** How long `open` waits for the first data. Milliseconds, default 3000. */
  readonly openWithinMs?: number;
  /**
   * How often a switch that is read is also evaluated once with an event, for the context `offswitch`, so that it does not look
   * abandoned in the dashboard. Milliseconds, default 24 hours; `Infinity` never.
   */
  readonly reportUsageEveryMs?: number;
  /** Epoch milliseconds, for `health.since` and beside the monotonic clock. Default `Date.now`. */
  readonly now?: () => number;
}

export interface Settled {
  readonly baseUri: string;
  readonly streamUri: string;
  readonly eventsUri: string;
  readonly location: string;
  readonly series: string;
  readonly staleAfterMs: number;
  readonly pollMs: number;
  readonly openWithinMs: number;
  readonly reportUsageEveryMs: number;
  readonly now: () => number;
}

/** With every default, or `bad_configuration`. */
export function settle(options: LaunchDarklyOptions): Settled {
  const { sdkKey, client } = options;
  if (sdkKey === undefined && client === undefined)
    throw new LaunchDarklyError(
      'bad_configuration',
      'there is neither an sdkKey nor a client; give the SDK key of the environment',
    );
  if (sdkKey !== undefined && (typeof sdkKey !== 'string' || sdkKey.trim() === ''))
    throw new LaunchDarklyError(
      'bad_configuration',
      'the sdkKey is empty; give the one of the environment (LAUNCHDARKLY_SDK_KEY, as a rule)',
    );
  const wrong = wrongInHeader(sdkKey);
  if (wrong !== undefined) throw new LaunchDarklyError('bad_configuration', `the sdkKey ${wrong}`);
  if (client !== undefined && typeof client.variationDetail !== 'function')
    throw new LaunchDarklyError('bad_configuration', 'the client is no LaunchDarkly server client: it has no variationDetail');
  if (options.series === '') throw new LaunchDarklyError('bad_configuration', 'series is empty; leave it out for the default');
  const baseUri = uri('baseUri', options.baseUri ?? 'https://sdk.launchdarkly.com');
  const numbers = {
    staleAfterMs: options.staleAfterMs ?? 8000,
    pollMs: options.pollMs ?? 3000,
    openWithinMs: options.openWithinMs ?? 3000,
    reportUsageEveryMs: options.reportUsageEveryMs ?? 86_400_000,
  };
  for (const [name, value] of Object.entries(numbers))
    if (!(value > 0)) throw new LaunchDarklyError('bad_configuration', `${name} must be more than 0`);
  const digest = createHash('sha256')
    .update(`${baseUri}\n${sdkKey ?? ''}`)
    .digest('hex')
    .slice(0, 16);
  return {
    baseUri,
    streamUri: uri('streamUri', options.streamUri ?? 'https://stream.launchdarkly.com'),
    eventsUri: uri('eventsUri', options.eventsUri ?? 'https://events.launchdarkly.com'),
    location: sdkKey === undefined ? 'a LaunchDarkly client of the application' : new URL(baseUri).host,
    series: options.series ?? `launchdarkly:${digest}`,
    now: options.now ?? Date.now,
    ...numbers,
  };
}

function uri(name: string, value: string): string {
  if (!/^https?:\/\/[^/]/.test(value))
    throw new LaunchDarklyError('bad_configuration', `${name} ${JSON.stringify(value)} is no http address`);
  return value.replace(/\/+$/, '');
}
