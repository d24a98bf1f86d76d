// A switch that is not wired must not look live (S13): what provisioning makes, what inspection finds, what history remembers.

import { defineKillSwitches, type SwitchFlag } from '@offswitch/core';
import { contractSwitches } from '@offswitch/testing';
import type { StoredFlag, StoredStrategy } from '@offswitch/testing/unleash';
import { unleashControl } from '@offswitch/unleash/control';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Scripted, scripted } from './vendor.ts';

const { global } = contractSwitches;
const user = contractSwitches.user!;
const instance = contractSwitches.instance!;
const scoring = contractSwitches.feature('batch-scoring');
const words = { reason: 'runaway drafts', by: 'ada' };

let vendor: Scripted;
beforeEach(async () => {
  vendor = await scripted();
});
afterEach(() => vendor.close());

const strategy = (more: Partial<StoredStrategy> = {}): StoredStrategy => ({
  id: 'by-hand',
  name: 'flexibleRollout',
  title: 'by hand',
  disabled: false,
  sortOrder: 1,
  parameters: { rollout: '100', stickiness: 'default', groupId: 'x' },
  constraints: [],
  segments: [],
  variants: [],
  ...more,
});
const edit = (
  flag: SwitchFlag,
  change: (place: { enabled: boolean; strategies: StoredStrategy[] }, stored: StoredFlag) => void,
) => vendor.server.edit(flag.key, (stored) => change(stored.environments.get(vendor.server.environment)!, stored));
const inspected = async (flag: SwitchFlag, isEnded?: (id: string) => boolean) => {
  const { url, adminToken, environment } = vendor.server;
  const control = unleashControl({ url, token: adminToken, environment, ...(isEnded ? { isEnded } : {}) });
  return (await control.inspect(contractSwitches)).find((one) => one.key === flag.key)!;
};
const codes = async (flag: SwitchFlag) => (await inspected(flag)).findings.map((one) => one.code);

describe('provisioning', () => {
  test('is a plan first, and writes nothing', async () => {
    const fresh = defineKillSwitches({
      global: { authorized: ['a'], key: 'new.global' },
      features: {},
      user: { authorized: ['a'], key: 'new.user' },
    });
    const { revision } = vendor.server.stored;
    const plan = await vendor.control.provision(fresh);
    expect([plan.applied, plan.steps.map((one) => [one.key, one.change])]).toEqual([
      false,
      [
        ['new.global', 'create'],
        ['new.user', 'create'],
      ],
    ]);
    expect(vendor.server.stored.revision).toBe(revision);
  });

  test('makes permanent flags with the effect as description, off for everybody, and marks them as its own', async () => {
    const stored = vendor.server.stored.flags.get(user.key)!;
    expect([stored.type, stored.description, stored.impressionData, stored.tags]).toEqual([
      'kill-switch',
      user.effect,
      false,
      [{ type: 'simple', value: 'offswitch' }],
    ]);
    for (const flag of contractSwitches.flags) expect([flag.key, (await inspected(flag)).findings]).toEqual([flag.key, []]);
    for (const flag of contractSwitches.flags) expect((await inspected(flag)).engaged).toBe('nobody');
  });

  test('done again keeps everything as it is', async () => {
    const { revision } = vendor.server.stored;
    const plan = await vendor.control.provision(contractSwitches, { apply: true });
    expect(new Set(plan.steps.map((one) => one.change))).toEqual(new Set(['keep']));
    expect(vendor.server.stored.revision).toBe(revision);
  });

  test('refuses what is there and would not work, with what to do, and leaves it alone', async () => {
    edit(global, (_, stored) => {
      stored.archived = true;
    });
    edit(user, (place) => {
      place.enabled = false;
    });
    const { revision } = vendor.server.stored;
    const { steps } = await vendor.control.provision(contractSwitches, { apply: true });
    const refused = steps.filter((one) => one.change === 'refuse');
    expect(refused.map((one) => [one.key, one.detail])).toEqual([
      [global.key, expect.stringContaining('revive')],
      [user.key, expect.stringContaining('turn it on')],
    ]);
    expect(vendor.server.stored.revision).toBe(revision);
  });
});

describe('inspection finds', () => {
  test('missing and archived apart', async () => {
    edit(global, (_, stored) => {
      stored.archived = true;
    });
    vendor.server.stored.flags.delete(user.key);
    expect([await codes(global), await codes(user)]).toEqual([['archived'], ['missing']]);
  });

  test.each([
    ['temporary', (stored: StoredFlag) => Object.assign(stored, { type: 'release' })],
    ['prerequisite', (stored: StoredFlag) => stored.dependencies.push({ feature: 'parent' })],
    ['inverted-polarity', (stored: StoredFlag) => stored.tags.push({ type: 'simple', value: 'offswitch-on-means-running' })],
    ['wrong-type', (stored: StoredFlag) => stored.environments.get('development')!.strategies.push(strategy({ variants: [{}] }))],
  ])('%s', async (code, change) => {
    edit(global, (_, stored) => {
      change(stored);
    });
    expect(await codes(global)).toEqual([code]);
  });

  test('environment-off of a user switch, and that it stops nobody', async () => {
    edit(user, (place) => {
      place.enabled = false;
    });
    expect(await inspected(user)).toMatchObject({
      engaged: 'nobody',
      findings: [{ code: 'environment-off', severity: 'error' }],
    });
  });

  test('untargeted: a user switch that is on for everybody', async () => {
    edit(user, (place) => {
      place.strategies.push(strategy());
    });
    expect(await inspected(user)).toMatchObject({ engaged: 'everybody', findings: [{ code: 'untargeted', severity: 'error' }] });
  });

  test('partly-on: a global switch that is on for some', async () => {
    edit(global, (place) => {
      place.enabled = true;
      place.strategies.push(strategy({ parameters: { rollout: '40' } }));
    });
    expect(await inspected(global)).toMatchObject({ engaged: 'unknown', findings: [{ code: 'partly-on', severity: 'error' }] });
  });

  test.each([
    [user, [{ contextName: 'userid', operator: 'IN', values: ['u-1'] }]],
    [user, [{ contextName: 'userId', operator: 'IN', values: ['  '] }]],
    [global, [{ contextName: 'userId', operator: 'IN', values: ['u-1'] }]],
  ])('rule-never-matches: a field the switch is not read with, or nothing but blanks %#', async (flag, constraints) => {
    edit(flag, (place) => {
      place.strategies.push(strategy({ constraints }));
    });
    expect(await codes(flag)).toEqual(['rule-never-matches']);
  });

  test('stale-targets: sessions that have ended, where somebody can tell', async () => {
    for (const target of ['s-1', 's-2']) await vendor.control.engage({ flag: instance, target, ...words });
    const inspection = await inspected(instance, (id) => id === 's-1');
    expect(inspection).toMatchObject({
      engaged: 'targets',
      targets: ['s-1', 's-2'],
      findings: [{ code: 'stale-targets', severity: 'warning', message: expect.stringContaining('s-1') }],
    });
    expect((await inspected(instance)).findings).toEqual([]);
  });

  test('limit-near, before a stop is refused', async () => {
    for (let n = 0; n < 23; n++) await vendor.control.engage({ flag: instance, target: `s-${n}`, ...words });
    expect(await codes(instance)).toEqual(['limit-near']);
  });
});

describe('history', () => {
  test('names who, why and whom, newest first, for every kind of switch', async () => {
    const release = { reason: 'fixed', by: 'bob' };
    await vendor.control.engage({ flag: global, ...words });
    await vendor.control.engage({ flag: user, target: 'u-1', ...words });
    await vendor.control.engage({ flag: scoring, ...words });
    await vendor.control.release({ flag: scoring, ...release });
    await vendor.control.release({ flag: user, target: 'u-1', ...release });
    await vendor.control.release({ flag: global, ...release });
    const flips = (await vendor.control.history())
      .slice(0, 6)
      .map(({ key, action, target, reason, by }) => [key, action, target, reason, by]);
    expect(flips).toEqual([
      [global.key, 'release', undefined, 'fixed', 'bob'],
      [user.key, 'release', 'u-1', 'fixed', 'bob'],
      [scoring.key, 'release', undefined, 'fixed', 'bob'],
      [scoring.key, 'engage', undefined, 'runaway drafts', 'ada'],
      [user.key, 'engage', 'u-1', 'runaway drafts', 'ada'],
      [global.key, 'engage', undefined, 'runaway drafts', 'ada'],
    ]);
    const one = await vendor.control.history({ key: user.key, limit: 1 });
    expect(one.map(({ action, target }) => [action, target])).toEqual([['release', 'u-1']]);
  });

  test('knows what was done by hand, by the name Unleash has, and lends it no words of an older flip', async () => {
    const { url, adminToken } = vendor.server;
    const byHand = async (to: 'on' | 'off') => {
      const path = `projects/default/features/${global.key}/environments/development/${to}`;
      await fetch(`${url}/api/admin/${path}`, { method: 'POST', headers: { authorization: adminToken } });
    };
    await vendor.control.engage({ flag: global, ...words });
    await byHand('off');
    await byHand('on');
    const flips = await vendor.control.history({ key: global.key });
    expect(flips.map(({ action, reason, by }) => [action, reason, by])).toEqual([
      ['engage', 'by hand in Unleash', 'admin'],
      ['release', 'by hand in Unleash', 'admin'],
      ['engage', 'runaway drafts', 'ada'],
    ]);
  });
});
