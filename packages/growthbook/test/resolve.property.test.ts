// resolve.property.test.ts: what the application asks for passes through unchanged. Whatever the features, conditions and
// attributes, `resolve` answers what the vendor's own evaluator answers.

import { type FeatureDefinition, type FeatureResult, GrowthBookClient } from '@growthbook/growthbook';
import type { FlagType, Resolution } from '@offswitch/core';
import { type GrowthBookSource, growthBook } from '@offswitch/growthbook';
import { type GrowthBookServer, startGrowthBookServer } from '@offswitch/testing/growthbook';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { quick } from './harness.ts';

let server: GrowthBookServer;
let source: GrowthBookSource;
beforeAll(async () => {
  server = await startGrowthBookServer({ streaming: false });
  server.setFeature('killswitch.canary', { defaultValue: true });
  // Nothing is fetched but by `refresh`, so that each run reads its own features.
  source = growthBook({
    apiHost: server.url,
    clientKey: server.clientKey,
    ...quick,
    reconcileMs: 500_000,
    staleAfterMs: 1_000_000,
    requestTimeoutMs: 60_000,
  });
  await source.open();
});
afterAll(async () => {
  await source.close();
  await server.close();
});

const keys = ['a', 'b', 'c'] as const;
const attributeNames = ['id', 'country', 'age', 'beta', 'tags', 'company'] as const;
const scalar = fc.oneof(
  fc.boolean(),
  fc.integer({ min: -5, max: 5 }),
  fc.constantFrom('', 'u-1', 'u-2', 'de', '10'),
  fc.constant(null),
);
const value = fc.oneof(scalar, fc.record({ theme: fc.constantFrom('dark', 'light') }), fc.array(scalar, { maxLength: 3 }));
const comparison = fc.oneof(
  scalar,
  fc.record({ $in: fc.array(scalar, { maxLength: 4 }) }),
  fc.record({ $nin: fc.array(scalar, { maxLength: 4 }) }),
  fc.record({ $gt: scalar }),
  fc.record({ $lte: scalar }),
  fc.record({ $ne: scalar }),
  fc.record({ $exists: fc.boolean() }),
  fc.record({ $size: fc.nat(3) }),
  fc.record({ $elemMatch: fc.record({ $eq: scalar }) }),
  fc.record({ $regex: fc.constantFrom('^u-', '[0-9]+$', '') }),
  fc.record({ $inGroup: fc.constantFrom('group', 'nobody') }),
  fc.record({ $not: fc.record({ $eq: scalar }) }),
);
const plain = fc.dictionary(fc.constantFrom(...attributeNames, 'company.name'), comparison, { maxKeys: 3 });
const condition = fc.oneof(
  { weight: 3, arbitrary: plain },
  fc.record({ $or: fc.array(plain, { maxLength: 3 }) }),
  fc.record({ $and: fc.array(plain, { maxLength: 3 }) }),
  fc.record({ $not: plain }),
);
const parent = fc.record({
  id: fc.constantFrom(...keys, 'nobody-made-this'),
  condition: fc.record({ value: comparison }),
  gate: fc.boolean(),
});
const rule = fc.oneof(
  fc.record({ force: value }),
  fc.record({ force: value, condition }),
  fc.record({ force: value, condition, coverage: fc.constantFrom(0, 0.3, 1), hashAttribute: fc.constantFrom('id', 'country') }),
  fc.record({ force: value, parentConditions: fc.array(parent, { minLength: 1, maxLength: 2 }) }),
  fc.record({
    variations: fc.array(value, { minLength: 2, maxLength: 3 }),
    key: fc.constantFrom('exp-1', 'exp-2'),
    coverage: fc.constantFrom(0.5, 1),
  }),
  fc.record({ variations: fc.array(value, { minLength: 2, maxLength: 3 }), condition, hashAttribute: fc.constant('id') }),
);
const feature = fc.record(
  { defaultValue: value, rules: fc.array(rule, { maxLength: 4 }) },
  { requiredKeys: [] },
) as fc.Arbitrary<FeatureDefinition>;
const features = fc.dictionary(fc.constantFrom(...keys), feature, { maxKeys: 3 });
const attributes = fc.record(
  {
    id: fc.constantFrom('u-1', 'u-2', 'u-3'),
    country: fc.constantFrom('de', 'fr', ''),
    age: fc.oneof(fc.integer({ min: -5, max: 99 }), fc.constant('10')),
    beta: fc.boolean(),
    tags: fc.array(fc.constantFrom('x', 'y', 'u-1'), { maxLength: 3 }),
    company: fc.record({ name: fc.constantFrom('u-1', 'acme') }),
  },
  { requiredKeys: [] },
);

const types: readonly FlagType[] = ['boolean', 'string', 'number', 'object'];

/** What the answer must be, from the SDK's own. */
function expected(result: FeatureResult | 'throws', type: FlagType, isThere: boolean): Partial<Resolution> {
  if (!isThere) return { errorCode: 'FLAG_NOT_FOUND' };
  if (result === 'throws') return { errorCode: 'PARSE_ERROR' };
  if (result.source === 'cyclicPrerequisite') return { errorCode: 'GENERAL' };
  if (result.value === null) return {};
  if (typeof result.value !== type) return { errorCode: 'TYPE_MISMATCH' };
  return { value: result.value, ...(result.experimentResult ? { variant: result.experimentResult.key } : {}) };
}

function answerOf(sdk: GrowthBookClient, key: string, attributes: Record<string, unknown>): FeatureResult | 'throws' {
  try {
    return sdk.evalFeature<unknown, string>(key, { attributes });
  } catch {
    return 'throws';
  }
}

describe('a flag that is no switch', () => {
  test('is answered as the SDK answers it: value, variant, and none where it has none', { timeout: 60_000 }, async () => {
    let seenValues = 0;
    await fc.assert(
      fc.asyncProperty(features, fc.array(attributes, { minLength: 1, maxLength: 4 }), async (made, people) => {
        const all = { 'killswitch.canary': { defaultValue: true }, ...made };
        const savedGroups = { group: ['u-1', 'de'] };
        const payload = { ...server.payload(), features: all, savedGroups, dateUpdated: new Date(++clock).toISOString() };
        server.override(payload);
        await source.refresh();
        server.override(undefined);
        expect(source.health.state).toBe('fresh');
        const sdk = new GrowthBookClient().initSync({ payload: JSON.parse(JSON.stringify(payload)) });
        for (const person of people) {
          for (const key of keys) {
            const theirs = answerOf(sdk, key, person);
            for (const type of types) {
              const ours = source.resolve(key, type, person);
              const { value: gotten, variant, errorCode } = ours;
              const shown = {
                ...(gotten === undefined ? {} : { value: gotten }),
                ...(variant === undefined ? {} : { variant }),
                ...(errorCode === undefined ? {} : { errorCode }),
              };
              expect(shown).toEqual(expected(theirs, type, Object.hasOwn(made, key)));
              if (gotten !== undefined) seenValues++;
            }
          }
        }
      }),
      { numRuns: 300 },
    );
    expect(seenValues).toBeGreaterThan(500);
  });

  test("takes the targeting key for GrowthBook's id, unless the context has an id of its own", async () => {
    server.override({
      ...server.payload(),
      dateUpdated: new Date(++clock).toISOString(),
      features: {
        'killswitch.canary': { defaultValue: true },
        whose: { defaultValue: 'nobody', rules: [{ condition: { id: 'u-1' }, force: 'mine' }] },
        since: { defaultValue: 'no', rules: [{ condition: { at: { $gt: '2026-01-01' } }, force: 'yes' }] },
      },
    });
    await source.refresh();
    server.override(undefined);
    expect(source.resolve('whose', 'string', { targetingKey: 'u-1' })).toMatchObject({
      value: 'mine',
      reason: 'TARGETING_MATCH',
    });
    expect(source.resolve('whose', 'string', { targetingKey: 'u-1', id: 'u-2' })).toMatchObject({
      value: 'nobody',
      reason: 'DEFAULT',
    });
    expect(source.resolve('since', 'string', { at: new Date('2026-06-01') }).value).toBe('yes');
  });

  test("tells the application's own callbacks of its flags, and of no switch", async () => {
    const used: string[] = [];
    const own = growthBook({
      apiHost: server.url,
      clientKey: server.clientKey,
      ...quick,
      application: { onFeatureUsage: (key) => void used.push(key), globalAttributes: { plan: 'pro' } },
    });
    server.setFeature('plan', { defaultValue: 'none', rules: [{ condition: { plan: 'pro' }, force: 'pro' }] });
    await own.open();
    expect(own.resolve('plan', 'string', {}).value).toBe('pro');
    own.read({ ...switchFlag, key: 'killswitch.canary' }, {});
    await own.close();
    expect(used).toEqual(['plan']);
  });
});

let clock = Date.now() + 3_600_000;
const switchFlag = {
  key: '',
  tier: 'global',
  action: 'pause',
  effect: '',
  notice: '',
  authorized: ['on-call'],
  engagedWhen: true,
  whenUnknown: 'hold',
  unattended: false,
} as const;
