// readme.test.ts: the program of the README: a vendor's own source under the contract, and the source in memory.

import type { KillSwitches } from '@offswitch/core';
import { contractSwitches, describeSwitchSource, memorySource, type SourceHarness } from '@offswitch/testing';
import { expect, test } from 'vitest';

async function myHarness(switches: KillSwitches): Promise<SourceHarness> {
  const source = memorySource(switches);
  return {
    source,
    engage: async (flag, target) => source.engage(flag.key, target),
    release: async (flag, target) => source.release(flag.key, target),
    turnOn: async (flag) => source.turnOn(flag.key),
    remove: async (flag) => source.remove(flag.key),
    setWrongType: async (flag) => source.fail(flag.key, { state: 'unknown', cause: 'wrong-type', message: 'a string' }),
    lose: async () => source.lose(),
    recover: async () => source.recover(),
    close: async () => {},
  };
}

// #region contract
describeSwitchSource('my vendor', async (switches) => myHarness(switches)); // the contract, as vitest tests
// #endregion

test('the source in memory of the README reads as its comments say', async () => {
  // #region memory
  const source = memorySource(contractSwitches);
  await source.open();
  source.engage('killswitch.user', 'u-1', { reason: 'drill', by: 'ada' });
  const live = source.read(contractSwitches.user!, { userId: 'u-1' }); // engaged, live, { series, n: 2 }
  source.lose();
  const cached = source.read(contractSwitches.user!, { userId: 'u-1' }); // cached, and never a release
  // #endregion
  expect(live).toMatchObject({ state: 'engaged', origin: 'live', position: { n: 2 }, reason: 'drill', by: 'ada' });
  expect(cached).toMatchObject({ state: 'engaged', origin: 'cached' });
});
