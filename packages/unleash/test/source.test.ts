// How the source listens to Unleash: what it leaves there, how it comes back, and what it does with a client that is not its own.

import { contractSwitches, waitUntil } from '@offswitch/testing';
import { unleash } from '@offswitch/unleash';
import { InMemStorageProvider, Unleash } from 'unleash-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { quick, type Scripted, scripted, until } from './vendor.ts';

const { global } = contractSwitches;
const user = contractSwitches.user!;
const words = { reason: 'why', by: 'ada' };

let vendor: Scripted;
beforeEach(async () => {
  vendor = await scripted();
});
afterEach(() => vendor.close());

const posts = () => vendor.server.requests.filter((one) => one.startsWith('POST /api/client'));
const isFresh = (source: { health: { state: string } }) => () => source.health.state === 'fresh';

describe('a source over Unleash', () => {
  test('registers nowhere and counts nothing, however often switches and canaries are read (S11)', async () => {
    vendor.server.edit(user.key, (stored) => {
      stored.impressionData = true;
    });
    const source = vendor.source();
    await source.open();
    for (let n = 0; n < 1000; n++) source.read(user, { userId: `offswitch-canary-${n}` });
    await source.refresh();
    await source.close();
    expect([posts(), vendor.server.registrations, vendor.server.metrics]).toEqual([[], [], []]);
  });

  test("counts the application's own flags, once it asks for one, and never a switch", async () => {
    await vendor.control.provision(contractSwitches, { apply: true });
    const source = vendor.source();
    await source.open();
    source.read(user, { userId: 'u-1' });
    expect(source.resolve('nobody-made-this', 'boolean', {})).toMatchObject({ errorCode: 'FLAG_NOT_FOUND' });
    expect(await waitUntil(source, 5000, () => vendor.server.registrations.length > 0)).toBe(true);
    expect(vendor.server.registrations[0]).toMatchObject({ appName: 'contract' });
  });

  test('counts nothing, and ends nothing, where the token cannot be had any more (I13)', async () => {
    let isGone = false;
    const token = () => {
      if (isGone) throw new Error('the vault is sealed');
      return vendor.server.token;
    };
    const source = vendor.source({ token });
    await source.open();
    isGone = true;
    // Nobody would catch what the client does not: the test run itself fails on an unhandled rejection.
    source.resolve('anything', 'boolean', {});
    await until(source, () => source.health.state === 'stale');
    expect(source.health.why).toContain('the vault is sealed');
    expect(vendor.server.registrations).toEqual([]);
  });

  test('sends no token it was not asked to, and asks for it before every request, so that a rotation needs no restart', async () => {
    let token = 'default:development.old';
    const source = vendor.source({ token: () => token, series: 'unleash:test' });
    await source.open();
    expect(source.health).toMatchObject({ state: 'starting', why: expect.stringContaining('401') });
    expect(source.health.why).not.toContain('old');
    token = vendor.server.token;
    await until(source, isFresh(source));
    token = 'default:development.older';
    await until(source, () => source.health.state === 'stale');
    token = vendor.server.token;
    await until(source, isFresh(source));
  });

  test('never shows a token, also not one that no header can hold', async () => {
    const source = vendor.source({ token: () => 'default:development.s3cret\n' });
    await source.open();
    expect(source.health.why).toMatch(/token/);
    expect(JSON.stringify([source.health, source.read(global, {})])).not.toContain('s3cret');
    expect(() => vendor.source({ token: 's3cret\n' })).toThrow(/bad_configuration.*trim/);
  });

  test('names its history by host, project and environment, which outlive a rotated secret', async () => {
    const source = vendor.source();
    await source.open();
    const reading = source.read(global, {});
    if (reading.state === 'unknown') throw new Error(reading.message);
    const { host } = new URL(vendor.server.url);
    expect(reading.position.series).toBe(`unleash:${host}:default:development`);
  });

  test.each([
    ['W/"5c817ed0:41:v1"', 41],
    ['"5c817ed0:41"', 41],
    ['"5c817ed0:41:v2"', 41],
    ['"9f86d081884c7d65"', undefined],
    ['"41"', undefined],
    ['"5c817ed0:-1:v1"', undefined],
    ['"5c817ed0:99999999999999999999:v1"', undefined],
    [undefined, undefined],
  ])('takes its position from the ETag of Unleash, and has none where it is of another shape: %s', async (etag, n) => {
    vendor.server.override({ ...vendor.server.payload(), etag });
    const source = vendor.source();
    await source.open();
    const reading = source.read(global, {});
    expect(reading).toMatchObject({ state: 'released', origin: 'live' });
    if (reading.state !== 'unknown') expect(reading.position.n).toBe(n);
  });

  test('is told at once by a refresh, also while a request is under way that began before the change', async () => {
    const source = vendor.source({ pollMs: 60_000, staleAfterMs: 120_000 });
    await source.open();
    let answer = (): void => {};
    const held = new Promise<void>((resolve) => {
      answer = resolve;
    });
    let isHeld = false;
    vendor.server.intercept = async (request) => {
      if (isHeld || request.parts[1] !== 'client') return undefined;
      isHeld = true;
      const { etag, text } = vendor.server.payload();
      await held;
      return { status: 200, body: text, headers: { etag: etag! } };
    };
    const first = source.refresh();
    await waitUntil(source, 5000, () => isHeld);
    await vendor.control.engage({ flag: global, ...words });
    const second = source.refresh();
    answer();
    await Promise.all([first, second]);
    expect(source.read(global, {})).toMatchObject({ state: 'engaged', origin: 'live' });
  });

  test('asks again soon after a refresh, because Unleash makes a change visible up to a second late', async () => {
    const source = vendor.source({ pollMs: 60_000, staleAfterMs: 120_000 });
    await source.open();
    await source.refresh();
    await vendor.control.engage({ flag: global, ...words });
    await until(source, () => source.read(global, {}).state === 'engaged');
  });

  test('is fresh no longer than its own clock says, whatever nobody told it (S5)', async () => {
    let at = 1_000_000;
    const source = vendor.source({ pollMs: 60_000, staleAfterMs: 120_000, now: () => at });
    await source.open();
    expect([source.health.state, source.read(global, {})]).toMatchObject(['fresh', { origin: 'live' }]);
    // As after a night's sleep of the machine: no timer ran.
    at += 120_001;
    expect(source.read(global, {})).toMatchObject({ state: 'released', origin: 'cached' });
    expect(source.health).toMatchObject({ state: 'stale', since: at, why: expect.stringContaining('120000 ms') });
    await source.refresh();
    expect(source.read(global, {})).toMatchObject({ origin: 'live' });
  });

  test('opens with an empty project, and then knows nothing of any switch', async () => {
    vendor.server.fault('empty-set');
    const source = vendor.source();
    await source.open();
    expect(source.health.state).toBe('fresh');
    for (const flag of contractSwitches.flags)
      expect(source.read(flag, {})).toMatchObject({ state: 'unknown', cause: 'not-found' });
  });

  test("leaves the application's own singleton alone when it is closed", async () => {
    const own = Unleash.getInstance({
      appName: 'app',
      url: `${vendor.server.url}/api/`,
      disableAutoStart: true,
      disableMetrics: true,
    });
    const source = vendor.source();
    await source.open();
    source.resolve('anything', 'boolean', {});
    await source.close();
    const again = Unleash.getInstance({
      appName: 'app',
      url: `${vendor.server.url}/api/`,
      disableAutoStart: true,
      disableMetrics: true,
    });
    expect(again).toBe(own);
    own.destroy();
  });

  test.each([
    [{ url: ' ' }],
    [{ url: 'unleash.example.com' }],
    [{ token: '' }],
    [{ token: 'default:development.s3cret\n' }],
    [{ appName: '' }],
    [{ pollMs: 0 }],
    [{ pollMs: 1000, staleAfterMs: 1500 }],
    [{ series: ' ' }],
  ])('refuses options that cannot work, at once and with a code: %j', (wrong) => {
    const right = { url: 'http://unleash', token: 't', appName: 'a' };
    expect(() => unleash({ ...right, ...wrong })).toThrow(/^\[bad_configuration\]/);
  });
});

describe("a source over the application's own client", () => {
  const own: Unleash[] = [];
  afterEach(() => {
    for (const one of own.splice(0)) {
      // The client's own repository emits errors after it was destroyed, which ends the process where nobody listens.
      const { repository } = one as unknown as { repository: { on(name: string, heard: () => void): void } };
      one.destroy();
      repository.on('error', () => {});
    }
  });
  const client = (more: object = {}): Unleash => {
    const one = new Unleash({
      appName: 'app',
      url: `${vendor.server.url}/api/`,
      customHeaders: { authorization: vendor.server.token },
      refreshInterval: quick.pollMs,
      disableMetrics: true,
      timeout: 1000,
      storageProvider: new InMemStorageProvider(),
      skipInstanceCountWarning: true,
      ...more,
    });
    own.push(one);
    return one;
  };
  const open = async (one: Unleash) => {
    const source = unleash({ client: one, staleAfterMs: 1000 });
    await source.open();
    return source;
  };

  test('reads what the client has, with its position, sees changes, and leaves the client running', async () => {
    const one = client();
    const source = await open(one);
    expect(source.read(global, {})).toMatchObject({
      state: 'released',
      origin: 'live',
      position: { n: vendor.server.stored.revision },
    });
    await vendor.control.engage({ flag: user, target: 'u-1', ...words });
    await until(source, () => source.read(user, { userId: 'u-1' }).state === 'engaged');
    await source.close();
    await new Promise<void>((resolve) => one.once('unchanged', () => resolve()));
  });

  test('takes a client that was synchronized long ago for what it is: fresh only once it was heard from', async () => {
    const one = client({ refreshInterval: 60_000 });
    await new Promise<void>((resolve) => one.once('synchronized', () => resolve()));
    const source = await open(one);
    expect(source.health.state).toBe('fresh');
    vendor.server.fault('server-error');
    const late = unleash({ client: one, staleAfterMs: 1000, openWithinMs: 50 });
    await late.open();
    expect(late.health.state).toBe('stale');
    expect(late.read(global, {})).toMatchObject({ origin: 'cached' });
    await Promise.all([source.close(), late.close()]);
  });

  test('makes a client that gave up at a 401 ask again (research: it stops for ever)', async () => {
    const source = await open(client());
    vendor.server.fault('unauthorized');
    await until(source, () => source.health.state === 'stale');
    expect(source.read(global, {})).toMatchObject({ origin: 'cached' });
    vendor.server.fault(undefined);
    await until(source, isFresh(source));
    await source.close();
  });

  test('does not follow a client that goes back to older data (S3, I10)', async () => {
    const before = vendor.server.payload();
    const source = await open(client());
    await vendor.control.engage({ flag: global, ...words });
    await until(source, () => source.read(global, {}).state === 'engaged');
    vendor.server.override(before);
    await until(source, () => source.health.state === 'stale');
    expect(source.read(global, {})).toMatchObject({ state: 'engaged', origin: 'cached' });
    vendor.server.override(undefined);
    await until(source, isFresh(source));
    await source.close();
  });

  test('reads leave no count with the client, and its other flags are its own to answer', async () => {
    const one = client({ disableMetrics: false, metricsInterval: 60_000 });
    const counted: string[] = [];
    one.on('count', (name: string) => counted.push(name));
    const source = await open(one);
    source.read(user, { userId: 'u-1' });
    expect(counted).toEqual([]);
    source.resolve(user.key, 'boolean', { targetingKey: 'u-1' });
    expect(counted).toEqual([user.key]);
    await source.close();
  });
});
