// What a control promises whoever asks for a flip: it is done and read back, or there is an error that says what to do.

import { defineKillSwitches } from '@offswitch/core';
import { contractSwitches } from '@offswitch/testing';
import { UnleashSwitchError, unleashControl } from '@offswitch/unleash/control';
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

const strategies = (key: string) => vendor.server.stored.flags.get(key)!.environments.get(vendor.server.environment)!.strategies;
const isOn = (key: string) => vendor.server.stored.flags.get(key)!.environments.get(vendor.server.environment)!.enabled;
const code = (error: unknown): string => (UnleashSwitchError.is(error) ? error.code : `no code: ${String(error)}`);
const refusal = async (work: Promise<unknown>): Promise<UnleashSwitchError> => {
  const error = await work.then(
    () => new Error('it was not refused'),
    (caught: unknown) => caught,
  );
  if (!UnleashSwitchError.is(error)) throw error;
  return error;
};

describe('a stop made in Unleash', () => {
  test('is one strategy, with who and why where people look and where agents read', async () => {
    const flip = await vendor.control.engage({ flag: user, target: 'u-1', ...words });
    expect(flip).toMatchObject({ key: user.key, action: 'engage', target: 'u-1', ...words, changed: true });
    expect(flip.position).toBe(undefined);
    const [idle, stop] = strategies(user.key);
    expect(idle).toMatchObject({ parameters: { rollout: '0' } });
    expect(stop).toMatchObject({
      title: 'Stop: runaway drafts (ada)',
      parameters: { 'offswitch.reason': 'runaway drafts', 'offswitch.by': 'ada', rollout: '100' },
      constraints: [{ contextName: 'userId', operator: 'IN', values: ['u-1'] }],
    });
    const source = vendor.source();
    await source.open();
    expect(source.read(user, { userId: 'u-1' })).toMatchObject({ state: 'engaged', ...words });
  });

  test('is made once: asked for again, nothing is written and the answer says so', async () => {
    await vendor.control.engage({ flag: user, target: 'u-1', ...words });
    const { revision } = vendor.server.stored;
    expect(await vendor.control.engage({ flag: user, target: 'u-1', ...words })).toMatchObject({ changed: false });
    expect(vendor.server.stored.revision).toBe(revision);
  });

  test('survives ten operators at once: no stop is lost (I10)', async () => {
    const ids = Array.from({ length: 10 }, (_, n) => `u-${n}`);
    await Promise.all(ids.map((target) => vendor.control.engage({ flag: user, target, ...words })));
    const [inspection] = await vendor.control.inspect(contractSwitches).then((all) => all.filter((one) => one.key === user.key));
    expect([...inspection!.targets].sort()).toEqual(ids);
  });

  test('of a conversation is another one than of the session of the same id', async () => {
    await vendor.control.engage({ flag: instance, target: 'x-1', targetKind: 'conversation', ...words });
    await vendor.control.engage({ flag: instance, target: 'x-1', ...words });
    await vendor.control.release({ flag: instance, target: 'x-1', ...words });
    const source = vendor.source();
    await source.open();
    expect(source.read(instance, { sessionId: 's', conversationId: 'x-1' })).toMatchObject({ state: 'engaged' });
    expect(source.read(instance, { sessionId: 'x-1' })).toMatchObject({ state: 'released' });
  });

  test('that is undone by somebody else while it is made is made again, and in the end refused as a conflict', async () => {
    vendor.server.intercept = (request) => {
      if (request.method === 'POST' && request.parts.at(-1) === 'on') return { status: 200 };
      return undefined;
    };
    const error = await refusal(vendor.control.engage({ flag: global, ...words }));
    expect(error.code).toBe('conflict');
    expect(error.message).toContain(global.key);
  });
});

describe('a release made in Unleash', () => {
  test('takes away the strategies of the stop and leaves the one that matches nobody, so that the environment stays on', async () => {
    await vendor.control.engage({ flag: user, target: 'u-1', ...words });
    await vendor.control.release({ flag: user, target: 'u-1', reason: 'fixed', by: 'bob' });
    expect(strategies(user.key)).toHaveLength(1);
    expect(isOn(user.key)).toBe(true);
    const { revision } = vendor.server.stored;
    expect(await vendor.control.release({ flag: user, target: 'u-1', ...words })).toMatchObject({ changed: false });
    expect(vendor.server.stored.revision).toBe(revision);
  });

  test('puts the strategy that matches nobody back where somebody deleted it', async () => {
    await vendor.control.engage({ flag: user, target: 'u-1', ...words });
    vendor.server.edit(user.key, () => {
      strategies(user.key).shift();
    });
    await vendor.control.release({ flag: user, target: 'u-1', ...words });
    expect([isOn(user.key), strategies(user.key).map((one) => one.parameters.rollout)]).toEqual([true, ['0']]);
  });

  test('takes one person out of a list made by hand, and finds out that the edit was lost', async () => {
    vendor.server.edit(user.key, () => {
      strategies(user.key).push({
        ...strategies(user.key)[0]!,
        id: 'by-hand',
        parameters: { rollout: '100' },
        constraints: [{ contextName: 'userId', operator: 'IN', values: ['u-1', ' u-2 ', 'u-3'] }],
      });
    });
    let lost = 1;
    vendor.server.intercept = (request) => (request.method === 'PATCH' && lost-- > 0 ? { status: 200, body: {} } : undefined);
    await vendor.control.release({ flag: user, target: 'u-2', ...words });
    expect(strategies(user.key)[1]!.constraints[0]!.values).toEqual(['u-1', 'u-3']);
  });

  test('of a global switch turns the environment off and keeps what others put there', async () => {
    vendor.server.edit(global.key, () => {
      strategies(global.key).push({ ...strategies(user.key)[0]!, id: 'theirs', title: 'theirs' });
    });
    await vendor.control.engage({ flag: global, ...words });
    expect(isOn(global.key)).toBe(true);
    await vendor.control.release({ flag: global, ...words });
    expect([isOn(global.key), strategies(global.key).map((one) => one.title)]).toEqual([false, ['theirs']]);
  });

  test('loses to a stop that lands in it: that one stays, and the error names it (S1)', async () => {
    await vendor.control.engage({ flag: global, ...words });
    let isDone = false;
    vendor.server.intercept = async (request) => {
      if (request.method !== 'DELETE' || isDone) return undefined;
      isDone = true;
      await vendor.control.engage({ flag: global, reason: 'again', by: 'eve' });
      return undefined;
    };
    const error = await refusal(vendor.control.release({ flag: global, ...words }));
    expect([error.code, isOn(global.key)]).toEqual(['conflict', true]);
    expect(error.message).toContain('again');
  });

  test('says that a strategy made by hand may still name somebody', async () => {
    vendor.server.edit(user.key, () => {
      strategies(user.key).push({
        ...strategies(user.key)[0]!,
        id: 'odd',
        title: 'everybody in beta',
        parameters: { rollout: '100' },
        constraints: [{ contextName: 'userId', operator: 'STR_STARTS_WITH', values: ['beta-'] }],
      });
    });
    const error = await refusal(vendor.control.release({ flag: user, target: 'beta-1', ...words }));
    expect(error.code).toBe('not_confirmed');
    expect(error.message).toContain('everybody in beta');
  });
});

describe('an inverted workflow switch, where on means running', () => {
  test('is stopped by turning its environment off and released by turning it on, with the words kept', async () => {
    await vendor.control.engage({ flag: scoring, ...words });
    expect(isOn(scoring.key)).toBe(false);
    const source = vendor.source();
    await source.open();
    expect(source.read(scoring, { workflow: 'batch-scoring' })).toMatchObject({ state: 'engaged', ...words });
    await vendor.control.release({ flag: scoring, ...words });
    expect(isOn(scoring.key)).toBe(true);
    await source.refresh();
    expect(source.read(scoring, { workflow: 'batch-scoring' })).toMatchObject({ state: 'released', origin: 'live' });
  });
});

describe('an order that cannot be carried out', () => {
  test.each([
    ['bad_order', { flag: user, ...words }],
    ['bad_order', { flag: global, target: 'u-1', ...words }],
    ['bad_order', { flag: user, target: 'u-1', reason: ' ', by: 'ada' }],
    ['bad_order', { flag: user, target: 'u-1', reason: 'why', by: '' }],
    ['bad_order', { flag: user, target: 'x'.repeat(101), ...words }],
    ['bad_order', { flag: user, target: 'u-1 ', ...words }],
  ] as const)('is refused before Unleash is asked: %s %#', async (wanted, order) => {
    const asked = vendor.server.requests.length;
    expect((await refusal(vendor.control.engage(order))).code).toBe(wanted);
    expect(vendor.server.requests.length).toBe(asked);
  });

  test('for an inverted user switch is refused: Unleash names people by turning a flag on', async () => {
    const inverted = defineKillSwitches({
      global: { authorized: ['a'] },
      features: {},
      user: { authorized: ['a'], engagedWhen: false },
    });
    expect((await refusal(vendor.control.engage({ flag: inverted.user!, target: 'u-1', ...words }))).code).toBe('flag_invalid');
    const plan = await vendor.control.provision(inverted);
    expect(plan.steps.find((one) => one.key === inverted.user!.key)).toMatchObject({ change: 'refuse' });
  });

  test('for a flag nobody made says to provision it', async () => {
    const foreign = defineKillSwitches({ global: { authorized: ['a'], key: 'nobody.made.this' }, features: {} }).global;
    const error = await refusal(vendor.control.engage({ flag: foreign, ...words }));
    expect([error.code, error.message]).toEqual(['flag_missing', expect.stringContaining('provision')]);
  });

  test('for a flag that was archived while it was on is refused, although its environment still says on', async () => {
    await vendor.control.engage({ flag: global, ...words });
    vendor.server.edit(global.key, (stored) => {
      stored.archived = true;
    });
    expect((await refusal(vendor.control.engage({ flag: global, ...words }))).code).toBe('flag_missing');
  });

  test('for a user switch that is on for everybody is refused, and nobody is added', async () => {
    vendor.server.edit(user.key, () => {
      strategies(user.key)[0]!.parameters.rollout = '100';
    });
    const before = strategies(user.key).length;
    expect((await refusal(vendor.control.engage({ flag: user, target: 'u-1', ...words }))).code).toBe('flag_invalid');
    expect(strategies(user.key).length).toBe(before);
  });

  test('past the number of strategies says what to do about it', async () => {
    for (let n = 1; n < 30; n++) await vendor.control.engage({ flag: instance, target: `s-${n}`, ...words });
    const error = await refusal(vendor.control.engage({ flag: instance, target: 's-30', ...words }));
    expect([error.code, error.message]).toEqual([
      'limit_reached',
      expect.stringContaining('UNLEASH_FEATURE_ENVIRONMENT_STRATEGIES_LIMIT'),
    ]);
    await vendor.control.release({ flag: instance, target: 's-1', ...words });
    await vendor.control.engage({ flag: instance, target: 's-30', ...words });
  });

  test('under change requests says that one is needed, and where', async () => {
    vendor.server.requiresApproval = true;
    const error = await refusal(vendor.control.engage({ flag: global, ...words }));
    expect([error.code, error.message]).toEqual(['approval_required', expect.stringContaining('change request')]);
    expect(isOn(global.key)).toBe(false);
  });
});

describe('an Unleash in trouble', () => {
  const control = (more: object = {}) =>
    unleashControl({ url: vendor.server.url, token: 'user:s3cret', environment: 'development', timeoutMs: 100, ...more });

  test('that does not know the token is an error, and the token is in no part of it', async () => {
    const error = await refusal(control().engage({ flag: global, ...words }));
    expect(error.code).toBe('unauthorized');
    expect(`${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`).not.toContain('s3cret');
  });

  test('that does not answer is an error in time, and says that the change may have arrived', async () => {
    vendor.server.intercept = (request) => (request.method === 'POST' ? 'hang' : undefined);
    const patient = control({ token: vendor.server.adminToken });
    const error = await refusal(patient.engage({ flag: global, ...words }));
    expect([error.code, error.message]).toEqual(['unreachable', expect.stringContaining('look before you repeat')]);
    expect(`${error.stack} ${String((error.cause as Error).stack)}`).not.toContain(vendor.server.adminToken);
  });

  test('that limits requests is waited for as long as it says, within the bound', async () => {
    let limited = 2;
    vendor.server.intercept = (request) =>
      request.parts[1] === 'admin' && limited-- > 0
        ? { status: 429, body: { message: 'slow down' }, headers: { 'retry-after': '0', 'x-ratelimit-reset': '0' } }
        : undefined;
    const patient = control({ token: vendor.server.adminToken, timeoutMs: 5000 });
    expect(await patient.engage({ flag: global, ...words })).toMatchObject({ changed: true });
    vendor.server.intercept = () => ({ status: 429, body: { message: 'slow down' }, headers: { 'retry-after': '3600' } });
    const error = await refusal(patient.release({ flag: global, ...words }));
    expect([error.code, error.message]).toEqual(['rate_limited', expect.stringContaining('3600 s')]);
  });

  test.each([
    ['a login page', { status: 200, body: '<html>sign in</html>' }],
    ['a 404 of a proxy', { status: 404, body: 'nothing here' }],
    ['a 500', { status: 500, body: { message: 'oops' } }],
    ['JSON of another shape', { status: 200, body: { environments: [{ name: 'development', enabled: 'yes' }] } }],
  ])('that answers with %s is unreachable, not a success', async (_, answer) => {
    vendor.server.intercept = (request) => (request.parts[1] === 'admin' ? answer : undefined);
    expect(code(await refusal(control().engage({ flag: global, ...words })))).toBe('unreachable');
  });
});

describe('a configuration that cannot work', () => {
  test.each([
    { url: '', token: 't', environment: 'e' },
    { url: 'ftp://unleash', token: 't', environment: 'e' },
    { url: 'http://user:password@unleash', token: 't', environment: 'e' },
    { url: 'http://unleash', token: ' ', environment: 'e' },
    { url: 'http://unleash', token: 's3cret\n', environment: 'e' },
    { url: 'http://unleash', token: 't', environment: '' },
  ])('is refused at once %#', (options) => {
    expect(() => unleashControl(options)).toThrow(/bad_configuration/);
  });
});
