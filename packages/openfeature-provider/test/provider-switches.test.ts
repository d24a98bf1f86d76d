import type { Reading, SwitchSource } from '@offswitch/core';
import { type MemorySource, manualClock, memorySource } from '@offswitch/testing';
import { type Client, OpenFeature } from '@openfeature/server-sdk';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { KillSwitchProvider } from '../src/index.ts';
import { bound, quiet, switches, withParts } from './world.ts';

beforeAll(quiet);
afterEach(() => OpenFeature.clearProviders());

async function over(source: SwitchSource): Promise<Client> {
  return bound(new KillSwitchProvider({ switches, source }));
}

async function memory(): Promise<{ source: MemorySource; client: Client }> {
  const source = memorySource(switches);
  return { source, client: await over(source) };
}

describe('a switch asked for through OpenFeature', () => {
  test('says as a boolean whether it is engaged, as a string what to do, as an object the whole reading', async () => {
    const { source, client } = await memory();
    expect(await client.getBooleanDetails('killswitch.global', true)).toMatchObject({ value: false, variant: 'released' });
    expect(await client.getStringValue('killswitch.global', 'x')).toBe('run');
    source.engage('killswitch.global', undefined, { reason: 'runaway cost', by: 'ada' });
    expect(await client.getBooleanDetails('killswitch.global', false)).toMatchObject({ value: true, variant: 'engaged' });
    expect(await client.getStringValue('killswitch.global', 'x')).toBe('pause');
    expect(await client.getObjectValue('killswitch.global', {})).toEqual({
      state: 'engaged',
      origin: 'live',
      position: { series: 'memory:test', n: 2 },
      reason: 'runaway cost',
      by: 'ada',
    });
  });

  test('says terminate for a session and pause for a user, whatever the dashboard would like (S1, S12)', async () => {
    const { source, client } = await memory();
    source.engage('killswitch.instance', 's-1');
    source.engage('killswitch.user', 'u-1');
    expect(await client.getStringValue('killswitch.instance', 'run', { sessionId: 's-1' })).toBe('terminate');
    expect(await client.getStringValue('killswitch.user', 'run', { userId: 'u-1' })).toBe('pause');
  });

  test('is a TYPE_MISMATCH as a number', async () => {
    const { client } = await memory();
    expect(await client.getNumberDetails('killswitch.global', 7)).toMatchObject({ value: 7, errorCode: 'TYPE_MISMATCH' });
  });

  test('carries its fixed semantics, its position and its subject as metadata of scalars (S12)', async () => {
    const { source, client } = await memory();
    source.engage('killswitch.user', 'u-1');
    const { flagMetadata } = await client.getBooleanDetails('killswitch.user', false, { userId: 'u-1' });
    expect(flagMetadata).toEqual({
      tier: 'user',
      action: 'pause',
      effect: switches.user?.effect,
      series: 'memory:test',
      flagSetId: 'memory:test',
      origin: 'live',
      version: 2,
      contextId: 'u-1',
    });
    const feature = await client.getBooleanDetails('killswitch.feature.resume-rewrite', false);
    expect(feature.flagMetadata).toMatchObject({ workflow: 'resume-rewrite', contextId: 'resume-rewrite' });
  });

  test('gives an honest reason: STATIC, TARGETING_MATCH, DEFAULT for an untargeted subject, CACHED for old data', async () => {
    const { source, client } = await memory();
    source.engage('killswitch.user', 'u-1');
    const reason = async (key: string, context = {}) => (await client.getBooleanDetails(key, false, context)).reason;
    expect(await reason('killswitch.global')).toBe('STATIC');
    expect(await reason('killswitch.feature.batch-scoring')).toBe('STATIC');
    expect(await reason('killswitch.user', { userId: 'u-1' })).toBe('TARGETING_MATCH');
    expect(await reason('killswitch.user', { userId: 'u-2' })).toBe('DEFAULT');
    source.lose();
    expect(await reason('killswitch.user', { userId: 'u-1' })).toBe('CACHED');
    expect(await reason('killswitch.global')).toBe('CACHED');
  });
});

describe('the subject of a switch', () => {
  test('is the user in userId, else in targetingKey', async () => {
    const { source, client } = await memory();
    source.engage('killswitch.user', 'u-1');
    expect(await client.getBooleanValue('killswitch.user', false, { targetingKey: 'u-1' })).toBe(true);
    expect(await client.getBooleanValue('killswitch.user', false, { targetingKey: 'u-1', userId: 'u-2' })).toBe(false);
  });

  test('is the session in sessionId, else in targetingKey, but never a targetingKey that names the user (S13)', async () => {
    const { source, client } = await memory();
    source.engage('killswitch.instance', 's-1');
    expect(await client.getBooleanValue('killswitch.instance', false, { targetingKey: 's-1' })).toBe(true);
    expect(await client.getBooleanValue('killswitch.instance', false, { targetingKey: 'x', sessionId: 's-1' })).toBe(true);
    expect(await client.getBooleanDetails('killswitch.instance', true, { targetingKey: 'u-1', userId: 'u-1' })).toMatchObject({
      value: true,
      errorCode: 'TARGETING_KEY_MISSING',
    });
  });

  test('reaches a conversation as well as its session', async () => {
    const { source, client } = await memory();
    source.engage('killswitch.instance', 'c-1', { targetKind: 'conversation' });
    const context = { sessionId: 's-1', conversationId: 'c-1' };
    expect(await client.getStringValue('killswitch.instance', 'run', context)).toBe('terminate');
  });

  test('is missing, and said to be, when the context has none of the tier', async () => {
    const { client } = await memory();
    for (const [key, context] of [
      ['killswitch.user', {}],
      ['killswitch.user', { sessionId: 's-1', userId: null }],
      ['killswitch.instance', { userId: 'u-1' }],
    ] as const) {
      expect(await client.getBooleanDetails(key, true, context)).toMatchObject({
        value: true,
        errorCode: 'TARGETING_KEY_MISSING',
      });
    }
  });

  test('is INVALID_CONTEXT when no dashboard could hold the id', async () => {
    const { client } = await memory();
    for (const userId of ['', 7, 'a\nb', 'x'.repeat(257), ['u-1'], true]) {
      expect(await client.getBooleanDetails('killswitch.user', false, { userId })).toMatchObject({
        errorCode: 'INVALID_CONTEXT',
      });
    }
  });
});

describe('a switch that could not be read', () => {
  test.each([
    ['not-ready', 'PROVIDER_NOT_READY'],
    ['not-found', 'FLAG_NOT_FOUND'],
    ['wrong-type', 'PARSE_ERROR'],
    ['untargeted', 'GENERAL'],
    ['stale', 'GENERAL'],
    ['error', 'GENERAL'],
  ] as const)('is the caller’s default with the code of its cause: %s is %s (S5)', async (cause, errorCode) => {
    const { source, client } = await memory();
    source.fail('killswitch.global', { state: 'unknown', cause, message: `because ${cause}` });
    for (const value of [true, false]) {
      const details = await client.getBooleanDetails('killswitch.global', value);
      expect(details).toMatchObject({ value, reason: 'ERROR', errorCode, errorMessage: `because ${cause}` });
      expect(details.variant).toBeUndefined();
      expect(details.flagMetadata).toMatchObject({ tier: 'global', action: 'pause', cause });
    }
  });

  test('is untargeted when a scoped flag was turned on for everybody, and terminates nobody (S11)', async () => {
    const { source, client } = await memory();
    source.turnOn('killswitch.instance');
    source.turnOn('killswitch.user');
    for (const key of ['killswitch.instance', 'killswitch.user']) {
      const details = await client.getStringDetails(key, 'run', { sessionId: 's-1', userId: 'u-1' });
      expect(details).toMatchObject({ value: 'run', errorCode: 'GENERAL' });
      expect(details.errorMessage).toMatch(/untargeted/);
    }
    source.release('killswitch.instance');
    expect(await client.getStringDetails('killswitch.instance', 'x', { sessionId: 's-1' })).toMatchObject({ value: 'run' });
  });

  test('is untargeted for an instance rule on the workflow or the user alone: the canary keeps those (S11)', async () => {
    const source = memorySource(switches);
    const position = { series: 'memory:test', n: 1 };
    const client = await over(
      withParts(source, {
        read: (_, subject) => ({ state: subject.userId === 'u-1' ? 'engaged' : 'released', origin: 'live', position }),
      }),
    );
    expect(await client.getBooleanDetails('killswitch.instance', false, { sessionId: 's-1', userId: 'u-1' })).toMatchObject({
      errorCode: 'GENERAL',
    });
    expect(await client.getBooleanDetails('killswitch.instance', true, { sessionId: 's-1', userId: 'u-2' })).toMatchObject({
      value: false,
      variant: 'released',
    });
  });

  test.each<[string, SwitchSource['read']]>([
    [
      'throws',
      () => {
        throw new Error('broken');
      },
    ],
    ['rejects', () => Promise.reject(new Error('broken'))],
    ['answers nonsense', () => ({ state: 'released' }) as Reading],
    [
      'answers an origin nobody knows',
      () => ({ state: 'released', origin: 'sure', position: { series: 's' } }) as unknown as Reading,
    ],
    ['answers nothing', () => undefined as unknown as Reading],
  ])('is GENERAL, never a release, when the source %s (I13)', async (_, read) => {
    const client = await over(withParts(memorySource(switches), { read }));
    expect(await client.getBooleanDetails('killswitch.global', true)).toMatchObject({ value: true, errorCode: 'GENERAL' });
  });

  test('is GENERAL after the deadline when the source never answers, and leaves no timer', async () => {
    const clock = manualClock();
    const source = withParts(memorySource(switches), { read: () => new Promise(() => undefined) });
    const client = await bound(new KillSwitchProvider({ switches, source, clock, readTimeoutMs: 250 }));
    const details = client.getBooleanDetails('killswitch.global', true);
    await clock.advance(249);
    expect(clock.pending).toBe(1);
    await clock.advance(1);
    expect(await details).toMatchObject({ value: true, errorCode: 'GENERAL' });
    expect(clock.pending).toBe(0);
  });

  test('says so over an asynchronous source just as over a synchronous one', async () => {
    const source = memorySource(switches, { async: true });
    const client = await over(source);
    source.engage('killswitch.instance', 's-1');
    expect(await client.getStringValue('killswitch.instance', 'run', { sessionId: 's-1' })).toBe('terminate');
    source.turnOn('killswitch.instance');
    expect(await client.getStringDetails('killswitch.instance', 'run', { sessionId: 's-1' })).toMatchObject({
      errorCode: 'GENERAL',
    });
  });
});

describe('a flag that is no switch', () => {
  test('is FLAG_NOT_FOUND when the source evaluates no others', async () => {
    const { client } = await memory();
    expect(await client.getStringDetails('checkout.colour', 'red')).toMatchObject({ value: 'red', errorCode: 'FLAG_NOT_FOUND' });
  });

  test('passes through with value, variant, reason, metadata and the caller’s context', async () => {
    const asked: unknown[] = [];
    const source = withParts(memorySource(switches), {
      resolve: (...question) => {
        asked.push(question);
        return { value: 'blue', variant: 'b', reason: 'SPLIT', flagMetadata: { version: 3, owner: 'web', on: true } };
      },
    });
    const client = await over(source);
    expect(await client.getStringDetails('checkout.colour', 'red', { targetingKey: 'u-1', plan: 'pro' })).toEqual({
      flagKey: 'checkout.colour',
      value: 'blue',
      variant: 'b',
      reason: 'SPLIT',
      flagMetadata: { version: 3, owner: 'web', on: true },
    });
    expect(asked).toEqual([['checkout.colour', 'string', { targetingKey: 'u-1', plan: 'pro' }]]);
  });

  test('is TYPE_MISMATCH for a value of another type, and the default with the vendor’s reason for none', async () => {
    const answers: Record<string, unknown> = { text: 'yes', nothing: undefined, zero: 0, nil: null };
    const source = withParts(memorySource(switches), {
      resolve: (key) => ({ value: answers[key], reason: key === 'nothing' ? 'DISABLED' : 'STATIC' }),
    });
    const client = await over(source);
    expect(await client.getBooleanDetails('text', false)).toMatchObject({ value: false, errorCode: 'TYPE_MISMATCH' });
    expect(await client.getObjectDetails('text', {})).toMatchObject({ value: {}, errorCode: 'TYPE_MISMATCH' });
    expect(await client.getNumberDetails('zero', 5)).toMatchObject({ value: 0, reason: 'STATIC' });
    const none = await client.getStringDetails('nothing', 'mine');
    expect(none).toMatchObject({ value: 'mine', reason: 'DISABLED' });
    expect(none.errorCode).toBeUndefined();
  });

  test('keeps the vendor’s error code, and is GENERAL when the vendor throws or hangs', async () => {
    const clock = manualClock();
    const source = withParts(memorySource(switches), {
      resolve: (key) => {
        if (key === 'throws') throw new Error('broken');
        if (key === 'hangs') return new Promise(() => undefined);
        return { errorCode: 'INVALID_CONTEXT', errorMessage: 'no plan' };
      },
    });
    const client = await bound(new KillSwitchProvider({ switches, source, clock }));
    expect(await client.getStringDetails('coded', 'd')).toMatchObject({ errorCode: 'INVALID_CONTEXT', errorMessage: 'no plan' });
    expect(await client.getStringDetails('throws', 'd')).toMatchObject({ value: 'd', errorCode: 'GENERAL' });
    const hanging = client.getStringDetails('hangs', 'd');
    await clock.advance(1000);
    expect(await hanging).toMatchObject({ value: 'd', errorCode: 'GENERAL' });
  });
});
