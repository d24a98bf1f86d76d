// readme.test.ts: the program of the README, over a scripted Unleash in this process.

import { defineKillSwitches } from '@offswitch/core';
import { startUnleashServer, type UnleashServer } from '@offswitch/testing/unleash';
import { unleash } from '@offswitch/unleash';
import { unleashControl } from '@offswitch/unleash/control';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let server: UnleashServer;
beforeEach(async () => {
  server = await startUnleashServer();
});
afterEach(() => server.close());

describe('the program of the README', () => {
  test('provisions the switches, engages a user and reads it engaged, live, with reason and by', async () => {
    const { url, token: clientToken, adminToken: operatorToken, environment } = server;
    // #region flip
    const switches = defineKillSwitches({ global: { authorized: ['on-call'] }, features: {}, user: { authorized: ['support'] } });

    // Where people flip: the operator's own token, which agents never hold.
    const control = unleashControl({ url, token: operatorToken, environment });
    await control.provision(switches, { apply: true }); // creates what is missing, and edits nothing of anybody else

    // Where agents run: a backend token of that environment.
    const source = unleash({ url, token: clientToken, appName: 'agents' });
    await source.open();
    await control.engage({ flag: switches.user!, target: 'u-1', reason: 'runaway drafts', by: 'ada' });
    await source.refresh(); // or wait: it asks every second
    const reading = source.read(switches.user!, { userId: 'u-1' }); // engaged, live, reason and by
    await source.close();
    // #endregion
    expect(reading).toMatchObject({ state: 'engaged', origin: 'live', reason: 'runaway drafts', by: 'ada' });
    expect(server.unknown).toEqual([]);
  });
});
