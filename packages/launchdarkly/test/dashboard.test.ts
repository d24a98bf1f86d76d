// dashboard.test.ts: what a person does by hand in LaunchDarkly's dashboard means what they expect.

import { defineKillSwitches, type Reading, type SwitchSource } from '@offswitch/core';
import { launchDarkly } from '@offswitch/launchdarkly';
import { waitUntil } from '@offswitch/testing';
import { type LaunchDarklyServer, type LdFlagSeed, openLaunchDarklyServer } from '@offswitch/testing/launchdarkly';
import { afterEach, describe, expect, test } from 'vitest';
import { sdks } from './harness.ts';

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

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function dashboard(...flags: LdFlagSeed[]): Promise<{ server: LaunchDarklyServer; source: SwitchSource }> {
  const server = await openLaunchDarklyServer();
  for (const flag of flags) server.setFlag(flag);
  const url = server.url;
  const source = launchDarkly({ sdkKey: server.sdkKey, sdk: sdks['9'], baseUri: url, streamUri: url, eventsUri: url });
  closing.push(
    () => source.close(),
    () => server.close(),
  );
  await source.open();
  return { server, source };
}

const turn = (on: boolean) => (flag: Parameters<Parameters<LaunchDarklyServer['changeFlag']>[1]>[0]) => ({
  ...flag,
  config: { ...flag.config, on },
});

describe('a flag switched by hand', () => {
  test('a list that became a big segment whose store is not here is unknown, never released', async () => {
    const { server, source } = await dashboard({
      key: instance.key,
      on: true,
      fallthrough: 1,
      rules: [{ variation: 0, clauses: [{ attribute: '', op: 'segmentMatch', values: ['big'] }] }],
    });
    const big = {
      key: 'big',
      version: 9,
      salt: 's',
      unbounded: true,
      unboundedContextKind: 'session',
      generation: 1,
      included: [],
      excluded: [],
      rules: [],
    };
    server.send(`event: patch\ndata: ${JSON.stringify({ path: '/segments/big', data: big })}\n\n`);
    const read = async (): Promise<Reading> => source.read(instance, { sessionId: 's-1' });
    const cause = async (): Promise<string | undefined> => {
      const reading = await read();
      return reading.state === 'unknown' ? reading.cause : undefined;
    };
    // Until the list is there at all it is an error.
    expect(await cause()).toBe('error');
    expect(await waitUntil(source, 5000, async () => (await cause()) === 'stale')).toBe(true);
  });

  test('off means its off variation: released where off is false, engaged where off is the engaged value', async () => {
    const { source } = await dashboard({ key: global.key, on: false }, { key: template.key, on: false });
    expect(source.read(global, {})).toMatchObject({ state: 'released', origin: 'live' });
    // LaunchDarkly's own kill-switch template: true is running, and switching it off is the stop.
    expect(source.read(template, { workflow: 'template' })).toMatchObject({ state: 'engaged', origin: 'live' });
  });

  test('on and off again is a stop and a later release (S3)', async () => {
    const { server, source } = await dashboard({ key: global.key, on: false });
    const ns: (number | undefined)[] = [];
    for (const on of [true, false]) {
      server.changeFlag(global.key, turn(on));
      const wanted = on ? 'engaged' : 'released';
      expect(await waitUntil(source, 5000, async () => (await source.read(global, {})).state === wanted)).toBe(true);
      const reading = await source.read(global, {});
      if (reading.state !== 'unknown') ns.push(reading.position.n);
    }
    expect(ns[1]).toBeGreaterThan(ns[0]!);
  });

  test('off with no off variation is unknown, and never a release', async () => {
    const { source } = await dashboard({ key: global.key, on: false, offVariation: null });
    const reading = await source.read(global, {});
    expect(reading).toMatchObject({ state: 'unknown', cause: 'error' });
    expect(reading.state === 'unknown' && reading.message).toContain('off variation');
  });

  test('archived is unknown: not-found', async () => {
    const { server, source } = await dashboard({ key: global.key, on: true });
    server.changeFlag(global.key, (flag) => ({ ...flag, archived: true }));
    expect(await waitUntil(source, 5000, async () => (await source.read(global, {})).state === 'unknown')).toBe(true);
    expect(await source.read(global, {})).toMatchObject({ cause: 'not-found' });
  });

  test('a user added to the individual targets is stopped, and nobody else (I7)', async () => {
    const { source } = await dashboard({
      key: user.key,
      on: true,
      fallthrough: 1,
      targets: [{ contextKind: 'user', values: ['u-1'], variation: 0 }],
    });
    expect(source.read(user, { userId: 'u-1' })).toMatchObject({ state: 'engaged' });
    expect(source.read(user, { userId: 'u-2' })).toMatchObject({ state: 'released' });
  });

  test('a conversation, a session and a workflow can be targeted by their own context kinds', async () => {
    const clause = (contextKind: string, value: string) => ({
      variation: 0,
      clauses: [{ contextKind, attribute: 'key', op: 'in', values: [value] }],
    });
    const { source } = await dashboard({
      key: instance.key,
      on: true,
      fallthrough: 1,
      targets: [{ contextKind: 'session', values: ['s-1'], variation: 0 }],
      rules: [clause('conversation', 'c-1'), clause('workflow', 'template')],
    });
    expect(source.read(instance, { sessionId: 's-1' })).toMatchObject({ state: 'engaged' });
    expect(source.read(instance, { sessionId: 's-2', conversationId: 'c-1' })).toMatchObject({ state: 'engaged' });
    expect(source.read(instance, { sessionId: 's-2', workflow: 'template' })).toMatchObject({ state: 'engaged' });
    expect(source.read(instance, { sessionId: 's-2', conversationId: 'c-2', workflow: 'other' })).toMatchObject({
      state: 'released',
    });
  });

  test.each([
    ['on for everybody', { on: true, fallthrough: 0 }],
    ['off, with the engaged value as off variation', { on: false, offVariation: 0 }],
    [
      'on for a percentage',
      {
        on: true,
        fallthrough: {
          rollout: {
            variations: [
              { variation: 0, weight: 1 },
              { variation: 1, weight: 99_999 },
            ],
          },
        },
      },
    ],
  ])('a user flag that is %s is untargeted and stops nobody (S11)', async (_what, seed) => {
    const { source } = await dashboard({ key: user.key, ...seed });
    for (const userId of ['u-1', 'offswitch-canary-1'])
      expect(source.read(user, { userId })).toMatchObject({ state: 'unknown', cause: 'untargeted' });
  });
});
