// bare-sdk.test.ts: GrowthBook's SDK alone in each fault, for the table in the docs. `node .ci/faults.mjs --measure` runs it.

import { GrowthBookClient, setPolyfills } from '@growthbook/growthbook';
import { measureSourceFaults, type PlainSdk, plainSource, withSource } from '@offswitch/testing';
import { EventSource } from 'eventsource';
import { describe } from 'vitest';
import { growthBookHarness } from './harness.ts';

/** As the vendor's guide for Node has it: an EventSource as polyfill, streaming on, a flag asked for with `isOn`. */
function plain(apiHost: string, clientKey: string): PlainSdk {
  let listener: (() => void) | undefined;
  // The SDK has no event for a change; it calls this method on each new payload.
  class Listening extends GrowthBookClient {
    override async setPayload(payload: Parameters<GrowthBookClient['setPayload']>[0]): Promise<void> {
      await super.setPayload(payload);
      listener?.();
    }
  }
  let client: GrowthBookClient | undefined;
  return {
    async start() {
      setPolyfills({ EventSource });
      client = new Listening({ apiHost, clientKey });
      await client.init({ streaming: true, timeout: 2000 });
    },
    isReady: () => client?.ready ?? false,
    evaluate(flag, { userId, sessionId, conversationId, workflow }, fallback) {
      const attributes = { userId, sessionId, conversationId, workflow };
      // As in an application's `if (client.getFeatureValue(...))`.
      return Boolean(client?.getFeatureValue<boolean>(flag.key, fallback, { attributes }) ?? fallback);
    },
    onChange(next) {
      listener = next;
    },
    stop: () => client?.destroy({ destroyAllStreams: true }),
  };
}

describe.runIf(process.env.OFFSWITCH_MEASURE)('GrowthBook’s SDK alone', () => {
  measureSourceFaults(
    'GrowthBook SDK 1.8.0',
    async (switches) => {
      const harness = await growthBookHarness(switches, { proxied: true });
      return withSource(harness, plainSource('growthbook', plain(harness.proxy!.url, harness.server.clientKey)));
    },
    { staleWithinMs: 5000, recoverWithinMs: 10_000, positions: false },
  );
});
