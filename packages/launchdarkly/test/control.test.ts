// control.test.ts: flips in LaunchDarkly through its REST API, each read back, and each refusal with its way out.

import { defineKillSwitches, type Order } from '@offswitch/core';
import { type LaunchDarklyControlOptions, LaunchDarklyError, launchDarklyControl } from '@offswitch/launchdarkly/control';
import { type LaunchDarklyServer, type LdFlagSeed, openLaunchDarklyServer } from '@offswitch/testing/launchdarkly';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const switches = defineKillSwitches({
  global: { authorized: ['on-call'] },
  features: { template: { authorized: ['on-call'], engagedWhen: false } },
  user: { authorized: ['support'] },
  instance: { authorized: ['on-call'] },
});
const { global } = switches;
const template = switches.feature('template');
const user = switches.user!;
const instance = switches.instance!;
const words = { reason: 'it mails everybody', by: 'ada' };

let server: LaunchDarklyServer;
beforeEach(async () => {
  server = await openLaunchDarklyServer();
});
afterEach(async () => {
  await server.close();
  expect(server.unknown).toEqual([]);
});

const control = (more: Partial<LaunchDarklyControlOptions> = {}) =>
  launchDarklyControl({
    token: server.token,
    project: server.project,
    environment: server.environment,
    baseUrl: server.url,
    ...more,
  });
const provisioned = async (more: Partial<LaunchDarklyControlOptions> = {}) => {
  const made = control(more);
  await made.provision(switches, { apply: true });
  return made;
};
const codeOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!LaunchDarklyError.is(error)) throw new Error(`expected a LaunchDarklyError, got ${String(error)}`);
  const causes = String((error.cause as Error | undefined)?.stack ?? error.cause ?? '');
  expect(error.message + causes).not.toContain(server.token);
  return error.code;
};

describe('a flip', () => {
  test('for everybody is on and off of the flag, with reason and name in its history', async () => {
    const made = await provisioned();
    expect(await made.engage({ flag: global, ...words })).toMatchObject({
      key: global.key,
      action: 'engage',
      changed: true,
      ...words,
    });
    expect(server.flag(global.key)?.config).toMatchObject({ on: true, fallthrough: { variation: 0 } });
    expect(await made.engage({ flag: global, ...words })).toMatchObject({ changed: false });
    await made.release({ flag: global, ...words });
    expect(server.flag(global.key)?.config.on).toBe(false);
  });

  test('with engagedWhen false is the other way round: off is the stop, as in LaunchDarkly’s own template', async () => {
    const made = await provisioned();
    expect(server.flag(template.key)?.config).toMatchObject({ on: true, fallthrough: { variation: 0 }, offVariation: 1 });
    await made.engage({ flag: template, ...words });
    expect(server.flag(template.key)?.config.on).toBe(false);
    await made.release({ flag: template, ...words });
    expect(server.flag(template.key)?.config).toMatchObject({ on: true, fallthrough: { variation: 0 } });
  });

  test('of a flag made by hand uses what is there: with no off variation the default rule is set', async () => {
    server.setFlag({ key: global.key, on: true, fallthrough: 1, offVariation: null });
    await control().engage({ flag: global, ...words });
    expect(server.flag(global.key)?.config).toMatchObject({ on: true, fallthrough: { variation: 0 } });
    await control().release({ flag: global, ...words });
    expect(server.flag(global.key)?.config).toMatchObject({ on: true, fallthrough: { variation: 1 } });
  });

  test('for a user adds and takes a target of the context kind user, and touches nobody else’s (I7)', async () => {
    const made = await provisioned();
    await made.engage({ flag: user, target: 'u-1', ...words });
    await made.engage({ flag: user, target: 'u-2', ...words });
    expect(server.flag(user.key)?.config.targets).toEqual([{ contextKind: 'user', values: ['u-1', 'u-2'], variation: 0 }]);
    await made.release({ flag: user, target: 'u-1', ...words });
    expect(server.flag(user.key)?.config.targets).toEqual([{ contextKind: 'user', values: ['u-2'], variation: 0 }]);
    expect(await made.release({ flag: user, target: 'u-1', ...words })).toMatchObject({ changed: false });
  });

  test('for a user who is targeted as released moves them over', async () => {
    server.setFlag({
      key: user.key,
      on: true,
      fallthrough: 1,
      targets: [{ contextKind: 'user', values: ['u-1'], variation: 1 }],
    });
    await control().engage({ flag: user, target: 'u-1', ...words });
    expect(server.flag(user.key)?.config.targets).toEqual([{ contextKind: 'user', values: ['u-1'], variation: 0 }]);
  });

  test('for a session goes into the segment where the flag reads one, else into its targets', async () => {
    const made = await provisioned();
    await made.engage({ flag: instance, target: 's-1', ...words });
    await made.engage({ flag: instance, target: 'c-1', targetKind: 'conversation', ...words });
    expect(server.segment('killswitch-sessions')?.includedContexts).toEqual([
      { contextKind: 'session', values: ['s-1'] },
      { contextKind: 'conversation', values: ['c-1'] },
    ]);
    await made.release({ flag: instance, target: 's-1', ...words });
    expect(server.segment('killswitch-sessions')?.includedContexts[0]?.values).toEqual([]);

    server.setFlag({ key: instance.key, on: true, fallthrough: 1 });
    await made.engage({ flag: instance, target: 's-1', ...words });
    expect(server.flag(instance.key)?.config.contextTargets).toEqual([{ contextKind: 'session', values: ['s-1'], variation: 0 }]);
  });

  test('of a scoped flag that is off turns it on, or no target would count', async () => {
    const made = await provisioned();
    for (const flag of [user, instance]) server.changeFlag(flag.key, (one) => ({ ...one, config: { ...one.config, on: false } }));
    await made.engage({ flag: user, target: 'u-1', ...words });
    await made.engage({ flag: instance, target: 's-1', ...words });
    expect([server.flag(user.key)?.config.on, server.flag(instance.key)?.config.on]).toEqual([true, true]);
  });

  test('of a scoped flag that is off and still lists others is refused: it would stop them too (I7)', async () => {
    server.setFlag({
      key: user.key,
      on: false,
      fallthrough: 1,
      targets: [{ contextKind: 'user', values: ['u-2'], variation: 0 }],
    });
    expect(await codeOf(control().engage({ flag: user, target: 'u-1', ...words }))).toBe('flag_invalid');
    expect(server.flag(user.key)?.config.on).toBe(false);
  });

  test('waits out a conflict and a rate limit, and goes through', async () => {
    const made = await provisioned();
    server.refuse('conflict', 2);
    expect(await made.engage({ flag: global, ...words })).toMatchObject({ changed: true });
    server.refuse('rate-limit', 2);
    expect(await made.release({ flag: global, ...words })).toMatchObject({ changed: true });
  });

  test.each([
    ['conflict', 'conflict'],
    ['rate-limit', 'rate_limited'],
    ['approval', 'approval_required'],
    ['error', 'unreachable'],
    ['ignored', 'not_confirmed'],
  ] as const)('that LaunchDarkly answers with %s for good is rejected as %s', async (refusal, code) => {
    const made = await provisioned({ patienceMs: 100 });
    server.refuse(refusal, Number.POSITIVE_INFINITY);
    expect(await codeOf(made.engage({ flag: global, ...words }))).toBe(code);
    expect(server.flag(global.key)?.config.on).toBe(false);
  });

  test('that needs an approval says where to ask for it', async () => {
    const made = await provisioned();
    server.refuse('approval', 1);
    await expect(made.engage({ flag: global, ...words })).rejects.toThrow(/Request approval/);
  });

  test('that leaves somebody out is made as far as it goes, and not confirmed', async () => {
    server.setFlag({
      key: global.key,
      on: false,
      rules: [{ variation: 1, clauses: [{ contextKind: 'workflow', attribute: 'key', op: 'in', values: ['vip'] }] }],
    });
    expect(await codeOf(control().engage({ flag: global, ...words }))).toBe('not_confirmed');
    expect(server.flag(global.key)?.config.on).toBe(true);
  });

  test('with a token that is refused, with nobody there, and without the flag says which it is', async () => {
    expect(await codeOf(control({ token: 'api-other' }).engage({ flag: global, ...words }))).toBe('unauthorized');
    expect(await codeOf(control().engage({ flag: global, ...words }))).toBe('flag_missing');
    expect(await codeOf(control({ project: 'nobody' }).engage({ flag: global, ...words }))).toBe('flag_missing');
    expect(await codeOf(control({ baseUrl: 'http://127.0.0.1:9' }).engage({ flag: global, ...words }))).toBe('unreachable');
  });

  test.each([
    ['archived', { archived: true }],
    ['of another type', { variations: ['a', 'b'] }],
    ['of another type for a target', { variations: ['a', 'b'], key: user.key }],
    ['of a user and on for everybody', { key: user.key, on: true, fallthrough: 0 }],
  ] as [string, Partial<LdFlagSeed>][])('of a flag that is %s is flag_invalid, and nothing is changed', async (_what, seed) => {
    const { version } = server.setFlag({ key: global.key, ...seed }).config;
    const order: Order = seed.key === undefined ? { flag: global, ...words } : { flag: user, target: 'u-1', ...words };
    expect(await codeOf(control().engage(order))).toBe('flag_invalid');
    expect(server.flag(order.flag.key)?.config.version).toBe(version);
  });

  test.each<[string, Order]>([
    ['no reason', { flag: global, reason: ' ', by: 'ada' }],
    ['no name', { flag: global, reason: 'r', by: '' }],
    ['a target for everybody', { flag: global, target: 'u-1', ...words }],
    ['no target for a user', { flag: user, ...words }],
    ['no target for a session', { flag: instance, ...words }],
    ['a target no dashboard can hold', { flag: user, target: 'a\nb', ...words }],
  ])('with %s is bad_order, and nothing is sent', async (_what, order) => {
    expect(await codeOf(control().engage(order))).toBe('bad_order');
    expect(server.requests).toEqual([]);
  });
});

describe('provisioning', () => {
  test('plans first, creates permanent boolean flags that are released, and is idempotent', async () => {
    const made = control();
    const plan = await made.provision(switches);
    expect(plan.applied).toBe(false);
    expect(plan.steps.map((step) => step.change)).toEqual(['create', 'create', 'create', 'create']);
    expect(server.flag(global.key)).toBe(undefined);
    expect((await made.provision(switches, { apply: true })).applied).toBe(true);
    for (const flag of switches.flags) {
      expect(server.flag(flag.key)).toMatchObject({
        kind: 'boolean',
        temporary: false,
        description: flag.effect,
        tags: ['offswitch'],
      });
    }
    const before = switches.flags.map((flag) => server.flag(flag.key)?.config.version);
    const again = await made.provision(switches, { apply: true });
    expect(again.steps.map((step) => step.change)).toEqual(['keep', 'keep', 'keep', 'keep']);
    expect(switches.flags.map((flag) => server.flag(flag.key)?.config.version)).toEqual(before);
    expect((await made.inspect(switches)).flatMap((one) => one.findings)).toEqual([]);
    expect((await made.inspect(switches)).map((one) => one.engaged)).toEqual(['nobody', 'nobody', 'nobody', 'nobody']);
  });

  test('leaves a flag that somebody else made as it is, and refuses one that cannot be a switch', async () => {
    server.setFlag({ key: global.key, temporary: true, on: false });
    server.setFlag({ key: user.key, variations: ['a', 'b'] });
    const { steps } = await control().provision(switches, { apply: true });
    expect(steps.map((step) => [step.key, step.change])).toEqual([
      [global.key, 'keep'],
      [template.key, 'create'],
      [user.key, 'refuse'],
      [instance.key, 'create'],
    ]);
    expect(server.flag(global.key)).toMatchObject({ temporary: true, config: { version: 1 } });
  });

  test('finishes what it began: an instance flag of its own without its segment gets it', async () => {
    const made = control();
    await made.provision(switches, { apply: true });
    server.changeFlag(instance.key, (flag) => ({ ...flag, config: { ...flag.config, rules: [] } }));
    await made.provision(switches, { apply: true });
    expect(server.flag(instance.key)?.config.rules).toHaveLength(1);
  });

  test('without a segment where it is told so', async () => {
    await provisioned({ segment: false });
    expect(server.flag(instance.key)?.config.rules).toEqual([]);
    expect(server.segment('killswitch-sessions')).toBe(undefined);
  });
});

describe('an inspection finds', () => {
  const finds = async (more: Partial<LaunchDarklyControlOptions> = {}): Promise<Record<string, string[]>> =>
    Object.fromEntries(
      (await control(more).inspect(switches)).map((one) => [one.key, one.findings.map((finding) => finding.code)] as const),
    );
  const flagClause = { contextKind: 'device', attribute: 'key', op: 'in', values: ['x'] };

  test.each([
    ['a missing flag', undefined, global, 'missing'],
    ['a wrong type', { variations: ['a', 'b'] }, global, 'wrong-type'],
    ['an archived flag', { archived: true }, global, 'archived'],
    ['a temporary flag', { temporary: true }, global, 'temporary'],
    ['inverted polarity', { offVariation: 0, fallthrough: 1 }, global, 'inverted-polarity'],
    ['inverted polarity of the template', { offVariation: 0, on: true, fallthrough: 1 }, template, 'inverted-polarity'],
    ['no off variation', { offVariation: null }, global, 'no-off-variation'],
    ['a flip that changes nothing', { on: true, fallthrough: 1, offVariation: 1 }, global, 'same-either-way'],
    ['a prerequisite', { on: true, prerequisites: [{ key: 'other', variation: 0 }] }, global, 'prerequisite'],
    ['a user flag on for everybody', { on: true, fallthrough: 0 }, user, 'untargeted'],
    [
      'targets of a flag that is off',
      { on: false, targets: [{ contextKind: 'user', values: ['u'], variation: 0 }] },
      user,
      'environment-off',
    ],
    [
      'a rule that never matches',
      { on: true, fallthrough: 1, rules: [{ variation: 0, clauses: [flagClause] }] },
      user,
      'rule-never-matches',
    ],
    [
      'a segment that is not there',
      { on: true, fallthrough: 1, rules: [{ variation: 0, clauses: [{ attribute: '', op: 'segmentMatch', values: ['gone'] }] }] },
      instance,
      'rule-never-matches',
    ],
  ] as const)('%s', async (_what, seed, flag, code) => {
    if (seed) server.setFlag({ key: flag.key, ...seed });
    expect((await finds())[flag.key]).toContain(code);
  });

  test('sessions that have ended and are still listed', async () => {
    const made = await provisioned();
    await made.engage({ flag: instance, target: 's-1', ...words });
    await made.engage({ flag: instance, target: 's-2', ...words });
    expect((await finds({ isEnded: (id) => id === 's-1' }))[instance.key]).toEqual(['stale-targets']);
    const inspection = (await made.inspect(switches)).find((one) => one.key === instance.key);
    expect(inspection).toMatchObject({ engaged: 'targets', targets: ['s-1', 's-2'] });
  });

  test('who is stopped', async () => {
    const made = await provisioned();
    await made.engage({ flag: global, ...words });
    await made.engage({ flag: template, ...words });
    await made.engage({ flag: user, target: 'u-1', ...words });
    expect((await made.inspect(switches)).map((one) => one.engaged)).toEqual(['everybody', 'everybody', 'targets', 'nobody']);
  });
});

describe('the history', () => {
  test('tells the flips newest first, with who and why, and leaves out what others changed', async () => {
    const made = await provisioned();
    await made.engage({ flag: global, reason: 'first: "quoted"\nand more', by: 'ada' });
    server.setFlag({ key: 'theme' });
    await made.engage({ flag: user, target: 'u-1', reason: 'second', by: 'ben (on call)' });
    await made.engage({ flag: instance, target: 's "1"', reason: 'third', by: 'ada' });
    await made.release({ flag: global, reason: 'fourth', by: 'ada' });
    const all = await made.history();
    expect(all.map(({ key, action, target, reason, by }) => ({ key, action, target, reason, by }))).toEqual([
      { key: global.key, action: 'release', target: undefined, reason: 'fourth', by: 'ada' },
      { key: instance.key, action: 'engage', target: 's "1"', reason: 'third', by: 'ada' },
      { key: user.key, action: 'engage', target: 'u-1', reason: 'second', by: 'ben (on call)' },
      { key: global.key, action: 'engage', target: undefined, reason: 'first: "quoted"\nand more', by: 'ada' },
    ]);
    expect(await made.history({ key: user.key })).toHaveLength(1);
    expect(await made.history({ limit: 2 })).toHaveLength(2);
  });

  test('goes on past one page of the audit log', async () => {
    const made = await provisioned();
    for (let i = 0; i < 15; i++) {
      await made.engage({ flag: global, ...words });
      await made.release({ flag: global, ...words });
    }
    expect((await made.history({ limit: 30 })).length).toBe(30);
  });
});

test.each(['token', 'project', 'environment'] as const)('an empty %s is bad_configuration', (field) => {
  expect(() => control({ [field]: '' })).toThrow(LaunchDarklyError);
});
