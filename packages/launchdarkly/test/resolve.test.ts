// resolve.test.ts: the application's own flags come through as the SDK answers them, in OpenFeature's words.
//
// The property is the rule that nothing of ours changes an answer; the cases name what a person would look up.

import * as nine from '@launchdarkly/node-server-sdk';
import type { SwitchSource } from '@offswitch/core';
import { type LdClient, launchDarkly } from '@offswitch/launchdarkly';
import { type LaunchDarklyServer, type LdFlagSeed, openLaunchDarklyServer } from '@offswitch/testing/launchdarkly';
import fc from 'fast-check';
import seven from 'launchdarkly-node-server-sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const quiet = { error() {}, warn() {}, info() {}, debug() {} };

describe.each(['9', '7'] as const)('a flag that is no switch, SDK %s', (version) => {
  let server: LaunchDarklyServer;
  let source: SwitchSource;
  beforeAll(async () => {
    server = await openLaunchDarklyServer();
    const url = server.url;
    const sdk = version === '9' ? nine : seven;
    source = launchDarkly({ sdkKey: server.sdkKey, sdk, baseUri: url, streamUri: url, eventsUri: url });
    await source.open();
  });
  afterAll(async () => {
    await source.close();
    await server.close();
  });
  const put = async (flag: LdFlagSeed): Promise<void> => {
    server.setFlag(flag);
    await source.refresh!();
  };

  test('is answered as the bare SDK answers it, whatever the flag and the context', async () => {
    const options = { baseUri: server.url, streamUri: server.url, sendEvents: false, diagnosticOptOut: true, logger: quiet };
    const made = version === '9' ? nine.init(server.sdkKey, options) : seven.init(server.sdkKey, options);
    await made.waitForInitialization({ timeout: 5 });
    const bare: LdClient = made;
    const value = fc.oneof(fc.boolean(), fc.string(), fc.integer(), fc.constant(null), fc.dictionary(fc.string(), fc.integer()));
    const key = fc.constantFrom('u-1', 'u-2', 's-1', 'é', '__proto__');
    const index = fc.integer({ min: 0, max: 2 });
    const kind = fc.constantFrom('user', 'session', 'org');
    const clause = fc.record({
      contextKind: kind,
      attribute: fc.constantFrom('key', 'plan', 'age', '/a/b', ''),
      op: fc.constantFrom('in', 'startsWith', 'contains', 'greaterThan', 'segmentMatch'),
      values: fc.array(fc.oneof(key, fc.integer(), fc.constant('gold')), { maxLength: 3 }),
      negate: fc.boolean(),
    });
    const flag = fc.record({
      key: fc.constant('any'),
      variations: fc.array(value, { minLength: 1, maxLength: 3 }),
      on: fc.boolean(),
      fallthrough: fc.oneof(
        index,
        fc.constant({
          rollout: {
            variations: [
              { variation: 0, weight: 40_000 },
              { variation: 1, weight: 60_000 },
            ],
          },
        }),
      ),
      offVariation: fc.option(index),
      targets: fc.uniqueArray(fc.record({ contextKind: kind, values: fc.array(key, { maxLength: 3 }), variation: index }), {
        selector: (one) => one.contextKind,
      }),
      rules: fc.array(fc.record({ clauses: fc.array(clause, { maxLength: 2 }), variation: index }), { maxLength: 3 }),
      prerequisites: fc.constantFrom([], [{ key: 'nobody', variation: 0 }]),
    });
    const attributes = fc.record({ plan: fc.constantFrom('gold', 'free'), age: fc.integer() }, { requiredKeys: [] });
    const context = fc.oneof(
      fc
        .tuple(key, attributes)
        .map(([id, more]) => ({ asked: { targetingKey: id, ...more }, bare: { kind: 'user', key: id, ...more } })),
      fc.tuple(key, key).map(([user, session]) => ({
        asked: { kind: 'multi', user: { targetingKey: user }, session: { key: session } },
        bare: { kind: 'multi', user: { key: user }, session: { key: session } },
      })),
      key.map((id) => ({ asked: { kind: 'org', targetingKey: id }, bare: { kind: 'org', key: id } })),
    );
    await fc.assert(
      fc.asyncProperty(flag, context, async (seed, { asked, bare: own }) => {
        const { version: n } = server.setFlag(seed as LdFlagSeed).config;
        await source.refresh!();
        let state = await bare.allFlagsState({ kind: 'user', key: 'u' });
        for (let turn = 0; turn < 500; turn++) {
          const all = state.toJSON() as { $flagsState?: Record<string, { version: number }> };
          if (all.$flagsState?.any?.version === n) break;
          await new Promise((resolve) => setTimeout(resolve, 1));
          state = await bare.allFlagsState({ kind: 'user', key: 'u' });
        }
        const expected = await bare.variationDetail('any', own, undefined);
        const index = expected.variationIndex ?? undefined;
        const types = ['boolean', 'string', 'number', 'object'] as const;
        for (const type of types) {
          const got = await source.resolve!('any', type, asked);
          expect(got.flagMetadata?.reasonKind).toBe(expected.reason?.kind);
          if (expected.reason?.kind === 'ERROR') expect(got.errorCode).not.toBe(undefined);
          else if (index === undefined) expect([got.value, got.errorCode]).toEqual([undefined, undefined]);
          else if (expected.value === null || typeof expected.value === type) {
            expect([got.value, got.variant, got.errorCode]).toEqual([expected.value, String(index), undefined]);
          } else expect(got.errorCode).toBe('TYPE_MISMATCH');
        }
      }),
      { numRuns: 60 },
    );
    bare.close();
  });

  test.each([
    ['off', { on: false }, { value: false, variant: '1', reason: 'DISABLED' }],
    ['on by default', { on: true }, { value: true, variant: '0', reason: 'DEFAULT' }],
    [
      'targeted',
      { on: true, fallthrough: 1, targets: [{ contextKind: 'user', values: ['u-1'], variation: 0 }] },
      { value: true, reason: 'TARGETING_MATCH' },
    ],
    ['off with no off variation', { on: false, offVariation: null }, { reason: 'DISABLED' }],
    [
      'behind a prerequisite that is not there',
      { on: true, prerequisites: [{ key: 'nobody', variation: 0 }] },
      { value: false, reason: 'DEFAULT', flagMetadata: { reasonKind: 'PREREQUISITE_FAILED', prerequisiteKey: 'nobody' } },
    ],
  ] as const)('%s has reason, variant and metadata', async (_what, seed, expected) => {
    await put({ key: 'own', ...seed });
    expect(await source.resolve!('own', 'boolean', { targetingKey: 'u-1' })).toMatchObject(expected);
  });

  test('in a rule names the rule in its metadata', async () => {
    await put({
      key: 'ruled',
      on: true,
      fallthrough: 1,
      rules: [{ variation: 0, clauses: [{ contextKind: 'user', attribute: 'plan', op: 'in', values: ['gold'] }] }],
    });
    const resolution = await source.resolve!('ruled', 'boolean', { targetingKey: 'u-1', plan: 'gold' });
    expect(resolution).toMatchObject({ value: true, reason: 'TARGETING_MATCH', flagMetadata: { ruleIndex: 0 } });
    expect(resolution.flagMetadata?.ruleId).toBe(server.flag('ruled')?.config.rules[0]?._id);
  });

  test('is evaluated for a session of ours, which LaunchDarkly’s own provider would pass over', async () => {
    await put({
      key: 'per-session',
      on: true,
      fallthrough: 1,
      targets: [{ contextKind: 'session', values: ['s-1'], variation: 0 }],
    });
    const asked = { targetingKey: 'u-1', userId: 'u-1', sessionId: 's-1' };
    expect(await source.resolve!('per-session', 'boolean', asked)).toMatchObject({ value: true });
    expect(await source.resolve!('per-session', 'boolean', { ...asked, sessionId: 's-2' })).toMatchObject({ value: false });
  });

  test('for nobody at all is TARGETING_KEY_MISSING', async () => {
    await put({ key: 'own' });
    expect(await source.resolve!('own', 'boolean', {})).toMatchObject({ errorCode: 'TARGETING_KEY_MISSING' });
    expect(await source.resolve!('own', 'boolean', { kind: 'multi', user: {} })).toMatchObject({
      errorCode: 'TARGETING_KEY_MISSING',
    });
  });
});
