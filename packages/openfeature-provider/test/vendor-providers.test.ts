// vendor-providers.test.ts: fromOpenFeature over the vendors' own OpenFeature providers, which is the way to a vendor we have no adapter
// for. What such a provider keeps to itself cannot be had from outside: those faults are listed here by name.
//
// Unleash's provider (@unleash/openfeature-node-provider) could not be obtained where these tests are run.

import { describeSourceFaults, describeSwitchSource, type Fault, type FaultProblemCode, faults } from '@offswitch/testing';
import { beforeAll } from 'vitest';
import { growthBookVendor } from './vendors/growthbook.ts';
import { launchDarklyVendor } from './vendors/launchdarkly.ts';
import { type Vendor, vendorHarness } from './vendors/world.ts';
import { quiet } from './world.ts';

beforeAll(quiet);

/**
 * The provider stays READY whatever happens to its connection. So old data is read as if it were live; it stops, and without a position
 * it never releases. `lost-change` and `not-released`: what comes after depends on when the SDK tries again, if it does.
 */
const saysNothing: readonly FaultProblemCode[] = ['never-stale', 'fresh-and-wrong', 'lost-change', 'not-released'];
const onEveryConnection: Readonly<Partial<Record<Fault, readonly FaultProblemCode[]>>> = {
  drop: saysNothing,
  reset: saysNothing,
  'black-hole': saysNothing,
  refuse: saysNothing,
  slow: saysNothing,
  'half-frame': saysNothing,
  unauthorized: saysNothing,
  forbidden: saysNothing,
  'not-found': saysNothing,
  'rate-limited': saysNothing,
  'server-error': saysNothing,
  'truncated-json': saysNothing,
};

const vendors: readonly {
  readonly name: string;
  readonly make: () => Promise<Vendor>;
  readonly unfixable: typeof onEveryConnection;
}[] = [
  {
    name: 'LaunchDarkly’s provider',
    make: launchDarklyVendor,
    unfixable: {
      ...onEveryConnection,
      // The SDK throws where nobody can catch it.
      'wrong-shape': [...saysNothing, 'crashed'],
      // The SDK takes it, and the provider says nothing of versions: it reads released. No latch lets go.
      'older-version': [...saysNothing, 'lifted'],
    },
  },
  {
    name: 'GrowthBook’s provider',
    make: growthBookVendor,
    unfixable: {
      ...onEveryConnection,
      'wrong-shape': saysNothing,
      'older-version': [...saysNothing, 'lifted'],
      // The SDK fetches nothing when its stream is back.
      'change-in-gap': saysNothing,
    },
  },
];

for (const { name, make, unfixable } of vendors) {
  const title = `fromOpenFeature over ${name}`;
  describeSwitchSource(title, async (switches) => vendorHarness(await make(), switches), {
    positions: false,
    noticesLoss: false,
    ownsVendor: false,
    standardReasons: false,
  });
  const harness = async (switches: Parameters<typeof vendorHarness>[1]) => vendorHarness(await make(), switches);
  const isUnfixable = (fault: Fault): boolean => unfixable[fault] !== undefined;
  describeSourceFaults(title, harness, { positions: false, only: faults.filter((fault) => !isUnfixable(fault)) });
  // Short, since these wait for what does not come.
  const bounds = { staleWithinMs: 250, recoverWithinMs: 400 };
  describeSourceFaults(title, harness, { ...bounds, positions: false, unfixable, only: faults.filter(isUnfixable) });
}
