// readme.test.ts: the programs of the README and of the docs, run against the scripted LaunchDarkly.

import { defineKillSwitches } from '@offswitch/core';
import { launchDarkly } from '@offswitch/launchdarkly';
import { launchDarklyControl } from '@offswitch/launchdarkly/control';
import { type LocalLaunchDarkly, openLaunchDarklyServer, startLocalLaunchDarkly } from '@offswitch/testing/launchdarkly';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let local: LocalLaunchDarkly;
beforeEach(async () => {
  local = await startLocalLaunchDarkly();
});
afterEach(() => local.close());

describe('the program of the README', () => {
  test('provisions a project, engages a user there and reads it engaged and live', async () => {
    const { token, ...at } = local.control;
    const { sdkKey, ...uris } = local.source;
    // #region flip
    const switches = defineKillSwitches({ global: { authorized: ['on-call'] }, features: {}, user: { authorized: ['support'] } });
    const control = launchDarklyControl({ token, ...at }); // at: { project: 'agents', environment: 'production' }
    await control.provision(switches, { apply: true }); // creates what is missing, and edits nothing

    const source = launchDarkly({ sdkKey, ...uris }); // uris: only for a Relay Proxy
    await source.open();
    await control.engage({ flag: switches.user!, target: 'u-1', reason: 'runaway drafts', by: 'ada' });
    await source.refresh?.(); // or wait: the stream brings it within milliseconds
    const reading = await source.read(switches.user!, { userId: 'u-1' }); // engaged, live
    await source.close();
    // #endregion
    expect(reading).toMatchObject({ state: 'engaged', origin: 'live' });
  });
});

describe('the programs of the docs', () => {
  test('a source beside the client that an application has', async () => {
    const { init } = await import('@launchdarkly/node-server-sdk');
    const { sdkKey, ...uris } = local.source;
    local.server.setFlag({ key: 'theme', variations: ['dark', 'light'], on: true });
    const client = init(sdkKey, { ...uris, diagnosticOptOut: true, logger: { error() {}, warn() {}, info() {}, debug() {} } });
    await client.waitForInitialization({ timeout: 5 });
    // #region beside
    const source = launchDarkly({ sdkKey, client, ...uris }); // switches on a watched connection, other flags through your client
    // #endregion
    await source.open();
    expect(await source.resolve!('theme', 'string', { targetingKey: 'u-1' })).toMatchObject({ value: 'dark' });
    await source.close();
    client.close();
  });

  test('a set-up of one’s own, tried against a LaunchDarkly in the same process', async () => {
    // #region own
    const server = await openLaunchDarklyServer();
    server.setFlag({ key: 'killswitch.global', on: false }); // as by hand in the dashboard
    const source = launchDarkly({ sdkKey: server.sdkKey, baseUri: server.url, streamUri: server.url, eventsUri: server.url });
    await source.open();
    server.changeFlag('killswitch.global', (flag) => ({ ...flag, config: { ...flag.config, on: true } }));
    server.fault('unauthorized'); // or server.serve(snapshot), server.send('event: ...'), server.refuse('approval')
    await source.close();
    await server.close();
    const unexpected = server.unknown; // requests nobody scripted: there should be none
    // #endregion
    expect(unexpected).toEqual([]);
  });

  test('a control that knows which sessions have ended tells which targets stop nobody any more', async () => {
    const switches = defineKillSwitches({
      global: { authorized: ['on-call'] },
      features: {},
      instance: { authorized: ['on-call'] },
    });
    const ended = new Set(['s-1']);
    // #region inspect
    const control = launchDarklyControl({ ...local.control, isEnded: (session) => ended.has(session) });
    await control.provision(switches, { apply: true });
    await control.engage({ flag: switches.instance!, target: 's-1', reason: 'drill', by: 'ada' });
    const findings = (await control.inspect(switches)).flatMap((one) => one.findings); // stale-targets: s-1 has ended
    // #endregion
    expect(findings.map((one) => one.code)).toEqual(['stale-targets']);
  });
});
