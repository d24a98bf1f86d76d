import type { KillSwitches } from '@offswitch/core';
import { describeSwitchSource } from '@offswitch/testing';
import type { UnleashServerOptions } from '@offswitch/testing/unleash';
import { expect } from 'vitest';
import { scriptedHarness } from './scripted-harness.ts';

const made = async (switches: KillSwitches, options: UnleashServerOptions = {}) => {
  const { putFlag, ...harness } = await scriptedHarness(switches, options);
  // In Unleash every flag is on or off, whatever its variants carry, and `isEnabled` beside `getVariant` on one flag is how it is used:
  // asked for a boolean, no flag is of another type. The other types are in resolve.property.test.ts.
  const isAboutTypes = expect.getState().currentTestName?.includes('TYPE_MISMATCH') === true;
  return isAboutTypes || !putFlag ? harness : { ...harness, putFlag };
};

describeSwitchSource('unleash, against the scripted server', (switches) => made(switches));

describeSwitchSource(
  'unleash, behind a cache with ETags of its own, so that a release is an act',
  async (switches) => {
    // Without a revision older data look like newer ones. They release nothing all the same: that takes a position.
    const { serveOlder: _, ...harness } = await made(switches, { etagOf: (revision) => `W/"edge-${revision.toString(36)}"` });
    return harness;
  },
  { positions: false },
);
