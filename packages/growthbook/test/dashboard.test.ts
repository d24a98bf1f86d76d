// dashboard.test.ts: what people do by hand in GrowthBook's dashboard, and what it means. The same table is in the docs.

import type { Reading, Subject, SwitchFlag } from '@offswitch/core';
import { applyReading, isEngaged, unmarked } from '@offswitch/core';
import { contractSwitches } from '@offswitch/testing';
import type { Stored, StoredFeature, StoredGroup, StoredRule } from '@offswitch/testing/growthbook';
import { afterEach, describe, expect, test } from 'vitest';
import { type GrowthBookHarness, growthBookHarness } from './harness.ts';
import { until } from './until.ts';

const { global } = contractSwitches;
const user = contractSwitches.user!;
const instance = contractSwitches.instance!;
const words = { reason: 'by hand', by: 'ada' };

let harness: GrowthBookHarness | undefined;
afterEach(async () => {
  await harness?.source.close();
  await harness?.close();
});

interface Dashboard {
  feature(flag: SwitchFlag): StoredFeature;
  group(field: string): StoredGroup;
  readonly stored: Stored;
}

/** What is read after somebody's click was published. */
async function after(flag: SwitchFlag, subject: Subject, click: (dashboard: Dashboard) => void): Promise<Reading> {
  harness ??= await growthBookHarness();
  await harness.source.open();
  const { server } = harness;
  server.edit((stored) =>
    click({
      stored,
      feature: (one) => stored.features.get(one.key)!,
      group: (field) => [...stored.groups.values()].find((one) => one.attributeKey === field)!,
    }),
  );
  await harness.caughtUp();
  return harness.source.read(flag, subject);
}
afterEach(() => {
  harness = undefined;
});

const rule = (more: Partial<StoredRule> = {}): StoredRule => ({
  type: 'force',
  value: 'true',
  enabled: true,
  allEnvironments: true,
  ...more,
});
const shown = (reading: Reading): string =>
  reading.state === 'unknown' ? `unknown: ${reading.cause}` : `${reading.state}, ${reading.origin}`;

describe('in the dashboard', () => {
  const clicks: [string, string, SwitchFlag, Subject, (dashboard: Dashboard) => void][] = [
    [
      'a default value of true',
      'engaged, live',
      global,
      {},
      ({ feature }) => void Object.assign(feature(global), { defaultValue: 'true' }),
    ],
    ['a rule without a condition', 'engaged, live', global, {}, ({ feature }) => void feature(global).rules.push(rule())],
    [
      'a rule of another environment',
      'released, live',
      global,
      {},
      ({ feature }) => void feature(global).rules.push(rule({ allEnvironments: false, environments: ['staging'] })),
    ],
    ['a disabled rule', 'released, live', global, {}, ({ feature }) => void feature(global).rules.push(rule({ enabled: false }))],
    [
      'an environment that is turned off',
      'unknown: not-found',
      global,
      {},
      ({ feature }) => void Object.assign(feature(global).environments, { production: { enabled: false } }),
    ],
    [
      'an archived feature',
      'unknown: not-found',
      global,
      {},
      ({ feature }) => void Object.assign(feature(global), { archived: true }),
    ],
    ['a deleted feature', 'unknown: not-found', global, {}, ({ stored }) => void stored.features.delete(global.key)],
    [
      'a prerequisite that is not met',
      'unknown: error',
      global,
      {},
      ({ feature }) => void feature(global).prerequisites.push(user.key),
    ],
    [
      'an id in the saved group',
      'engaged, live',
      user,
      { userId: 'u-1' },
      ({ group }) => void group('userId').values.push('u-1'),
    ],
    [
      'the id of somebody else',
      'released, live',
      user,
      { userId: 'u-1' },
      ({ group }) => void group('userId').values.push('u-10'),
    ],
    [
      'an id in a condition written by hand',
      'engaged, live',
      user,
      { userId: 'u-1' },
      ({ feature }) => void feature(user).rules.unshift(rule({ condition: '{"userId":{"$in":["u-1"]}}' })),
    ],
    [
      'a number where the id is a string',
      'released, live',
      user,
      { userId: '1' },
      ({ feature }) => void feature(user).rules.unshift(rule({ condition: '{"userId":{"$in":[1]}}' })),
    ],
    [
      'a conversation in the saved group',
      'engaged, live',
      instance,
      { sessionId: 's-1', conversationId: 'c-1' },
      ({ group }) => void group('conversationId').values.push('c-1'),
    ],
    [
      'a user switch with a default of true',
      'unknown: untargeted',
      user,
      { userId: 'u-1' },
      ({ feature }) => void Object.assign(feature(user), { defaultValue: 'true' }),
    ],
    [
      'a user switch with a rule for everybody',
      'unknown: untargeted',
      user,
      { userId: 'u-1' },
      ({ feature }) => void feature(user).rules.push(rule()),
    ],
    [
      'a rule that says who is not meant',
      'unknown: untargeted',
      user,
      { userId: 'u-1' },
      ({ feature }) => void feature(user).rules.push(rule({ condition: '{"userId":{"$nin":["boss"]}}' })),
    ],
    [
      'saved group targeting whose group was deleted',
      'unknown: untargeted',
      user,
      { userId: 'u-1' },
      ({ feature }) =>
        void feature(user).rules.push(rule({ savedGroupTargeting: [{ matchType: 'any', savedGroups: ['grp_gone'] }] })),
    ],
    [
      'a deleted saved group that a condition names',
      'released, live',
      user,
      { userId: 'u-1' },
      ({ stored }) => stored.groups.clear(),
    ],
  ];
  test.each(clicks)('%s reads %s', async (_, wanted, flag, subject, click) => {
    expect(shown(await after(flag, subject, click))).toBe(wanted);
  });

  test('turning the canary off keeps every stop and releases none: readings are cached, and health says why', async () => {
    harness = await growthBookHarness();
    await harness.source.open();
    await harness.engage(global);
    const { source, server } = harness;
    const told = until(source, () => source.health.state === 'stale');
    server.edit(
      ({ features }) => void Object.assign(features.get('killswitch.canary')!.environments, { production: { enabled: false } }),
    );
    await told;
    expect(shown(source.read(global, {}))).toBe('engaged, cached');
    expect(shown(source.read(user, { userId: 'u-1' }))).toBe('released, cached');
    expect(source.health.why).toContain('killswitch.canary');
  });

  test('a release step by step releases a latched stop, and turning the environment off does not (S3)', async () => {
    const marks = async (flag: SwitchFlag, click: (dashboard: Dashboard) => void): Promise<boolean> => {
      latch = applyReading(latch, await after(flag, {}, click), false);
      return isEngaged(latch);
    };
    let latch = unmarked;
    expect(await marks(global, ({ feature }) => void Object.assign(feature(global), { defaultValue: 'true' }))).toBe(true);
    expect(
      await marks(global, ({ feature }) => void Object.assign(feature(global).environments, { production: { enabled: false } })),
    ).toBe(true);
    expect(
      await marks(global, ({ feature }) => void Object.assign(feature(global).environments, { production: { enabled: true } })),
    ).toBe(true);
    expect(await marks(global, ({ feature }) => void Object.assign(feature(global), { defaultValue: 'false' }))).toBe(false);
  });

  test('what was engaged by hand can be released through the control, and the other way round', async () => {
    expect(shown(await after(user, { userId: 'u-1' }, ({ group }) => void group('userId').values.push('u-1')))).toBe(
      'engaged, live',
    );
    await harness!.release(user, 'u-1');
    expect(shown(harness!.source.read(user, { userId: 'u-1' }))).toBe('released, live');
    await harness!.control.engage({ flag: user, target: 'u-2', ...words });
    const reading = await after(
      user,
      { userId: 'u-2' },
      ({ group }) => void Object.assign(group('userId'), { values: ['offswitch:nobody'] }),
    );
    expect(shown(reading)).toBe('released, live');
  });

  test('a switch that is missing is told of by health before anybody reads it, where the switches are declared (S13)', async () => {
    harness = await growthBookHarness(contractSwitches, { source: { switches: contractSwitches } });
    await harness.source.open();
    expect(harness.source.health.state).toBe('fresh');
    const { source, server } = harness;
    const told = until(source, () => source.health.state === 'stale');
    server.edit(({ features }) => void features.delete(user.key));
    await told;
    expect(source.health.why).toContain(user.key);
    // One that is missing leaves the others live.
    expect(shown(harness.source.read(global, {}))).toBe('released, live');
  });
});
