// control.test.ts: flips, provisioning, inspection and history over the scripted management API.

import { defineKillSwitches, type KillSwitches, type SwitchControl, type SwitchFlag } from '@offswitch/core';
import {
  type GrowthBookControlOptions,
  GrowthBookError,
  type GrowthBookErrorCode,
  growthBookControl,
} from '@offswitch/growthbook/control';
import { contractSwitches } from '@offswitch/testing';
import {
  type GrowthBookServer,
  type GrowthBookServerOptions,
  type StoredRule,
  startGrowthBookServer,
} from '@offswitch/testing/growthbook';
import { afterEach, describe, expect, test } from 'vitest';

const { global } = contractSwitches;
const user = contractSwitches.user!;
const instance = contractSwitches.instance!;
const scoring = contractSwitches.feature('batch-scoring');
const words = { reason: 'runaway drafts', by: 'ada' };

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

interface Setup {
  readonly server: GrowthBookServer;
  readonly control: SwitchControl;
  readonly options: GrowthBookControlOptions;
}

async function setup(
  options: Partial<GrowthBookControlOptions> = {},
  server: GrowthBookServerOptions = {},
  switches: KillSwitches | null = contractSwitches,
): Promise<Setup> {
  const started = await startGrowthBookServer(server);
  closing.push(async () => {
    await started.close();
    expect(started.unknown).toEqual([]);
  });
  const all: GrowthBookControlOptions = {
    baseUrl: started.url,
    token: started.token,
    environment: started.environment,
    clientKey: started.clientKey,
    confirmWithinMs: 10_000,
    ...options,
  };
  const control = growthBookControl(all);
  if (switches) await control.provision(switches, { apply: true });
  return { server: started, control, options: all };
}

const rejected = async (work: Promise<unknown>): Promise<GrowthBookError> => {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!GrowthBookError.is(error)) throw new Error(`expected a GrowthBookError, got ${String(error)}`);
  return error;
};
const served = (server: GrowthBookServer, key: string): unknown => (server.payload().features as Record<string, unknown>)[key];
const feature = (server: GrowthBookServer, flag: SwitchFlag) => server.stored.features.get(flag.key)!;
const groupNamed = (server: GrowthBookServer, part: string) =>
  [...server.stored.groups.values()].find((one) => one.name.includes(part))!;
const calls = (server: GrowthBookServer, from: number): string[] =>
  server.requests.slice(from).filter((one) => !one.startsWith('GET'));

describe('provisioning', () => {
  test('is a plan first, and changes nothing until it is applied', async () => {
    const { server, control } = await setup(
      {},
      {},
      defineKillSwitches({ global: { authorized: ['a'], key: 'other' }, features: {} }),
    );
    const before = server.requests.length;
    const plan = await control.provision(contractSwitches);
    expect(plan.applied).toBe(false);
    expect(plan.steps.filter((step) => step.change === 'create').map((step) => step.key)).toEqual([
      'attribute userId',
      'attribute sessionId',
      'attribute conversationId',
      'offswitch killswitch.user userId (production)',
      'offswitch killswitch.instance sessionId (production)',
      'offswitch killswitch.instance conversationId (production)',
      ...contractSwitches.flags.map((flag) => flag.key),
    ]);
    expect(calls(server, before)).toEqual([]);
  });

  test('creates permanent booleans, released, with the effect and who may flip as description, and is idempotent', async () => {
    const { server, control } = await setup();
    expect(feature(server, global)).toMatchObject({ valueType: 'boolean', defaultValue: 'false', tags: ['offswitch'] });
    expect(feature(server, global).description).toBe(`${global.effect} May be flipped by: on-call.`);
    expect(feature(server, scoring).defaultValue).toBe('true');
    const before = server.requests.length;
    const again = await control.provision(contractSwitches, { apply: true });
    expect(new Set(again.steps.map((step) => step.change))).toEqual(new Set(['keep']));
    expect(calls(server, before)).toEqual([]);
  });

  test('gives no scoped switch a rule that could ever be without its targets', async () => {
    const { server } = await setup();
    for (const flag of [user, instance]) {
      for (const rule of feature(server, flag).rules) expect(rule.condition).toMatch(/^\{"\w+Id":\{"\$inGroup":"grp_\d+"\}\}$/);
      expect(feature(server, flag).rules.every((rule) => rule.savedGroupTargeting === undefined)).toBe(true);
    }
    for (const group of server.stored.groups.values()) expect(group.values).toEqual(['offswitch:nobody']);
  });

  test('never edits what somebody else made: it says what is wrong and what to do', async () => {
    const { server, control } = await setup({}, {}, null);
    await setupForeign(server, 'killswitch.global', 'string', 'off');
    await setupForeign(server, 'killswitch.user', 'boolean', 'false');
    const plan = await control.provision(contractSwitches, { apply: true });
    const refused = plan.steps.filter((step) => step.change === 'refuse');
    expect(refused.map((step) => step.key)).toEqual(['killswitch.global', 'killswitch.user']);
    expect(refused[0]!.detail).toContain('type string');
    expect(refused[1]!.detail).toContain('no rule for userId');
    expect(feature(server, global).defaultValue).toBe('off');
    expect(feature(server, user).rules).toEqual([]);
  });

  test('adds what a second environment needs to what it made for the first', async () => {
    const { server, options } = await setup();
    const staging = growthBookControl({ ...options, environment: 'staging', clientKey: undefined as never });
    await staging.provision(contractSwitches, { apply: true });
    expect(feature(server, user).rules.map((rule) => rule.environments)).toEqual([['production'], ['staging']]);
    await staging.engage({ flag: user, target: 'u-1', ...words });
    expect(JSON.stringify(served(server, user.key))).not.toContain('u-1');
  });
});

async function setupForeign(server: GrowthBookServer, id: string, valueType: string, defaultValue: string): Promise<void> {
  const response = await fetch(`${server.url}/api/v2/features`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ id, valueType, defaultValue, rules: [], environments: { production: { enabled: true } } }),
  });
  expect(response.status).toBe(200);
}

describe('a flip', () => {
  test('of the global switch is a rule of its environment alone, with reason and by, read back where agents read', async () => {
    const { server, control } = await setup();
    const flip = await control.engage({ flag: global, ...words });
    expect(flip).toMatchObject({ key: global.key, action: 'engage', ...words, changed: true });
    expect(flip.position).toBe(undefined);
    expect(feature(server, global).rules).toMatchObject([
      { value: 'true', environments: ['production'], enabled: true, description: 'offswitch engage: runaway drafts (by ada)' },
    ]);
    expect(served(server, global.key)).toMatchObject({ rules: [{ force: true }] });
    expect(server.requests.at(-1)).toBe('GET /api/features/sdk-offswitch');
    expect(await control.engage({ flag: global, ...words })).toMatchObject({ changed: false });
    expect(await control.release({ flag: global, ...words })).toMatchObject({ changed: true });
    expect(served(server, global.key)).toEqual({ defaultValue: false });
    expect(await control.release({ flag: global, ...words })).toMatchObject({ changed: false });
  });

  test('of an inverted switch writes false for engaged', async () => {
    const { server, control } = await setup();
    await control.engage({ flag: scoring, ...words });
    expect(served(server, scoring.key)).toEqual({ defaultValue: true, rules: [{ force: false }] });
  });

  test('keeps the rules that others made, and comes before them', async () => {
    const { server, control } = await setup();
    const theirs: StoredRule = {
      id: 'theirs',
      type: 'force',
      value: 'false',
      condition: '{"workflow":"x"}',
      enabled: true,
      allEnvironments: true,
    };
    server.edit(() => feature(server, global).rules.push(theirs));
    await control.engage({ flag: global, ...words });
    expect(feature(server, global).rules.map((rule) => rule.id === 'theirs')).toEqual([false, true]);
    await control.release({ flag: global, ...words });
    expect(feature(server, global).rules[1]).toEqual(theirs);
  });

  test('of a user adds one id to the saved group and takes only that id away again', async () => {
    const { server, control } = await setup();
    await control.engage({ flag: user, target: 'u-1', ...words });
    await control.engage({ flag: user, target: 'u-2', ...words });
    await control.release({ flag: user, target: 'u-1', ...words });
    expect(groupNamed(server, 'userId').values).toEqual(['offswitch:nobody', 'u-2']);
  });

  test('of a conversation is not one of a session with the same id', async () => {
    const { server, control } = await setup();
    await control.engage({ flag: instance, target: 'c-1', targetKind: 'conversation', ...words });
    expect(groupNamed(server, 'conversationId').values).toContain('c-1');
    expect(groupNamed(server, 'sessionId').values).not.toContain('c-1');
  });

  test('releases what a person turned on by the default value', async () => {
    const { server, control } = await setup();
    server.edit(() => {
      feature(server, global).defaultValue = 'true';
    });
    expect(await control.release({ flag: global, ...words })).toMatchObject({ changed: true });
    expect(served(server, global.key)).toEqual({ defaultValue: false });
  });

  test('leaves alone a rule that a person made for more environments than its own', async () => {
    const { server, control } = await setup();
    const wide: StoredRule = { id: 'wide', type: 'force', value: 'true', enabled: true, environments: ['production', 'staging'] };
    server.edit(() => feature(server, global).rules.push(wide));
    expect((await rejected(control.release({ flag: global, ...words }))).code).toBe('flag_invalid');
    expect(feature(server, global).rules.find((rule) => rule.id === 'wide')).toEqual(wide);
  });

  test('says so when a rule made by hand still engages after a release', async () => {
    const { server, control } = await setup();
    server.edit(() => feature(server, global).rules.push({ type: 'force', value: 'true', allEnvironments: true, enabled: true }));
    const error = await rejected(control.release({ flag: global, ...words }));
    expect(error.code).toBe('flag_invalid');
    expect(error.message).toContain('by hand');
  });

  test('of a user is refused where a rule before it lets everybody run, whether or not the SDK endpoint can be asked', async () => {
    const { server, options } = await setup();
    const { clientKey: _, ...blind } = options;
    const control = growthBookControl(blind);
    server.edit(({ features }) =>
      features.get(user.key)!.rules.unshift({ type: 'force', value: 'false', enabled: true, allEnvironments: true }),
    );
    const error = await rejected(control.engage({ flag: user, target: 'u-1', ...words }));
    expect(error).toMatchObject({ code: 'flag_invalid', message: expect.stringContaining('before the one for userId') });
    expect((await control.release({ flag: user, target: 'u-1', ...words })).changed).toBe(false);
  });

  test('of a switch with a prerequisite is not confirmed where nobody can look at what agents get', async () => {
    const { server, options } = await setup();
    const { clientKey: _, ...blind } = options;
    const control = growthBookControl(blind);
    server.edit(({ features }) => features.get(global.key)!.prerequisites.push('billing'));
    const error = await rejected(control.engage({ flag: global, ...words }));
    expect(error).toMatchObject({ code: 'not_confirmed', message: expect.stringContaining('prerequisite') });
  });

  test('finds no rule where there is one for all environments, and provisioning adds what it says is missing', async () => {
    const { server, control } = await setup();
    server.edit(({ features }) => Object.assign(features.get(user.key)!.rules[0]!, { allEnvironments: true, environments: [] }));
    expect(await rejected(control.engage({ flag: user, target: 'u-1', ...words }))).toMatchObject({ code: 'flag_missing' });
    await control.provision(contractSwitches, { apply: true });
    expect((await control.engage({ flag: user, target: 'u-1', ...words })).changed).toBe(true);
  });

  test('is not confirmed when agents would not get it', async () => {
    const { server, options } = await setup();
    const control = growthBookControl({ ...options, confirmWithinMs: 200 });
    server.override(server.payload());
    const error = await rejected(control.engage({ flag: global, ...words }));
    expect(error.code).toBe('not_confirmed');
    expect(error.message).toContain('released');
  });
});

describe('an edit of somebody else at the same moment', () => {
  test('is not undone by a flip, which is made again on top of it', async () => {
    const { server, control } = await setup();
    let isEdited = false;
    server.intercept = ({ method, path }) => {
      if (method !== 'POST' || !path.endsWith(global.key) || isEdited) return undefined;
      isEdited = true;
      // Published between our read and our write.
      const colleague: StoredRule = {
        id: 'colleague',
        type: 'force',
        value: 'false',
        condition: '{"id":"x"}',
        environments: ['staging'],
      };
      void fetch(`${server.url}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${server.token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ rules: [colleague] }),
      });
      return new Promise((resolve) => {
        const look = (): void => {
          if (feature(server, global).rules.length > 0) resolve(undefined);
          else setImmediate(look);
        };
        look();
      });
    };
    await control.engage({ flag: global, ...words });
    expect(feature(server, global).rules.map((rule) => rule.id)).toContain('colleague');
    expect(served(server, global.key)).toMatchObject({ rules: [{ force: true }] });
  });

  test('that the server tells of (409) is met by trying again', async () => {
    const { server, control } = await setup();
    let conflicts = 0;
    server.intercept = ({ method, path }) =>
      method === 'POST' && (path.endsWith(global.key) || path.endsWith('/publish')) && ++conflicts % 2 === 1
        ? { status: 409, body: { message: 'The feature changed while this was being applied - nothing was written; retry' } }
        : undefined;
    await control.engage({ flag: global, ...words });
    await control.engage({ flag: user, target: 'u-1', ...words });
    expect(conflicts).toBe(4);
    expect(server.stored.groupRevisions.get(groupNamed(server, 'userId').id)?.map((one) => one.status)).toEqual([
      'discarded',
      'merged',
    ]);
  });

  test('that never ends is an error, and leaves no draft behind', async () => {
    const { server, control } = await setup();
    server.intercept = ({ path }) =>
      path.endsWith('/publish') ? { status: 409, body: { message: 'Merge conflicts exist' } } : undefined;
    expect((await rejected(control.engage({ flag: user, target: 'u-1', ...words }))).code).toBe('conflict');
    const revisions = server.stored.groupRevisions.get(groupNamed(server, 'userId').id) ?? [];
    expect(new Set(revisions.map((one) => one.status))).toEqual(new Set(['discarded']));
  });

  test('by many of our own operators at once loses none of the targets', async () => {
    const { server, options } = await setup({ clientKey: undefined as never });
    const targets = ['a', 'b', 'c'];
    await Promise.all(targets.map((target) => growthBookControl(options).engage({ flag: user, target, ...words })));
    expect(groupNamed(server, 'userId').values).toEqual(expect.arrayContaining(targets));
  });
});

describe('a refusal of GrowthBook', () => {
  test('for want of an approval says what to do in the dashboard, and nothing was changed', async () => {
    const { server, control } = await setup();
    server.requiresApproval = true;
    const ofFeature = await rejected(control.engage({ flag: global, ...words }));
    expect(ofFeature.code).toBe('approval_required');
    expect(ofFeature.message).toContain('REST API always bypasses approval requirements');
    const ofGroup = await rejected(control.engage({ flag: user, target: 'u-1', ...words }));
    expect(ofGroup.code).toBe('approval_required');
    expect(ofGroup.message).toContain('Revision 1 of the saved group');
    expect(groupNamed(server, 'userId').values).not.toContain('u-1');
  });

  const refusals: [string, number, unknown, GrowthBookErrorCode][] = [
    ['a token nobody knows', 401, { message: 'Invalid API key' }, 'unauthorized'],
    ['a token that may not', 403, { message: 'You do not have permission to perform this action' }, 'unauthorized'],
    ['a server that failed', 500, { message: 'oops' }, 'unreachable'],
    [
      'a gate that is no approval',
      422,
      { message: 'blocked', gates: [{ type: 'stale-base', messages: ['rebase first'] }] },
      'refused',
    ],
    ['an answer that is no JSON', 200, '<html>', 'unreachable'],
  ];
  test.each(refusals)('has a code of its own: %s', async (_, status, body, code) => {
    const { server, control } = await setup();
    server.intercept = ({ method, path }) => (method === 'POST' && path.endsWith(global.key) ? { status, body } : undefined);
    expect((await rejected(control.engage({ flag: global, ...words }))).code).toBe(code);
  });

  test('of something that answers and is not GrowthBook is no crash', async () => {
    const { server, control } = await setup();
    server.intercept = () => ({ status: 200, body: { hello: 'world' } });
    for (const work of [
      () => control.engage({ flag: global, ...words }),
      () => control.engage({ flag: user, target: 'u-1', ...words }),
      () => control.provision(contractSwitches),
      () => control.inspect(contractSwitches),
      () => control.history(),
    ])
      expect((await rejected(work())).code).toBe('unreachable');
  });

  test('to tell of revisions does not undo a flip that was published: it is told of', async () => {
    const warnings: string[] = [];
    const { server, control } = await setup({ warn: (message) => warnings.push(message) });
    server.intercept = async ({ method, path }) => {
      if (path.endsWith('/revisions')) return { status: 403, body: { message: 'You do not have permission' } };
      if (method !== 'POST' || !path.endsWith(global.key)) return undefined;
      // Somebody publishes another thing of the feature meanwhile.
      server.intercept = ({ path: next }) => (next.endsWith('/revisions') ? { status: 403, body: { message: 'no' } } : undefined);
      const headers = { authorization: `Bearer ${server.token}`, 'content-type': 'application/json' };
      await fetch(`${server.url}${path}`, { method: 'POST', headers, body: JSON.stringify({ description: 'new words' }) });
      return undefined;
    };
    expect(await control.engage({ flag: global, ...words })).toMatchObject({ changed: true });
    expect(warnings).toEqual([expect.stringContaining('cannot be told')]);
  });

  test('of a switch that is not there says to provision it', async () => {
    const { control } = await setup({}, {}, defineKillSwitches({ global: { authorized: ['a'], key: 'other' }, features: {} }));
    expect((await rejected(control.engage({ flag: global, ...words }))).code).toBe('flag_missing');
    expect((await rejected(control.engage({ flag: user, target: 'u-1', ...words }))).code).toBe('flag_missing');
  });

  test.each([
    ['is archived', { archived: true }],
    ['is off', { environments: { production: { enabled: false } } }],
    ['is of type string', { valueType: 'string' as const }],
  ])('never flips a switch that agents could not read: %s', async (what, change) => {
    const { server, control } = await setup();
    server.edit(() => Object.assign(feature(server, global), change));
    const error = await rejected(control.engage({ flag: global, ...words }));
    expect(error.code).toBe('flag_invalid');
    expect(error.message).toContain(what);
  });

  test('never shows the token, nor does a server that cannot be reached', async () => {
    const { server, control, options } = await setup();
    server.intercept = () => ({ status: 403, body: { message: `key ${server.token} may not` } });
    const error = await rejected(control.engage({ flag: global, ...words }));
    expect(error.message).not.toContain(server.token);
    const nowhere = growthBookControl({ ...options, baseUrl: 'http://127.0.0.1:1', timeoutMs: 500 });
    const unreachable = await rejected(nowhere.engage({ flag: global, ...words }));
    expect(unreachable.code).toBe('unreachable');
    expect(JSON.stringify([unreachable.message, String(unreachable.cause), unreachable.stack])).not.toContain(server.token);
  });

  test('a request that hangs has an end', async () => {
    const { server, options } = await setup();
    server.intercept = () => 'hang';
    const hurried = growthBookControl({ ...options, timeoutMs: 50 });
    const error = await rejected(hurried.engage({ flag: global, ...words }));
    expect(error.code).toBe('unreachable');
    expect(error.message).toContain('no answer within 50 ms');
  });
});

describe('the rate limit', () => {
  test('is waited for as long as the server says', async () => {
    const { server, control } = await setup();
    let refused = 0;
    server.intercept = ({ path }) =>
      path.endsWith(global.key) && refused++ < 2
        ? { status: 429, body: { message: 'Too many requests' }, headers: { 'RateLimit-Reset': '0' } }
        : undefined;
    expect(await control.engage({ flag: global, ...words })).toMatchObject({ changed: true });
    expect(refused).toBeGreaterThan(2);
  });

  test('that is far from over is an error that says when', async () => {
    const { server, control } = await setup({ rateLimitWaitMs: 1000 });
    server.intercept = ({ path }) =>
      path.endsWith(global.key) ? { status: 429, body: {}, headers: { 'RateLimit-Reset': '42' } } : undefined;
    const error = await rejected(control.engage({ flag: global, ...words }));
    expect(error.code).toBe('rate_limited');
    expect(error.message).toContain('42 s');
  });

  test('of 60 requests a minute leaves room for ten flips after provisioning', async () => {
    const { control } = await setup({ rateLimitWaitMs: 100 }, { requestsPerMinute: 60 });
    for (let n = 0; n < 5; n++) {
      await control.engage({ flag: global, ...words });
      await control.release({ flag: global, ...words });
    }
  });
});

describe('an order', () => {
  test.each([
    ['without a reason', { flag: global, reason: ' ', by: 'ada' }],
    ['without a name', { flag: global, reason: 'why', by: '' }],
    ['with a target where there are none', { flag: global, target: 'u-1', ...words }],
    ['without a target where one is needed', { flag: user, ...words }],
  ])('%s is refused before anything is asked', async (_, order) => {
    const { server, control } = await setup();
    const before = server.requests.length;
    expect((await rejected(control.engage(order))).code).toBe('bad_order');
    expect(server.requests.length).toBe(before);
  });

  test('with options that cannot work is refused at once', () => {
    const sound = { token: 'secret_x', environment: 'production' };
    for (const wrong of [{ token: '' }, { token: 'sdk-abc' }, { environment: ' ' }, { baseUrl: 'nowhere' }])
      expect(() => growthBookControl({ ...sound, ...wrong })).toThrow('[bad_configuration]');
  });
});

describe('inspection', () => {
  const codes = async (control: SwitchControl, flag: SwitchFlag): Promise<string[]> =>
    (await control.inspect(contractSwitches)).find((one) => one.key === flag.key)!.findings.map((finding) => finding.code);

  test('finds nothing after provisioning, and says who is stopped', async () => {
    const { control } = await setup();
    for (const one of await control.inspect(contractSwitches))
      expect([one.key, one.engaged, one.findings]).toEqual([one.key, 'nobody', []]);
    await control.engage({ flag: global, ...words });
    await control.engage({ flag: user, target: 'u-1', ...words });
    const after = await control.inspect(contractSwitches);
    expect(after.find((one) => one.key === global.key)?.engaged).toBe('everybody');
    expect(after.find((one) => one.key === user.key)).toMatchObject({ engaged: 'targets', targets: ['u-1'] });
  });

  const rule = (more: Partial<StoredRule>): StoredRule => ({
    type: 'force',
    value: 'true',
    enabled: true,
    allEnvironments: true,
    ...more,
  });
  const faults: [string, SwitchFlag, (server: GrowthBookServer) => void][] = [
    ['missing', global, (server) => server.stored.features.delete(global.key)],
    ['missing', global, (server) => server.stored.features.delete('killswitch.canary')],
    ['archived', global, (server) => Object.assign(feature(server, global), { archived: true })],
    ['wrong-type', global, (server) => Object.assign(feature(server, global), { valueType: 'string' })],
    ['environment-off', global, (server) => Object.assign(feature(server, global).environments.production!, { enabled: false })],
    [
      'inverted-polarity',
      global,
      (server) =>
        Object.assign(feature(server, global), {
          defaultValue: 'true',
          rules: [rule({ value: 'false', condition: '{"id":"x"}' })],
        }),
    ],
    ['untargeted', user, (server) => Object.assign(feature(server, user), { defaultValue: 'true' })],
    ['untargeted', user, (server) => feature(server, user).rules.push(rule({}))],
    ['rule-never-matches', user, (server) => feature(server, user).rules.unshift(rule({ value: 'false' }))],
    ['rule-never-matches', user, (server) => server.stored.groups.clear()],
    ['rule-never-matches', user, (server) => Object.assign(feature(server, user), { rules: [] })],
    ['prerequisite', global, (server) => feature(server, global).prerequisites.push('other')],
    ['temporary', global, (server) => feature(server, global).rules.push({ ...rule({}), scheduleRules: [{}] } as StoredRule)],
  ];
  test.each(faults)('finds %s', async (code, flag, breakIt) => {
    const { server, control } = await setup();
    server.edit(() => breakIt(server));
    expect(await codes(control, flag)).toContain(code);
  });

  test('finds targets of sessions that are over', async () => {
    const { control } = await setup({ isEnded: (session) => session === 's-1' });
    await control.engage({ flag: instance, target: 's-1', ...words });
    await control.engage({ flag: instance, target: 's-2', ...words });
    const inspected = (await control.inspect(contractSwitches)).find((one) => one.key === instance.key)!;
    expect(inspected.findings).toMatchObject([{ code: 'stale-targets', severity: 'warning' }]);
    expect(inspected.findings[0]!.message).toContain('s-1');
  });
});

describe('history', () => {
  test('tells of each flip, newest first, with reason and by, from what GrowthBook recorded', async () => {
    const { control } = await setup();
    await control.engage({ flag: global, reason: 'fire (in the hall)', by: 'ada' });
    await control.engage({ flag: user, target: 'u-1', reason: 'abuse', by: 'grace' });
    await control.release({ flag: global, reason: 'over', by: 'linus (night shift)' });
    await control.release({ flag: user, target: 'u-1', reason: 'a mistake', by: 'grace' });
    const told = (await control.history()).map(({ key, action, target, reason, by }) => [key, action, target, reason, by]);
    expect(told).toEqual([
      [user.key, 'release', 'u-1', 'a mistake', 'grace'],
      [global.key, 'release', undefined, 'over', 'linus (night shift)'],
      [user.key, 'engage', 'u-1', 'abuse', 'grace'],
      [global.key, 'engage', undefined, 'fire (in the hall)', 'ada'],
    ]);
    expect((await control.history({ key: user.key, limit: 1 })).map((flip) => flip.action)).toEqual(['release']);
  });

  test('tells of targets that somebody added by hand, and nothing of the one that is nobody', async () => {
    const { server, control } = await setup();
    const group = groupNamed(server, 'userId');
    const path = `${server.url}/api/v1/saved-groups-revisions/${group.id}`;
    const post = async (url: string, body: unknown): Promise<void> => {
      const headers = { authorization: `Bearer ${server.token}`, 'content-type': 'application/json' };
      expect((await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })).status).toBe(200);
    };
    await post(`${path}/new/items/add`, { items: ['u-7'], revisionTitle: 'ticket 12' });
    await post(`${path}/1/items/remove`, { items: ['offswitch:nobody'] });
    await post(`${path}/1/publish`, {});
    expect(await control.history()).toMatchObject([
      { key: user.key, action: 'engage', target: 'u-7', reason: 'ticket 12', by: 'api_key' },
    ]);
    expect(await control.history()).toHaveLength(1);
  });

  test('tells of a flip made by hand, and that nobody gave a reason', async () => {
    const { server, control } = await setup();
    const response = await fetch(`${server.url}/api/v2/features/${global.key}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${server.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ defaultValue: 'true' }),
    });
    expect(response.status).toBe(200);
    expect(await control.history()).toMatchObject([{ key: global.key, action: 'engage', by: 'api_key' }]);
  });
});
