// What an Unleash, a token or a clock can do to a source by accident, and what must not come of it.

import { contractSwitches } from '@offswitch/testing';
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

const isFresh = (source: { health: { state: string } }) => () => source.health.state === 'fresh';

test('one older answer, as of a server that lags, does not keep the source stale once another says that nothing changed', async () => {
  const source = vendor.source();
  const older = vendor.server.payload();
  await vendor.control.engage({ flag: global, ...words });
  await source.open();
  vendor.server.override(older);
  await until(source, () => source.health.state === 'stale');
  expect(source.read(global, {})).toMatchObject({ state: 'engaged', origin: 'cached' });
  vendor.server.override(undefined);
  await until(source, isFresh(source));
  expect(source.read(global, {})).toMatchObject({ state: 'engaged', origin: 'live' });
});

describe('a token that comes from a function', () => {
  test('and is not answered in time is asked for again, and does not keep close from ending', async () => {
    let isStuck = true;
    const stuck = new Promise<string>(() => {});
    const source = vendor.source({ token: () => (isStuck ? stuck : vendor.server.token), requestTimeoutMs: 50 });
    await source.open();
    expect(source.health).toMatchObject({ state: 'starting', why: expect.stringContaining('token') });
    isStuck = false;
    await until(source, isFresh(source));
    isStuck = true;
    await until(source, () => source.health.state === 'stale');
    await source.close();
  });

  test('of another environment is refused: its flags are another history, and release nothing of this one (S3)', async () => {
    let token = vendor.server.token;
    // It stands for a server that takes both: what is asserted is that it is not even asked.
    const source = vendor.source({ token: () => token, series: 'unleash:configured' });
    await source.open();
    token = 'default:production.s3cret';
    await until(source, () => source.health.state === 'stale');
    expect(source.health.why).toMatch(/production.*development/);
    expect(source.health.why).not.toContain('s3cret');
    token = vendor.server.token;
    await until(source, isFresh(source));
  });
});

describe('a stop that Unleash lets go of by itself', () => {
  const both = (more: { contextName: string; operator: string; value?: string; values?: string[] }) =>
    vendor.server.edit(user.key, (stored) => {
      const { strategies } = stored.environments.get(vendor.server.environment)!;
      const constraints = [
        { contextName: 'userId', operator: 'IN', values: ['u-1'] },
        { values: [], ...more },
      ];
      strategies.push({ ...strategies[0]!, id: 'own', constraints, parameters: { rollout: '100', stickiness: 'default' } });
    });

  test.each([
    ['at an hour', { contextName: 'currentTime', operator: 'DATE_BEFORE', value: '2001-01-01T00:00:00Z' }],
    ['in another application', { contextName: 'appName', operator: 'IN', values: ['another'] }],
  ])(
    '%s is not released by that: nobody changed anything, and unrelated changes move the revision (S3, S4)',
    async (_when, more) => {
      both(more);
      const source = vendor.source();
      await source.open();
      await vendor.control.engage({ flag: global, ...words });
      await source.refresh();
      const named = source.read(user, { userId: 'u-1' });
      expect(named).toMatchObject({ state: 'released' });
      expect(named.state === 'released' && named.position.n).toBeUndefined();
      // Who is not named in it is as released as ever.
      const other = source.read(user, { userId: 'u-2' });
      expect(other.state === 'released' && other.position.n).toBeGreaterThan(0);
    },
  );
});

test('a database that was put back to an older state asks for another series: old positions would hide new stops', async () => {
  const source = vendor.source({ ...quick });
  const older = vendor.server.payload();
  await vendor.control.engage({ flag: global, ...words });
  await source.open();
  vendor.server.override(older);
  await until(source, () => source.health.state === 'stale');
  expect(source.health.why).toContain('series');
});
