// client.test.ts: a client that the application has already, alone and beside an SDK key.

import * as nine from '@launchdarkly/node-server-sdk';
import { LaunchDarklyError, type LdClient, launchDarkly } from '@offswitch/launchdarkly';
import { contractSwitches, waitUntil } from '@offswitch/testing';
import { type LaunchDarklyServer, openLaunchDarklyServer } from '@offswitch/testing/launchdarkly';
import seven from 'launchdarkly-node-server-sdk';
import { describe, expect, test } from 'vitest';

const { global } = contractSwitches;
const user = contractSwitches.user!;

const made = {
  '9': (server: LaunchDarklyServer, more: object = {}): LdClient => nine.init(server.sdkKey, { ...uris(server), ...more }),
  '7': (server: LaunchDarklyServer, more: object = {}): LdClient => seven.init(server.sdkKey, { ...uris(server), ...more }),
};
const uris = ({ url }: LaunchDarklyServer): object => ({
  baseUri: url,
  streamUri: url,
  eventsUri: url,
  diagnosticOptOut: true,
  logger: { error() {}, warn() {}, info() {}, debug() {} },
});

describe.each(['9', '7'] as const)('a client of the application, SDK %s', (version) => {
  test('alone it stops and permits, and nothing it says is live: what it cannot see, it does not claim (S3)', async () => {
    const server = await openLaunchDarklyServer();
    server.setFlag({ key: global.key, on: true });
    server.setFlag({
      key: user.key,
      on: true,
      fallthrough: 1,
      targets: [{ contextKind: 'user', values: ['u-1'], variation: 0 }],
    });
    const client = made[version](server);
    const source = launchDarkly({ client, reportUsageEveryMs: Number.POSITIVE_INFINITY });
    expect(await source.read(global, {})).toMatchObject({ state: 'unknown', cause: 'not-ready' });
    await source.open();
    expect(source.health).toMatchObject({ state: 'stale' });
    expect(source.health.why).toContain('sdkKey');
    expect(await source.read(global, {})).toMatchObject({ state: 'engaged', origin: 'cached', position: { n: 1 } });
    expect(await source.read(user, { userId: 'u-1' })).toMatchObject({ state: 'engaged' });
    expect(await source.read(user, { userId: 'u-2' })).toMatchObject({ state: 'released', origin: 'cached' });
    server.changeFlag(global.key, (flag) => ({ ...flag, config: { ...flag.config, on: false } }));
    expect(await waitUntil(source, 5000, async () => (await source.read(global, {})).state === 'released')).toBe(true);
    server.removeFlag(global.key);
    expect(await waitUntil(source, 5000, async () => (await source.read(global, {})).state === 'unknown')).toBe(true);
    await source.close();
    expect(source.health.state).toBe('closed');
    expect(server.events.filter((event) => event.kind === 'index')).toEqual([]);
    // It is the application's: still alive.
    expect(client.initialized()).toBe(true);
    client.close();
    await server.close();
  });

  test('opens within its bound where the client never gets ready', async () => {
    const server = await openLaunchDarklyServer();
    server.fault('server-error');
    const client = made[version](server);
    const source = launchDarkly({ client, openWithinMs: 50 });
    await source.open();
    expect(source.health.state).toBe('starting');
    await source.close();
    client.close();
    await server.close();
  });

  test('beside an SDK key it answers the other flags, and switches are live on a connection that is watched', async () => {
    const server = await openLaunchDarklyServer();
    server.setFlag({ key: global.key, on: true });
    server.setFlag({ key: 'theme', variations: ['dark', 'light'], on: true });
    const client = made[version](server);
    await new Promise<void>((resolve) => void client.on('ready', () => resolve()));
    const source = launchDarkly({
      sdkKey: server.sdkKey,
      client,
      baseUri: server.url,
      streamUri: server.url,
      eventsUri: server.url,
    });
    await source.open();
    expect(await source.read(global, {})).toMatchObject({ state: 'engaged', origin: 'live' });
    expect(await source.resolve!('theme', 'string', { targetingKey: 'u-1' })).toMatchObject({ value: 'dark' });
    await source.close();
    expect(await client.variationDetail('theme', { kind: 'user', key: 'u-1' }, 'none')).toMatchObject({ value: 'dark' });
    client.close();
    await server.close();
  });
});

test.each([
  ['neither an SDK key nor a client', {}],
  ['an empty SDK key', { sdkKey: ' ' }],
  ['something that is no client', { client: {} as LdClient }],
  ['an address that is none', { sdkKey: 'sdk-1', baseUri: 'sdk.example' }],
  ['a time that is none', { sdkKey: 'sdk-1', staleAfterMs: 0 }],
  ['an empty series', { sdkKey: 'sdk-1', series: '' }],
])('%s is bad_configuration, without the key in the message', (_what, options) => {
  const thrown = ((): unknown => {
    try {
      return launchDarkly(options);
    } catch (error) {
      return error;
    }
  })();
  expect(LaunchDarklyError.is(thrown) && thrown.code).toBe('bad_configuration');
  expect(String(thrown)).not.toContain('sdk-1');
});
