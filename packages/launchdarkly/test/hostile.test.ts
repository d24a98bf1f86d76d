// hostile.test.ts: data that came apart on its way, keys copied with a line break, and limits that answer nonsense.

import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { SwitchSource } from '@offswitch/core';
import { type LaunchDarklyOptions, launchDarkly } from '@offswitch/launchdarkly';
import { launchDarklyControl } from '@offswitch/launchdarkly/control';
import { contractSwitches, waitUntil, watchHost } from '@offswitch/testing';
import { type LaunchDarklyServer, openLaunchDarklyServer } from '@offswitch/testing/launchdarkly';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sdks } from './harness.ts';

const { global } = contractSwitches;
const instance = contractSwitches.instance!;
const boundMs = 4000;
const words = { reason: 'why', by: 'ada' };

let server: LaunchDarklyServer;
let source: SwitchSource | undefined;
const others: Server[] = [];
beforeEach(async () => {
  server = await openLaunchDarklyServer({ heartbeatMs: 50 });
});
afterEach(async () => {
  await source?.close();
  source = undefined;
  for (const one of others.splice(0)) {
    one.closeAllConnections();
    one.close();
  }
  await server.close();
});

const opened = async (more: Partial<LaunchDarklyOptions> = {}): Promise<SwitchSource> => {
  const { url, sdkKey } = server;
  source = launchDarkly({ sdkKey, sdk: sdks['9'], baseUri: url, streamUri: url, eventsUri: url, pollMs: Infinity, ...more });
  await source.open();
  return source;
};
const listen = async (listener: RequestListener): Promise<{ readonly url: string; readonly sockets: Set<Socket> }> => {
  const made = createServer(listener);
  const sockets = new Set<Socket>();
  made.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  made.listen(0, '127.0.0.1');
  await once(made, 'listening');
  others.push(made);
  return { url: `http://127.0.0.1:${(made.address() as AddressInfo).port}`, sockets };
};
const send = (path: string, data: object): void => server.send(`event: patch\ndata: ${JSON.stringify({ path, data })}\n\n`);
const flagData = (key: string, more: object) => ({
  key,
  on: true,
  variations: [true, false],
  offVariation: 1,
  fallthrough: { variation: 1 },
  targets: [],
  contextTargets: [],
  prerequisites: [],
  salt: 's',
  ...more,
});
const asks = (...segments: string[]) =>
  segments.map((segment, at) => ({
    id: `r${at}`,
    variation: 0,
    clauses: [{ attribute: '', op: 'segmentMatch', values: [segment], negate: false }],
  }));
const segmentData = (key: string, version: number, sessions: string[], rules: object[] = []) => ({
  key,
  version,
  salt: 's',
  included: [],
  excluded: [],
  includedContexts: [{ contextKind: 'session', values: sessions }],
  excludedContexts: [],
  rules,
});

describe('a switch that asks a segment', () => {
  test('which did not come with it is unknown for whoever it does not engage: a list that is gone releases nobody (S3)', async () => {
    const made = await opened();
    send(`/flags/${instance.key}`, flagData(instance.key, { version: 50, rules: asks('listed') }));
    send('/segments/listed', segmentData('listed', 7, ['s-1']));
    const state = async (id: string) => (await made.read(instance, { sessionId: id })).state;
    expect(await waitUntil(made, boundMs, async () => (await state('s-1')) === 'engaged')).toBe(true);
    expect(await state('s-2')).toBe('released');
    server.send('event: delete\ndata: {"path":"/segments/listed","version":8}\n\n');
    expect(await waitUntil(made, boundMs, async () => (await state('s-1')) !== 'engaged')).toBe(true);
    // Any later edit of the flag would be a later position.
    send(`/flags/${instance.key}`, flagData(instance.key, { version: 51, rules: asks('listed') }));
    await made.refresh?.();
    expect(await made.read(instance, { sessionId: 's-1' })).toMatchObject({
      state: 'unknown',
      message: expect.stringContaining('listed'),
    });
  });

  test('whose own rules ask another has no position: what drops out of it would make the number fall (S3)', async () => {
    const made = await opened();
    send('/segments/inner', segmentData('inner', 90, ['s-1']));
    send(
      '/segments/outer',
      segmentData('outer', 7, [], [{ id: 'x', clauses: [{ attribute: '', op: 'segmentMatch', values: ['inner'] }] }]),
    );
    send(`/flags/${instance.key}`, flagData(instance.key, { version: 50, rules: asks('outer') }));
    const engaged = async () => (await made.read(instance, { sessionId: 's-1' })).state === 'engaged';
    expect(await waitUntil(made, boundMs, engaged)).toBe(true);
    const reading = await made.read(instance, { sessionId: 's-1' });
    expect(reading.state === 'engaged' && reading.position.n).toBeUndefined();
  });
});

test('a prerequisite that fails releases nothing: it moves without the flag, and any later edit would pass for a release (S3)', async () => {
  const made = await opened();
  send('/flags/needed', flagData('needed', { version: 50, on: false }));
  send(
    `/flags/${global.key}`,
    flagData(global.key, { version: 50, fallthrough: { variation: 0 }, prerequisites: [{ key: 'needed', variation: 0 }] }),
  );
  const released = async () => (await made.read(global, {})).state === 'released';
  expect(await waitUntil(made, boundMs, released)).toBe(true);
  const reading = await made.read(global, {});
  expect(reading.state === 'released' && reading.position.n).toBeUndefined();
});

test('what was left out of a whole set does not come back older than it was', async () => {
  const made = await opened();
  const put = (flags: object) =>
    server.send(`event: put\ndata: ${JSON.stringify({ path: '/', data: { flags, segments: {} } })}\n\n`);
  const own = (version: number, on: boolean) => ({
    [global.key]: flagData(global.key, { version, on, fallthrough: { variation: 0 } }),
  });
  const another = { another: flagData('another', { version: 3 }) };
  put({ ...own(60, false), ...another });
  const state = async () => (await made.read(global, {})).state;
  expect(await waitUntil(made, boundMs, async () => (await state()) === 'released')).toBe(true);
  put(another);
  expect(await waitUntil(made, boundMs, async () => (await state()) === 'unknown')).toBe(true);
  // On its way since before.
  send(`/flags/${global.key}`, own(59, true)[global.key]!);
  send('/flags/another', flagData('another', { version: 4 }));
  expect(await waitUntil(made, boundMs, () => made.health.state === 'fresh')).toBe(true);
  await made.refresh?.();
  expect(await state()).toBe('unknown');
  // The same as before may come back.
  put({ ...own(60, false), another: flagData('another', { version: 5 }) });
  expect(await waitUntil(made, boundMs, async () => (await state()) === 'released')).toBe(true);
});

describe('a key or token that no header can hold', () => {
  test.each(['9', '7'] as const)('is refused before it is sent, and is in no message: SDK %s', async (version) => {
    const host = watchHost();
    for (const sdkKey of ['sdk-s3cret\n', 'sdk-s3\ncret', 'sdk-s3cret…']) {
      let said = '';
      try {
        await opened({ sdkKey, sdk: sdks[version], openWithinMs: 50 });
      } catch (error) {
        said = String(error);
      }
      expect(said).toContain('bad_configuration');
      expect(said).not.toContain('s3');
    }
    await host.end();
    expect(host.uncaught).toEqual([]);
  });

  test('is refused by the control as well, where the platform would quote it', () => {
    const { project, environment, url } = server;
    for (const token of ['api-s3cret\n', 'api-s3cret…']) {
      const make = () => launchDarklyControl({ token, project, environment, baseUrl: url });
      expect(make).toThrow(/bad_configuration/);
      expect(make).not.toThrow(/s3cret/);
    }
  });
});

test('refusals whose text never ends leave no connections behind', async () => {
  let asked = 0;
  const { url, sockets } = await listen((_request, response) => {
    asked++;
    response.writeHead(500);
    response.write('wait');
  });
  const made = await opened({ baseUri: url, pollMs: 5, staleAfterMs: 500 });
  expect(await waitUntil(made, boundMs, () => asked > 20)).toBe(true);
  expect(sockets.size).toBeLessThan(5);
});

test('a rate limit that is over already, by a clock that is ahead, is not asked again without a pause', async () => {
  let asked = 0;
  const { url } = await listen((_request, response) => {
    asked++;
    response.writeHead(429, { 'x-ratelimit-reset': '1000' }).end();
  });
  const { token, project, environment } = server;
  const frozen = () => 1_800_000_000_000;
  const control = launchDarklyControl({ token, project, environment, baseUrl: url, patienceMs: 300, now: frozen });
  await expect(control.engage({ flag: global, ...words })).rejects.toMatchObject({ code: 'rate_limited' });
  expect(asked).toBeLessThan(8);
});

test('provisioning does not make a segment that somebody else keeps into a list of the terminated', async () => {
  server.setSegment({ key: 'beta', includedContexts: [{ contextKind: 'session', values: ['s-1'] }], tags: [] });
  const { token, project, environment, url } = server;
  const control = launchDarklyControl({ token, project, environment, baseUrl: url, segment: 'beta' });
  const plan = await control.provision(contractSwitches, { apply: true });
  expect(plan.steps.find((one) => one.key === instance.key)).toMatchObject({ change: 'refuse' });
  expect(server.flag(instance.key)).toBeUndefined();
});

test('a comment that only looks like ours does not break the history', async () => {
  const { token, project, environment, url } = server;
  const control = launchDarklyControl({ token, project, environment, baseUrl: url });
  await control.provision(contractSwitches, { apply: true });
  await fetch(`${url}/api/v2/flags/${project}/${global.key}`, {
    method: 'PATCH',
    headers: {
      authorization: token,
      'ld-api-version': '20240415',
      'content-type': 'application/json; domain-model=launchdarkly.semanticpatch',
    },
    body: JSON.stringify({
      environmentKey: environment,
      comment: '[offswitch] engage by "a\\q": by hand',
      instructions: [{ kind: 'turnFlagOn' }],
    }),
  });
  await control.release({ flag: global, ...words });
  expect(await control.history({ key: global.key })).toMatchObject([{ action: 'release' }]);
});
