// readme.test.ts: the program of the README: a vendor's own source under the contract, and the source in memory.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { KillSwitches } from '@offswitch/core';
import {
  contractSwitches,
  describeSourceFaults,
  describeSwitchSource,
  memorySource,
  openFaultProxy,
  type SourceHarness,
} from '@offswitch/testing';
import { expect, test } from 'vitest';
import { smallHarness } from './small-source.ts';

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

const myFaultHarness = (switches: KillSwitches) => smallHarness(switches);

// #region contract
describeSwitchSource('my vendor', async (switches) => myHarness(switches)); // the contract, as vitest tests
describeSourceFaults('my vendor', async (switches) => myFaultHarness(switches), { staleWithinMs: 1000 });
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

test('the proxy of the README cuts and heals as its comments say', async () => {
  const server = createServer((_, response) => response.end('{"flags":{}}'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  // #region proxy
  const proxy = await openFaultProxy({ port });
  await proxy.mode('half-frame');
  const cut = await fetch(proxy.url)
    .then((response) => response.text())
    .catch(() => 'cut in the middle of its body');
  await proxy.heal();
  const whole = await fetch(proxy.url).then((response) => response.text());
  await proxy.close();
  // #endregion
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  expect([cut, whole]).toEqual(['cut in the middle of its body', '{"flags":{}}']);
});
