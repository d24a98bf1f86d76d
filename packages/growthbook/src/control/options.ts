// options.ts: the management API as this control uses it: where it is, who asks, and how long we wait for it.

import { GrowthBookError } from '../error.ts';

export interface GrowthBookControlOptions {
  /**
   * A secret key or a personal access token, one per operator, so that GrowthBook's own log knows who flipped. It needs to publish
   * features and saved groups of the environment; to provision also to create features, saved groups and attributes.
   */
  readonly token: string;
  /** The management API's host. Default `https://api.growthbook.io`; your own host where you run GrowthBook yourself. */
  readonly baseUrl?: string;
  /** The environment that is flipped, as GrowthBook names it: `production`. */
  readonly environment: string;
  /** Project id for features that are provisioned. Default: all projects. */
  readonly project?: string;
  /** The SDK connection's client key. With it each flip is read back from the SDK endpoint too, which is what agents get. */
  readonly clientKey?: string;
  /** Where that SDK endpoint is. Default `baseUrl`, past any CDN. */
  readonly apiHost?: string;
  /** For an SDK connection with encryption. Base64. */
  readonly decryptionKey?: string;
  /** How long the SDK endpoint may take to show a flip. Milliseconds. Default 5000. */
  readonly confirmWithinMs?: number;
  /** The end of one request. Milliseconds. Default 5000. */
  readonly timeoutMs?: number;
  /** Longest wait for the rate limit (60 requests a minute and key), over all requests of one call. Milliseconds. Default 20000. */
  readonly rateLimitWaitMs?: number;
  /** The feature that proves a payload whole; the same as the source's. Default `killswitch.canary`. */
  readonly canaryKey?: string;
  /** Says of a session whether it is over, for the finding `stale-targets`. */
  readonly isEnded?: (sessionId: string) => boolean | Promise<boolean>;
  /** Wall clock, epoch milliseconds. Default `Date.now`. */
  readonly now?: () => number;
  /** Hears of what does not undo a flip. Default `process.emitWarning`. */
  readonly warn?: (message: string) => void;
}

export type ControlSettings = Required<Omit<GrowthBookControlOptions, 'project' | 'clientKey' | 'decryptionKey' | 'isEnded'>> &
  Pick<GrowthBookControlOptions, 'project' | 'clientKey' | 'decryptionKey' | 'isEnded'>;

/** With every default in its place. Throws `bad_configuration`. */
export function controlSettings(options: GrowthBookControlOptions): ControlSettings {
  const { token, environment } = options;
  if (typeof token !== 'string' || token.trim() === '') throw bad('token is empty; make one under Settings, API Keys');
  if (token.startsWith('sdk-'))
    throw bad('token is a client key, which cannot flip; take a secret key or a personal access token');
  if (typeof environment !== 'string' || environment.trim() === '')
    throw bad('environment is empty; name the one that is flipped, like "production"');
  const baseUrl = host('baseUrl', options.baseUrl ?? 'https://api.growthbook.io');
  return {
    ...options,
    baseUrl,
    apiHost: options.apiHost === undefined ? baseUrl : host('apiHost', options.apiHost),
    confirmWithinMs: options.confirmWithinMs ?? 5000,
    timeoutMs: options.timeoutMs ?? 5000,
    rateLimitWaitMs: options.rateLimitWaitMs ?? 20_000,
    canaryKey: options.canaryKey ?? 'killswitch.canary',
    now: options.now ?? Date.now,
    warn: options.warn ?? ((message) => process.emitWarning(message, 'OffswitchWarning')),
  };
}

function host(name: string, value: string): string {
  if (!URL.canParse(value)) throw bad(`${name} must be a URL, like "https://api.growthbook.io"`);
  return value.replace(/\/+$/, '').replace(/\/api$/, '');
}

function bad(message: string): GrowthBookError {
  return new GrowthBookError('bad_configuration', message);
}
