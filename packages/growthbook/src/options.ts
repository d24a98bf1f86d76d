// options.ts: GrowthBook as a source, as its users see it: what may be set, checked once, and what they get.

import { createHash } from 'node:crypto';
import type { ClientOptions } from '@growthbook/growthbook';
import type { FlagType, KillSwitches, Reading, Resolution, Subject, SwitchFlag, SwitchSource } from '@offswitch/core';
import { GrowthBookError } from './error.ts';

export interface GrowthBookOptions {
  /** Where the SDK endpoint is: GrowthBook's proxy, its CDN or your own host, `https://cdn.growthbook.io`. */
  readonly apiHost: string;
  /** The SDK connection's client key, `sdk-...`. It names project and environment. Never a management secret. */
  readonly clientKey: string;
  /** Base64, for an SDK connection with encryption. */
  readonly decryptionKey?: string;
  /** Where the event stream is, if elsewhere. Default `apiHost`. */
  readonly streamingHost?: string;
  /** Sent with each request, for a gateway in front. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Whether there is an event stream. Default `auto`: where the features endpoint says `x-sse-support: enabled`, which
   * GrowthBook's cloud and its proxy do. Without one a change is seen at the next reconcile.
   */
  readonly streaming?: 'auto' | 'always' | 'never';
  /** Names the history that positions belong to (S3). Default: a hash of `apiHost` and `clientKey`. */
  readonly series?: string;
  /**
   * How old the last proof that our data are the vendor's may be, before readings are `cached`. Milliseconds. Default 9000, so
   * that health leaves `fresh` within 10 s of any fault.
   */
  readonly staleAfterMs?: number;
  /** How often everything is fetched anew, whatever the stream says. Milliseconds. Default 4000; it must be below `staleAfterMs`. */
  readonly reconcileMs?: number;
  /** The end of one request, body included. Milliseconds. Default 3000. The vendor's SDK has none. */
  readonly requestTimeoutMs?: number;
  /** A stream that says nothing for so long is opened anew. Milliseconds. Default 45000: GrowthBook's proxy pings every 30 s. */
  readonly heartbeatMs?: number;
  /** Longest pause before a lost stream is opened again; a longer `retry` of the server is ignored. Milliseconds. Default 2000. */
  readonly reconnectWithinMs?: number;
  /** How long `open` waits for the first data. Milliseconds. Default 3000; slower ones are read when they come. */
  readonly openWithinMs?: number;
  /** The feature that proves a payload to be whole and of the right environment. Default `killswitch.canary`. */
  readonly canaryKey?: string;
  /** The declared switches, so that health tells of one that is missing before anybody reads it. */
  readonly switches?: KillSwitches;
  /** For the application's own flags (`resolve`): tracking, usage callbacks, global attributes, forced values. Reads of switches see none of it. */
  readonly application?: Pick<
    ClientOptions,
    'globalAttributes' | 'forcedFeatureValues' | 'forcedVariations' | 'trackingCallback' | 'onFeatureUsage' | 'eventLogger'
  >;
  /** Wall clock, epoch milliseconds. Default `Date.now`. */
  readonly now?: () => number;
}

export interface GrowthBookSource extends SwitchSource {
  readonly location: string;
  read(flag: SwitchFlag, subject: Subject): Reading;
  resolve(flagKey: string, type: FlagType, context: Readonly<Record<string, unknown>>): Resolution;
  refresh(): Promise<void>;
}

export type Settings = Required<
  Omit<GrowthBookOptions, 'decryptionKey' | 'switches' | 'application' | 'apiHost' | 'streamingHost' | 'clientKey'>
> &
  Pick<GrowthBookOptions, 'decryptionKey' | 'switches' | 'application'> & {
    readonly location: string;
    readonly featuresUrl: string;
    readonly streamUrl: string;
  };

/** With every default in its place. Throws `bad_configuration`. */
export function settingsOf(options: GrowthBookOptions): Settings {
  const host = checkedUrl('apiHost', options.apiHost);
  const streamingHost = checkedUrl('streamingHost', options.streamingHost ?? options.apiHost);
  const { clientKey, decryptionKey } = options;
  if (typeof clientKey !== 'string' || clientKey.trim() === '') throw bad('clientKey is empty; take it from the SDK connection');
  if (clientKey.startsWith('secret_'))
    throw bad(
      'clientKey is a management secret, which agents must not hold; take the client key (sdk-...) of the SDK connection',
    );
  if (decryptionKey !== undefined && ![16, 24, 32].includes(Buffer.from(decryptionKey, 'base64').length))
    throw bad('decryptionKey is no base64 AES key; take it from the SDK connection');
  if (options.series === '') throw bad('series is empty; leave it out for the default');
  const settings: Settings = {
    headers: options.headers ?? {},
    streaming: options.streaming ?? 'auto',
    series: options.series ?? seriesOf(options.apiHost, clientKey),
    staleAfterMs: options.staleAfterMs ?? 9000,
    reconcileMs: options.reconcileMs ?? 4000,
    requestTimeoutMs: options.requestTimeoutMs ?? 3000,
    heartbeatMs: options.heartbeatMs ?? 45_000,
    reconnectWithinMs: options.reconnectWithinMs ?? 2000,
    openWithinMs: options.openWithinMs ?? 3000,
    canaryKey: options.canaryKey ?? 'killswitch.canary',
    now: options.now ?? Date.now,
    ...(decryptionKey === undefined ? {} : { decryptionKey }),
    ...(options.switches === undefined ? {} : { switches: options.switches }),
    ...(options.application === undefined ? {} : { application: options.application }),
    location: `${new URL(host).host}, client key ${clientKey.slice(0, 8)}...`,
    featuresUrl: `${host}/api/features/${encodeURIComponent(clientKey)}`,
    streamUrl: `${streamingHost}/sub/${encodeURIComponent(clientKey)}`,
  };
  for (const name of [
    'staleAfterMs',
    'reconcileMs',
    'requestTimeoutMs',
    'heartbeatMs',
    'reconnectWithinMs',
    'openWithinMs',
  ] as const)
    if (!(settings[name] > 0 && settings[name] < 2 ** 31)) throw bad(`${name} must be more than 0 and less than 2^31`);
  if (settings.reconcileMs >= settings.staleAfterMs)
    throw bad('reconcileMs must be below staleAfterMs: data are proven only by fetching them');
  return settings;
}

/** Host and client key, hashed: a payload of another environment never has the same one. */
function seriesOf(apiHost: string, clientKey: string): string {
  const hash = createHash('sha256').update(`${new URL(apiHost).host}\0${clientKey}`);
  return `growthbook:${hash.digest('hex').slice(0, 16)}`;
}

function checkedUrl(name: string, value: unknown): string {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw bad(`${name} must be a URL, like "https://cdn.growthbook.io"`);
  return url.href.replace(/\/+$/, '');
}

function bad(message: string): GrowthBookError {
  return new GrowthBookError('bad_configuration', message);
}
