// readme.test.ts: the program of the README, over a GrowthBook in this process.

import { defineKillSwitches } from '@offswitch/core';
import { growthBook } from '@offswitch/growthbook';
import { growthBookControl } from '@offswitch/growthbook/control';
import { type LocalGrowthBook, startLocalGrowthBook } from '@offswitch/testing/growthbook';
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
