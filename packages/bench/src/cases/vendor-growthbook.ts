// vendor-growthbook.ts: GrowthBook by the measures of every vendor, over the scripted server with its event stream.
//
// The SDK alone is the vendor's client with an EventSource, as its guide for Node has it. A new payload is its only word of a change.

import { GrowthBookClient, setPolyfills } from '@growthbook/growthbook';
import type { SwitchFlag } from '@offswitch/core';
import { growthBook } from '@offswitch/growthbook';
import { startGrowthBookServer } from '@offswitch/testing/growthbook';
import { EventSource } from 'eventsource';
import type { Case } from '../case.ts';
import { switches } from '../fleet.ts';
import { type VendorUnderTest, vendorCase } from '../vendor.ts';

export const vendorGrowthBook: Case = vendorCase('growthbook', open);

async function open(): Promise<VendorUnderTest> {
  const server = await startGrowthBookServer();
  const { url: apiHost, clientKey } = server;
  const define = (flag: SwitchFlag, isEngaged: boolean, ids: readonly string[] = []): void => {
    const attribute = flag.tier === 'user' ? 'userId' : 'sessionId';
    const rules = ids.length === 0 ? [] : [{ condition: { [attribute]: { $in: [...ids] } }, force: flag.engagedWhen }];
    server.setFeature(flag.key, { defaultValue: isEngaged === flag.engagedWhen, rules });
  };
  server.setFeature('killswitch.canary', { defaultValue: true });
  for (const flag of switches.flags) define(flag, false);
  return {
    source: growthBook({ apiHost, clientKey }),
    flip: define,
    list: (flag, ids) => define(flag, false, ids),
    async bare(updated) {
      setPolyfills({ EventSource });
      class Listening extends GrowthBookClient {
        override async setPayload(payload: Parameters<GrowthBookClient['setPayload']>[0]): Promise<void> {
          await super.setPayload(payload);
          updated();
        }
      }
      const client = new Listening({ apiHost, clientKey });
      await client.init({ streaming: true });
      return { close: () => client.destroy({ destroyAllStreams: true }) };
    },
    close: () => server.close(),
  };
}
