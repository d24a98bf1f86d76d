// two-ways.test.ts: the stream is quick and the poll is certain; either alone is enough, and where they disagree the stream begins anew.

import type { SwitchSource } from '@offswitch/core';
import { type LaunchDarklyOptions, type LaunchDarklySdk, launchDarkly } from '@offswitch/launchdarkly';
import { contractSwitches, type FaultProxy, openFaultProxy, waitUntil } from '@offswitch/testing';
import { type LaunchDarklyServer, openLaunchDarklyServer } from '@offswitch/testing/launchdarkly';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sdks } from './harness.ts';

const { global } = contractSwitches;
const boundMs = 4000;

let server: LaunchDarklyServer;
let toStream: FaultProxy;
let toPoll: FaultProxy;
let source: SwitchSource;
beforeEach(async () => {
  server = await openLaunchDarklyServer({ heartbeatMs: 50 });
  server.setFlag({ key: global.key, on: false });
  toStream = await openFaultProxy({ port: server.port });
  toPoll = await openFaultProxy({ port: server.port });
});
afterEach(async () => {
  await source.close();
  await toStream.close();
  await toPoll.close();
  await server.close();
});

const opened = async (more: Partial<LaunchDarklyOptions> = {}): Promise<void> => {
  source = launchDarkly({
    sdkKey: server.sdkKey,
    sdk: sdks['9'],
    streamUri: toStream.url,
    baseUri: toPoll.url,
    eventsUri: server.url,
    staleAfterMs: 300,
    pollMs: 60,
    ...more,
  });
  await source.open();
};
const turn = (on: boolean): void => {
  server.changeFlag(global.key, (flag) => ({ ...flag, config: { ...flag.config, on } }));
};
const reads = async (state: string, origin: string): Promise<boolean> =>
  waitUntil(source, boundMs, async () => {
    const reading = await source.read(global, {});
    return reading.state === state && reading.state !== 'unknown' && reading.origin === origin;
  });
/** Long enough for freshness to run out twice. */
const staysFresh = async (): Promise<boolean> => !(await waitUntil(source, 700, () => source.health.state !== 'fresh'));

describe('a source whose stream never opens', () => {
  test('is fresh by its polls alone, and sees a stop, a release and a deleted flag through them', async () => {
    await toStream.mode('refuse');
    await opened();
    expect(source.health.state).toBe('fresh');
    turn(true);
    expect(await reads('engaged', 'live')).toBe(true);
    turn(false);
    expect(await reads('released', 'live')).toBe(true);
    server.setFlag({ key: 'another' });
    server.removeFlag(global.key);
    expect(await waitUntil(source, boundMs, async () => (await source.read(global, {})).state === 'unknown')).toBe(true);
  });
});

describe('a source whose polls fail', () => {
  test('is fresh by the heartbeats of its stream, and sees changes through it', async () => {
    await toPoll.mode('refuse');
    await opened();
    expect(await staysFresh()).toBe(true);
    turn(true);
    expect(await reads('engaged', 'live')).toBe(true);
  });
});

describe('a stream that stalls', () => {
  test('while the polls go on is found out by what it owes, and begun anew; the change is not late for it', async () => {
    await opened();
    const before = toStream.accepted;
    await toStream.mode('black-hole');
    turn(true);
    expect(await reads('engaged', 'live')).toBe(true);
    expect(await waitUntil(source, boundMs, () => toStream.accepted > before)).toBe(true);
  });

  test('with no poll beside it is taken for gone once nothing was heard for staleAfterMs, and begun anew', async () => {
    await opened({ pollMs: Number.POSITIVE_INFINITY });
    await toStream.mode('black-hole');
    expect(await waitUntil(source, boundMs, () => source.health.state === 'stale')).toBe(true);
    // What was in the hole stays dead: only another connection comes back.
    await toStream.heal();
    expect(await waitUntil(source, boundMs, () => source.health.state === 'fresh')).toBe(true);
    turn(true);
    expect(await reads('engaged', 'live')).toBe(true);
  });
});

test('a key that is refused from the start is said in health, and taken up by itself once it counts', async () => {
  server.fault('unauthorized');
  await opened({ openWithinMs: 200 });
  expect(source.health).toMatchObject({ state: 'starting' });
  expect(source.health.why).toContain('401');
  expect(await source.read(global, {})).toMatchObject({ state: 'unknown', cause: 'not-ready' });
  server.fault(undefined);
  expect(await reads('released', 'live')).toBe(true);
});

test('what the SDK did not take in is not live, whatever the connection says (S3)', async () => {
  const deaf: LaunchDarklySdk = {
    init(sdkKey, options) {
      const given = options as { featureStore: { upsert: unknown } };
      given.featureStore.upsert = (_kind: unknown, _item: unknown, callback: () => void) => callback();
      return sdks['9'].init(sdkKey, options);
    },
  };
  await opened({ sdk: deaf });
  expect(await reads('released', 'live')).toBe(true);
  turn(true);
  expect(await reads('released', 'cached')).toBe(true);
});

test('a clock that is set forward makes the data old, and one that is set back does not make it young', async () => {
  let offsetMs = 0;
  await opened({ now: () => Date.now() + offsetMs, pollMs: Number.POSITIVE_INFINITY });
  await toStream.mode('black-hole');
  offsetMs = 3_600_000;
  expect(source.health.state).toBe('stale');
  offsetMs = -3_600_000;
  expect(await waitUntil(source, boundMs, () => source.health.state === 'stale')).toBe(true);
});
