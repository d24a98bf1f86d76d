// bare-sdk.test.ts: LaunchDarkly's SDKs alone in each fault, for the table in the docs. `node .ci/faults.mjs --measure` runs it.

import * as nine from '@launchdarkly/node-server-sdk';
import { measureSourceFaults, type PlainSdk, plainSource, withSource } from '@offswitch/testing';
import seven from 'launchdarkly-node-server-sdk';
import { describe } from 'vitest';
import { launchDarklyHarness, sdks } from './harness.ts';

const quiet = { error: () => {}, warn: () => {}, info: () => {}, debug: () => {} };

/** What both majors have; their types differ in what is not used here. */
interface Client {
  waitForInitialization(options?: { timeout: number }): Promise<unknown>;
  initialized(): boolean;
  variation(key: string, context: object, fallback: boolean): Promise<unknown>;
  on(event: string, listener: () => void): unknown;
  close(): void;
}

function plain(make: (url: string) => unknown, url: string): PlainSdk {
  const client = make(url) as Client;
  client.on('error', () => {});
  let bound: NodeJS.Timeout | undefined;
  return {
    async start() {
      const late = new Promise<void>((resolve) => {
        bound = setTimeout(resolve, 2000);
      });
      await Promise.race([client.waitForInitialization({ timeout: 2 }), late]);
      clearTimeout(bound);
    },
    isReady: () => client.initialized(),
    async evaluate(flag, { userId, sessionId, workflow }, fallback) {
      const context = {
        kind: 'multi',
        user: { key: userId ?? 'anyone' },
        ...(sessionId === undefined ? {} : { session: { key: sessionId } }),
        ...(workflow === undefined ? {} : { workflow: { key: workflow } }),
      };
      // As in an application's `if (await client.variation(...))`.
      return Boolean(await client.variation(flag.key, context, fallback));
    },
    onChange: (listener) => void client.on('update', listener),
    stop: () => client.close(),
  };
}

const bounds = { staleWithinMs: 5000, recoverWithinMs: 10_000, positions: false };
const options = (url: string) => ({
  baseUri: url,
  streamUri: url,
  sendEvents: false,
  diagnosticOptOut: true,
  logger: quiet,
});

describe.runIf(process.env.OFFSWITCH_MEASURE)('LaunchDarkly’s SDKs alone', () => {
  measureSourceFaults(
    'LaunchDarkly SDK 9.13.7',
    async (switches) => {
      const harness = await launchDarklyHarness(switches, sdks['9']);
      const make = (url: string) => nine.init(harness.server.sdkKey, options(url));
      return withSource(harness, plainSource('ld9', plain(make, `http://${harness.source.location}`)));
    },
    bounds,
  );
  measureSourceFaults(
    'LaunchDarkly SDK 7.0.4',
    async (switches) => {
      const harness = await launchDarklyHarness(switches, sdks['7']);
      const make = (url: string) => seven.init(harness.server.sdkKey, options(url));
      return withSource(harness, plainSource('ld7', plain(make, `http://${harness.source.location}`)));
    },
    bounds,
  );
});
