// vendor-launchdarkly.ts: LaunchDarkly's SDK 9 over real HTTP and SSE to the scripted server.

import { init } from '@launchdarkly/node-server-sdk';
import type { KillSwitches } from '@offswitch/core';
import { launchDarkly } from '@offswitch/launchdarkly';
import { launchDarklyControl } from '@offswitch/launchdarkly/control';
import { startLocalLaunchDarkly } from '@offswitch/testing/launchdarkly';
import type { Case } from '../case.ts';
import { switches } from '../fleet.ts';
import { type VendorUnderTest, vendorCase } from '../vendor.ts';

export const vendorLaunchDarkly: Case = vendorCase('launchdarkly', open);

async function open(): Promise<VendorUnderTest> {
  const local = await startLocalLaunchDarkly();
  const { server } = local;
  await launchDarklyControl(local.control).provision(switches as KillSwitches, { apply: true });
  const source = launchDarkly({ ...local.source, sdk: { init } });
  return {
    source,
    flip(flag, engaged) {
      server.changeFlag(flag.key, (one) => ({ ...one, config: { ...one.config, on: engaged === flag.engagedWhen } }));
    },
    list(flag, ids) {
      if (flag.tier === 'instance') {
        const values = [...ids];
        server.setSegment({ key: 'killswitch-sessions', includedContexts: [{ contextKind: 'session', values }] });
        return;
      }
      server.changeFlag(flag.key, (one) => ({
        ...one,
        config: {
          ...one.config,
          targets: [
            { contextKind: 'user', values: ids, variation: one.variations.findIndex((each) => each.value === flag.engagedWhen) },
          ],
        },
      }));
    },
    async bare(updated) {
      const quiet = { error() {}, warn() {}, info() {}, debug() {} };
      const { sdkKey, ...uris } = local.source;
      const client = init(sdkKey, { ...uris, logger: quiet, diagnosticOptOut: true });
      await client.waitForInitialization({ timeout: 5 });
      client.on('update', updated);
      return client;
    },
    close: () => local.close(),
  };
}
