// sdk.ts: the part of LaunchDarkly's SDKs that is used here, by structure, so that one adapter fits 9.x and 7.x unmodified.

import { LaunchDarklyError } from './error.ts';

export interface LdReason {
  readonly kind: string;
  readonly errorKind?: string | undefined;
  readonly inExperiment?: boolean | undefined;
  /** Present where a big segment was asked: HEALTHY, STALE, NOT_CONFIGURED or STORE_ERROR. */
  readonly bigSegmentsStatus?: string | undefined;
}

export interface LdDetail {
  readonly value: unknown;
  /** Absent or null: nothing of the flag was served, and the value is the caller's own default. */
  readonly variationIndex?: number | null | undefined;
  readonly reason?: LdReason | undefined;
}

/** A client of `@launchdarkly/node-server-sdk` 9.x or `launchdarkly-node-server-sdk` 7.x. */
export interface LdClient {
  initialized(): boolean;
  variationDetail(
    key: string,
    context: object,
    defaultValue: unknown,
    callback?: (error: unknown, detail: LdDetail) => void,
  ): Promise<LdDetail>;
  allFlagsState(context: object, options?: object): Promise<{ readonly valid: boolean; toJSON(): object }>;
  on(event: string | symbol, listener: (...args: unknown[]) => void): unknown;
  off(event: string | symbol, listener: (...args: unknown[]) => void): unknown;
  close(): void;
}

/** The module itself: `import * as sdk from '@launchdarkly/node-server-sdk'`. */
export interface LaunchDarklySdk {
  init(sdkKey: string, options?: object): LdClient;
}

/** One item of the SDK's store: a flag or a segment, in the SDK's own form. */
export interface StoreItem {
  readonly version: number;
  readonly deleted?: boolean;
  readonly [field: string]: unknown;
}

/** 9.x answers callbacks in the same tick and has hooks; 7.x has neither. */
export function answersAtOnce(client: LdClient): boolean {
  return 'addHook' in client;
}

/** Both SDKs talk a lot about what is of no interest here: health and readings say it, once. */
export const silent: Readonly<Record<'error' | 'warn' | 'info' | 'debug', () => void>> = {
  error: () => {},
  warn: () => {},
  info: () => {},
  debug: () => {},
};

/** The SDK that is installed, the maintained one first. Rejects with `bad_configuration` where there is none. */
export async function loadSdk(): Promise<LaunchDarklySdk> {
  const names = ['@launchdarkly/node-server-sdk', 'launchdarkly-node-server-sdk'];
  const failures: unknown[] = [];
  for (const name of names) {
    try {
      const loaded = (await import(name)) as { init?: unknown; default?: { init?: unknown } };
      const sdk = typeof loaded.init === 'function' ? loaded : loaded.default;
      if (typeof sdk?.init === 'function') return sdk as LaunchDarklySdk;
    } catch (error) {
      failures.push(error);
    }
  }
  throw new LaunchDarklyError(
    'bad_configuration',
    'no LaunchDarkly SDK can be loaded; npm install @launchdarkly/node-server-sdk, or hand one over as `sdk`',
    { cause: failures[0] },
  );
}
