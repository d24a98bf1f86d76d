// What people do by hand in the dashboard, and what switches then read. Pins: the docs page of this vendor says the same.

import { defineKillSwitches, type SwitchFlag } from '@offswitch/core';
import { contractSwitches } from '@offswitch/testing';
import type { StoredFlag, StoredStrategy } from '@offswitch/testing/unleash';
import type { UnleashSource } from '@offswitch/unleash';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Scripted, scripted, subjectOf } from './vendor.ts';

const { global } = contractSwitches;
const user = contractSwitches.user!;
const instance = contractSwitches.instance!;
const rewrite = contractSwitches.feature('resume-rewrite');
const scoring = contractSwitches.feature('batch-scoring');

let vendor: Scripted;
let source: UnleashSource;
beforeEach(async () => {
  vendor = await scripted();
  // So slow a poll that only a refresh can be what a test saw.
  source = vendor.source({ pollMs: 60_000, staleAfterMs: 120_000 });
  await source.open();
});
afterEach(() => vendor.close());

const strategy = (more: Partial<StoredStrategy> = {}): StoredStrategy => ({
  id: 'by-hand',
  name: 'flexibleRollout',
  title: null,
  disabled: false,
  sortOrder: 1,
  parameters: { rollout: '100', stickiness: 'default', groupId: 'x' },
  constraints: [],
  segments: [],
  variants: [],
  ...more,
});
const edited = async (
  flag: SwitchFlag,
  change: (place: { enabled: boolean; strategies: StoredStrategy[] }, stored: StoredFlag) => void,
) => {
  vendor.server.edit(flag.key, (stored) => change(stored.environments.get(vendor.server.environment)!, stored));
  await source.refresh();
};
const reads = (flag: SwitchFlag, target?: string) => source.read(flag, subjectOf(flag, target));

describe('a global or workflow switch', () => {
  test.each([global, rewrite])(
    'turned on in its environment stops, turned off releases, live and with a higher position (S3) %#',
    async (flag) => {
      await edited(flag, (place) => {
        place.enabled = true;
        place.strategies.push(strategy());
      });
      const on = reads(flag);
      expect(on).toMatchObject({ state: 'engaged', origin: 'live' });
      await edited(flag, (place) => {
        place.enabled = false;
      });
      const off = reads(flag);
      expect(off).toMatchObject({ state: 'released', origin: 'live' });
      if (on.state === 'unknown' || off.state === 'unknown') throw new Error('both are definite');
      expect(off.position.n).toBeGreaterThan(on.position.n!);
    },
  );

  test('stops at 100 % whatever its stickiness asks for, although the client says no', async () => {
    await edited(global, (place) => {
      place.enabled = true;
      place.strategies.push(strategy({ parameters: { rollout: '100', stickiness: 'userId', groupId: 'x' } }));
    });
    expect(reads(global)).toMatchObject({ state: 'engaged' });
  });

  test('whose slider goes to 0 % is released', async () => {
    await edited(global, (place) => {
      place.enabled = true;
      place.strategies.push(strategy({ parameters: { rollout: '0', stickiness: 'default', groupId: 'x' } }));
    });
    expect(reads(global)).toMatchObject({ state: 'released', origin: 'live' });
  });

  test.each([
    ['a percentage', strategy({ parameters: { rollout: '40', stickiness: 'userId', groupId: 'x' } })],
    ['one user', strategy({ constraints: [{ contextName: 'userId', operator: 'IN', values: ['u-1'] }] })],
    ['a strategy nobody here knows', strategy({ name: 'fullMoon' })],
    ['an operator nobody here knows', strategy({ constraints: [{ contextName: 'x', operator: 'RESEMBLES', values: ['u'] }] })],
  ])('that is on for %s is unknown and no release, with what to do about it (S5)', async (_, one) => {
    await edited(global, (place) => {
      place.enabled = true;
      place.strategies.push(one);
    });
    const reading = reads(global);
    expect(reading).toMatchObject({ state: 'unknown', cause: 'error' });
    if (reading.state === 'unknown') expect(reading.message).toMatch(/100 %|off/);
  });

  test('that is on for its own workflow by a constraint stops that workflow', async () => {
    await edited(rewrite, (place) => {
      place.enabled = true;
      place.strategies.push(strategy({ constraints: [{ contextName: 'workflow', operator: 'IN', values: ['resume-rewrite'] }] }));
    });
    expect(reads(rewrite)).toMatchObject({ state: 'engaged' });
  });

  test('that is on for one application by its name stops that one, and is no release for the others', async () => {
    const other = vendor.source({ appName: 'other' });
    await edited(global, (place) => {
      place.enabled = true;
      place.strategies.push(strategy({ constraints: [{ contextName: 'appName', operator: 'IN', values: ['contract'] }] }));
    });
    await other.open();
    expect([reads(global).state, other.read(global, {}).state]).toEqual(['engaged', 'unknown']);
  });

  test('that depends on another flag is never released by it (S3)', async () => {
    await edited(global, (place, stored) => {
      place.enabled = true;
      place.strategies.push(strategy());
      stored.dependencies.push({ feature: 'a-parent-nobody-made', enabled: true });
    });
    expect(reads(global)).toMatchObject({ state: 'unknown', cause: 'error' });
  });

  test('with engagedWhen: false runs while it is on for everybody, and stops when its environment is off', async () => {
    expect(reads(scoring)).toMatchObject({ state: 'released', origin: 'live' });
    await edited(scoring, (place) => {
      place.enabled = false;
    });
    expect(reads(scoring)).toMatchObject({ state: 'engaged', origin: 'live' });
    await edited(scoring, (place) => {
      place.enabled = true;
      place.strategies.splice(0, 1, strategy({ parameters: { rollout: '40', stickiness: 'random', groupId: 'x' } }));
    });
    expect(reads(scoring).state).not.toBe('released');
  });
});

describe('a user or instance switch', () => {
  test('whose environment is turned off is no release: unknown, with the way out (S3, S13)', async () => {
    await vendor.control.engage({ flag: user, target: 'u-1', reason: 'why', by: 'ada' });
    await edited(user, (place) => {
      place.enabled = false;
    });
    for (const id of ['u-1', 'u-2']) {
      const reading = reads(user, id);
      expect(reading).toMatchObject({ state: 'unknown', cause: 'error' });
      if (reading.state === 'unknown') expect(reading.message).toContain('0 %');
    }
  });

  test.each([
    ['no strategy at all', (strategies: StoredStrategy[]) => strategies.splice(0)],
    ['a strategy at 100 % without constraints', (strategies: StoredStrategy[]) => strategies.push(strategy())],
    [
      'a percentage of everybody',
      (strategies: StoredStrategy[]) =>
        strategies.push(strategy({ parameters: { rollout: '1', stickiness: 'random', groupId: 'x' } })),
    ],
    [
      'everybody but one',
      (strategies: StoredStrategy[]) =>
        strategies.push(strategy({ constraints: [{ contextName: 'userId', operator: 'NOT_IN', values: ['u-9'] }] })),
    ],
  ])('on for %s is untargeted: it terminates nobody and says so (S11)', async (_, change) => {
    await edited(user, (place) => {
      change(place.strategies);
    });
    for (const id of ['u-1', 'u-9']) expect(reads(user, id)).toMatchObject({ state: 'unknown', cause: 'untargeted' });
  });

  test('is stopped by a list made by hand, blanks around the ids and all', async () => {
    await edited(user, (place) => {
      place.strategies.push(strategy({ constraints: [{ contextName: 'userId', operator: 'IN', values: [' u-1 ', 'u-2'] }] }));
    });
    expect([reads(user, 'u-1').state, reads(user, 'u-2').state, reads(user, 'u-3').state]).toEqual([
      'engaged',
      'engaged',
      'released',
    ]);
  });

  test('is stopped by any rule the client evaluates, not by lists alone', async () => {
    await edited(user, (place) => {
      place.strategies.push(
        strategy({ constraints: [{ contextName: 'userId', operator: 'STR_STARTS_WITH', values: ['beta-'] }] }),
      );
    });
    expect([reads(user, 'beta-1').state, reads(user, 'u-1').state]).toEqual(['engaged', 'released']);
  });

  test('whose strategy is paused in the dashboard stops nobody through it', async () => {
    await edited(user, (place) => {
      place.strategies.push(strategy({ disabled: true }));
    });
    expect(reads(user, 'u-1')).toMatchObject({ state: 'released', origin: 'live' });
  });

  test('rolled out to a share of the named is unknown for those it does not hit, and no release', async () => {
    await edited(instance, (place) => {
      place.strategies.push(
        strategy({
          parameters: { rollout: '50', stickiness: 'sessionId', groupId: 'x' },
          constraints: [{ contextName: 'workflow', operator: 'IN', values: ['resume-rewrite'] }],
        }),
      );
    });
    const states = Array.from(
      { length: 40 },
      (_, n) => source.read(instance, { sessionId: `s-${n}`, workflow: 'resume-rewrite' }).state,
    );
    expect(new Set(states)).toEqual(new Set(['engaged', 'unknown']));
  });

  test('whose segment did not come along is unknown, and no release', async () => {
    await edited(user, (_, stored) => {
      stored.raw = { strategies: [{ ...strategy(), segments: [7] }] };
    });
    expect(reads(user, 'u-1')).toMatchObject({ state: 'unknown', cause: 'error' });
  });
});

describe('any switch', () => {
  test('with variants is no switch: wrong-type', async () => {
    await edited(global, (place) => {
      place.enabled = true;
      place.strategies.push(strategy({ variants: [{ name: 'a', weight: 1000 }] }));
    });
    expect(reads(global)).toMatchObject({ state: 'unknown', cause: 'wrong-type' });
  });

  test('that is archived is unknown and not released; revived, it comes back off, which is a release (S3)', async () => {
    await vendor.control.engage({ flag: global, reason: 'why', by: 'ada' });
    await edited(global, (_, stored) => {
      stored.archived = true;
    });
    expect(reads(global)).toMatchObject({ state: 'unknown', cause: 'not-found' });
    await edited(global, (place, stored) => {
      stored.archived = false;
      place.enabled = false;
    });
    expect(reads(global)).toMatchObject({ state: 'released', origin: 'live' });
  });
});

test('a switch of another name in another project is not ours: the declared key decides', async () => {
  const other = defineKillSwitches({ global: { authorized: ['a'], key: 'ops.stop-all' }, features: {} }).global;
  expect(source.read(other, {})).toMatchObject({ state: 'unknown', cause: 'not-found' });
});
