// readme.test.ts: the program of the README, over a GrowthBook in this process.

import { defineKillSwitches } from '@offswitch/core';
import { growthBook } from '@offswitch/growthbook';
import { growthBookControl } from '@offswitch/growthbook/control';
import { type LocalGrowthBook, startGrowthBookServer, startLocalGrowthBook } from '@offswitch/testing/growthbook';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let local: LocalGrowthBook;
beforeEach(async () => {
  local = await startLocalGrowthBook();
});
afterEach(() => local.close());

describe('the program of the README', () => {
  test('provisions the switches, engages a user and reads it engaged, live', async () => {
    const { apiHost, clientKey } = local.source;
    const { baseUrl, token, environment } = local.control;
    // #region flip
    const switches = defineKillSwitches({ global: { authorized: ['on-call'] }, features: {}, user: { authorized: ['support'] } });

    // Where people flip: a secret key, which agents never hold.
    const control = growthBookControl({ baseUrl, token, environment, clientKey });
    await control.provision(switches, { apply: true }); // creates what is missing, and edits nothing of anybody else

    // Where agents run: the client key of an SDK connection.
    const source = growthBook({ apiHost, clientKey, switches });
    await source.open();
    await control.engage({ flag: switches.user!, target: 'u-1', reason: 'runaway drafts', by: 'ada' });
    await source.refresh(); // or wait: the event stream tells of it within milliseconds
    const reading = source.read(switches.user!, { userId: 'u-1' }); // engaged, live
    await source.close();
    // #endregion
    expect(reading).toMatchObject({ state: 'engaged', origin: 'live' });
    expect(local.server.unknown).toEqual([]);
  });
});

describe('the program of the docs', () => {
  test('brings a set-up through an outage of a scripted GrowthBook', async () => {
    // #region scripted
    const server = await startGrowthBookServer(); // loopback; speaks to the unmodified SDK and to the control
    server.setFeature('killswitch.canary', { defaultValue: true });
    server.setFeature('killswitch.global', { defaultValue: true });
    const { global } = defineKillSwitches({ global: { authorized: ['on-call'] }, features: {} });
    const source = growthBook({ apiHost: server.url, clientKey: server.clientKey });
    await source.open();
    server.fault('server-error'); // or 'unauthorized', 'truncated-json', 'empty-set', ...; `undefined` heals it
    await source.refresh();
    const reading = source.read(global, {}); // engaged, cached: the stop is kept, and nothing can release it
    await source.close();
    await server.close();
    // #endregion
    expect(reading).toMatchObject({ state: 'engaged', origin: 'cached' });
  });
});
