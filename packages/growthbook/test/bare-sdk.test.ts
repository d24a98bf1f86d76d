// bare-sdk.test.ts: GrowthBook's SDK alone in each fault, for the table in the docs. `node .ci/faults.mjs --measure` runs it, with
// Node's own EventSource switched on, without which the SDK does not stream.

import { GrowthBookClient, setPolyfills } from '@growthbook/growthbook';
import { measureSourceFaults, type PlainSdk, plainSource, withSource } from '@offswitch/testing';
import { describe } from 'vitest';
import { growthBookHarness } from './harness.ts';

function plain(apiHost: string, clientKey: string): PlainSdk {
  const EventSource: unknown = Reflect.get(globalThis, 'EventSource');
  if (EventSource !== undefined) setPolyfills({ EventSource });
  const client = new GrowthBookClient({ apiHost, clientKey });
  let isReady = false;
  return {
    async start() {
      await client.init({ timeout: 2000, streaming: true, skipCache: true });
      isReady = true;
    },
    isReady: () => isReady && client.ready,
    evaluate(flag, { userId, sessionId, workflow }, fallback) {
      const attributes = {
        ...(userId === undefined ? {} : { id: userId, userId }),
        ...(sessionId === undefined ? {} : { sessionId }),
        ...(workflow === undefined ? {} : { workflow }),
      };
      const value: unknown = client.getFeatureValue<boolean>(flag.key, fallback, { attributes });
      return value === true;
    },
    stop: () => client.destroy({ destroyAllStreams: true }),
  };
}

describe.runIf(process.env.OFFSWITCH_MEASURE)('GrowthBook’s SDK alone', () => {
  measureSourceFaults(
    'GrowthBook SDK 1.8.0',
    async (switches) => {
      const harness = await growthBookHarness(switches, { proxied: true });
      return withSource(harness, plainSource('gb', plain(harness.proxy!.url, harness.server.clientKey)));
    },
    { staleWithinMs: 5000, recoverWithinMs: 10_000, positions: false },
  );
});
