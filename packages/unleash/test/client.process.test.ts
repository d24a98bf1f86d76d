// The contracts over a client that the application has already: its transport, its retries and its faults, under our supervision.
// Slow, for a failed request of that client takes three seconds of hidden retries.

import type { KillSwitches } from '@offswitch/core';
import { describeSourceFaults, describeSwitchSource } from '@offswitch/testing';
import { unleash } from '@offswitch/unleash';
import { InMemStorageProvider, Unleash } from 'unleash-client';
import { type SourceOver, scriptedHarness } from './scripted-harness.ts';

const overClient: SourceOver = (url, token) => {
  const client = new Unleash({
    url: `${url}/api/`,
    appName: 'app',
    customHeaders: { authorization: token },
    refreshInterval: 20,
    timeout: 1000,
    disableMetrics: true,
    storageProvider: new InMemStorageProvider(),
    skipInstanceCountWarning: true,
  });
  return {
    source: unleash({ client, staleAfterMs: 1000 }),
    free() {
      // The client's own repository emits errors after it was destroyed, which ends the process where nobody listens.
      const { repository } = client as unknown as { repository: { on(name: string, heard: () => void): void } };
      client.destroy();
      repository.on('error', () => {});
    },
  };
};

const made = async (switches: KillSwitches) => {
  // The other flags are answered by the client itself, and in source.contract.test.ts.
  const { putFlag: _, unanswered: __, ...harness } = await scriptedHarness(switches, {}, overClient);
  return harness;
};

describeSwitchSource("unleash, over the application's own client", made, { ownsVendor: false });
describeSourceFaults("Unleash, the application's own client", made, { staleWithinMs: 8000, recoverWithinMs: 15_000 });
