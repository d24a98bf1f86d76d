// contract.test.ts: GrowthBook holds what every source must, flipped through our own control, plain and encrypted, with each of
// the ways in which a change can be pushed.

import { randomBytes } from 'node:crypto';
import { describeSourceFaults, describeSwitchSource } from '@offswitch/testing';
import { growthBookHarness } from './harness.ts';

describeSwitchSource('GrowthBook', (switches) => growthBookHarness(switches));
describeSwitchSource('GrowthBook, encrypted', (switches) =>
  growthBookHarness(switches, { server: { encryptionKey: randomBytes(16).toString('base64') } }),
);
describeSwitchSource('GrowthBook, told only that there is news', (switches) =>
  growthBookHarness(switches, { server: { push: 'features-updated' } }),
);
describeSwitchSource('GrowthBook without an event stream', (switches) =>
  growthBookHarness(switches, { server: { streaming: false }, source: { reconcileMs: 15 } }),
);

describeSourceFaults('GrowthBook', (switches) => growthBookHarness(switches, { proxied: true }), {
  staleWithinMs: 2000,
  recoverWithinMs: 5000,
});
