// bare-sdk.test.ts: Unleash's SDK alone in each fault, for the table in the docs. `node .ci/faults.mjs --measure` runs it.

import { measureSourceFaults, type PlainSdk, plainSource, withSource } from '@offswitch/testing';
import { InMemStorageProvider, Unleash } from 'unleash-client';
import { describe } from 'vitest';
import { scriptedHarness } from './scripted-harness.ts';

function plain(url: string, token: string): PlainSdk {
  let client: Unleash | undefined;
  let listener: (() => void) | undefined;
  return {
    async start() {
      const made = new Unleash({
        url: `${url}/api`,
        appName: 'bare',
        customHeaders: { Authorization: token },
        // A guide's 15 s, shortened so that faults can be measured; everything else is the default.
        refreshInterval: 200,
        disableMetrics: true,
        storageProvider: new InMemStorageProvider(),
      });
      client = made;
      made.on('error', () => {});
      made.on('changed', () => listener?.());
      await new Promise<void>((resolve) => {
        const bound = setTimeout(resolve, 2000);
        made.once('synchronized', () => {
          clearTimeout(bound);
          resolve();
        });
      });
    },
    isReady: () => client?.isSynchronized() ?? false,
    evaluate(flag, { userId, sessionId, workflow }, fallback) {
      const context = {
        ...(userId === undefined ? {} : { userId }),
        ...(sessionId === undefined ? {} : { sessionId }),
        ...(workflow === undefined ? {} : { properties: { workflow } }),
      };
      return client?.isEnabled(flag.key, context, fallback) ?? fallback;
    },
    onChange(next) {
      listener = next;
    },
    stop: () => client?.destroy(),
  };
}

describe.runIf(process.env.OFFSWITCH_MEASURE)('Unleash’s SDK alone', () => {
  measureSourceFaults(
    'Unleash SDK 6.12.1',
    async (switches) => {
      const harness = await scriptedHarness(switches);
      return withSource(harness, plainSource('unleash', plain(harness.source.location!, 'default:development.offswitch-client')));
    },
    { staleWithinMs: 5000, recoverWithinMs: 10_000, positions: false },
  );
});
