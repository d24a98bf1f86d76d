// Nothing of ours changes an answer: the application's other flags, through our source, against a bare client of the vendor's
// over the same data. The cases are generated here.

import type { FlagType } from '@offswitch/core';
import fc from 'fast-check';
import { type ClientFeaturesResponse, type Context, InMemStorageProvider, Unleash } from 'unleash-client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { contextOfEvaluation, resolveFlag } from '../src/resolve.ts';
import { type Scripted, scripted } from './vendor.ts';

type Features = ClientFeaturesResponse['features'];

const ids = ['u-1', 'u-2', ' u-3', 'ada@example.com', '7', 'ÅÄÖ', ''] as const;
const id = fc.constantFrom(...ids);
const field = fc.constantFrom(
  'userId',
  'sessionId',
  'appName',
  'environment',
  'region',
  'age',
  'version',
  'currentTime',
  '__proto__',
);
const listed = fc.record({
  contextName: field,
  operator: fc.constantFrom('IN', 'NOT_IN', 'STR_STARTS_WITH', 'STR_ENDS_WITH', 'STR_CONTAINS'),
  values: fc.array(id, { maxLength: 4 }),
  inverted: fc.boolean(),
  caseInsensitive: fc.boolean(),
});
const single = fc.record({
  contextName: field,
  operator: fc.constantFrom(
    'NUM_EQ',
    'NUM_GT',
    'NUM_LTE',
    'SEMVER_EQ',
    'SEMVER_GT',
    'DATE_AFTER',
    'DATE_BEFORE',
    'REGEX',
    'UNHEARD_OF',
  ),
  value: fc.constantFrom('7', '18.5', '1.2.3', 'v1', '2026-01-01T00:00:00Z', '^u-', '[', ''),
  values: fc.constant([] as string[]),
  inverted: fc.boolean(),
});
const payload = fc.oneof(
  fc.record({ type: fc.constant('string'), value: fc.string() }),
  fc.record({ type: fc.constant('csv'), value: fc.constantFrom('a,b', '') }),
  fc.record({ type: fc.constant('number'), value: fc.constantFrom('7', '0', '-1.5', 'abc', '') }),
  fc.record({ type: fc.constant('json'), value: fc.constantFrom('{"a":1}', '[1]', '7', 'null', '{') }),
);
const variant = fc.record(
  {
    name: fc.constantFrom('a', 'b', 'c'),
    weight: fc.integer({ min: 0, max: 1000 }),
    stickiness: fc.constantFrom('default', 'userId', 'region'),
    payload,
  },
  { requiredKeys: ['name', 'weight'] },
);
const strategy = fc.record(
  {
    name: fc.constantFrom('default', 'flexibleRollout', 'userWithId', 'gradualRolloutUserId', 'fullMoon'),
    parameters: fc.record({
      rollout: fc.constantFrom('0', '1', '50', '100'),
      percentage: fc.constantFrom('0', '50', '100'),
      stickiness: fc.constantFrom('default', 'random', 'userId', 'region'),
      groupId: fc.constantFrom('g', 'h'),
      userIds: fc.constantFrom('u-1,u-2', '', '7'),
    }),
    constraints: fc.array(fc.oneof(listed, single), { maxLength: 2 }),
    segments: fc.subarray([1, 2, 9]),
    variants: fc.array(variant, { maxLength: 3 }),
  },
  { requiredKeys: ['name', 'parameters'] },
);
const keys = ['flag-a', 'flag-b', '__proto__', 'constructor', 'flag.d'] as const;
const feature = (name: string) =>
  fc.record(
    {
      name: fc.constant(name),
      type: fc.constant('release'),
      enabled: fc.boolean(),
      impressionData: fc.boolean(),
      strategies: fc.array(strategy, { maxLength: 3 }),
      variants: fc.array(variant, { maxLength: 3 }),
      dependencies: fc.array(fc.record({ feature: fc.constantFrom('flag-b', 'nobody'), enabled: fc.boolean() }), {
        maxLength: 1,
      }),
    },
    { requiredKeys: ['name', 'enabled', 'strategies'] },
  );
const dataSet = fc.record({
  version: fc.constant(2),
  features: fc.tuple(...keys.map(feature)).chain((all) => fc.subarray(all)),
  segments: fc.constant([
    { id: 1, name: 's1', constraints: [{ contextName: 'userId', operator: 'IN', values: ['u-1'] }] },
    { id: 2, name: 's2', constraints: [] },
  ]),
});
const context = fc.record(
  {
    targetingKey: id,
    userId: id,
    sessionId: id,
    remoteAddress: fc.constantFrom('10.0.0.1', '::1'),
    region: fc.oneof(id, fc.integer(), fc.boolean()),
    age: fc.oneof(fc.integer(), fc.constant('18.5')),
    version: fc.constantFrom('1.2.3', '2.0.0'),
    currentTime: fc.constantFrom(new Date('2026-06-01T00:00:00Z'), '2025-06-01T00:00:00Z', 'not a date'),
    nested: fc.constant({ deep: 1 }),
  },
  { requiredKeys: [] },
);

/** What the application would pass its own client. */
function translated(given: Record<string, unknown>): Context {
  const text = (value: unknown) => (typeof value === 'boolean' ? String(value) : value) as string | number;
  const at = given.currentTime === undefined ? undefined : new Date(given.currentTime as string);
  const user = given.userId ?? given.targetingKey;
  const properties = Object.fromEntries(
    ['region', 'age', 'version'].filter((name) => given[name] !== undefined).map((name) => [name, text(given[name])]),
  );
  return {
    ...(user === undefined ? {} : { userId: user as string }),
    ...(given.sessionId === undefined ? {} : { sessionId: given.sessionId as string }),
    ...(given.remoteAddress === undefined ? {} : { remoteAddress: given.remoteAddress as string }),
    ...(at && !Number.isNaN(at.getTime()) ? { currentTime: at } : {}),
    properties,
  };
}

let vendor: Scripted;
beforeAll(async () => {
  vendor = await scripted();
  // Where nobody is there to stick to, the client rolls dice: the same ones for both.
  vi.spyOn(Math, 'random').mockReturnValue(0.42);
});
afterAll(() => {
  vi.restoreAllMocks();
  return vendor.close();
});

async function bare(data: unknown): Promise<Unleash> {
  const client = new Unleash({
    appName: 'contract',
    url: 'http://localhost/never-asked',
    refreshInterval: 0,
    disableMetrics: true,
    storageProvider: new InMemStorageProvider(),
    bootstrap: { data: (data as { features: Features }).features, segments: (data as { segments: never[] }).segments },
    skipInstanceCountWarning: true,
  });
  client.on('error', () => {});
  await new Promise<void>((resolve) => client.once('ready', () => resolve()));
  return client;
}

const types: readonly FlagType[] = ['boolean', 'string', 'number', 'object'];
let revision = 1000;

describe("the application's other flags", () => {
  test('get the answer that the bare client gives, in every data set and context', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(dataSet, fc.array(context, { minLength: 1, maxLength: 4 }), async (data, contexts) => {
        // Through the whole source, over HTTP, as an application gets them.
        fc.pre(data.features.length > 0);
        vendor.server.override({ etag: `"5c817ed0:${++revision}:v1"`, text: JSON.stringify(data) });
        const source = vendor.source({ metrics: false });
        await source.open();
        const client = await bare(JSON.parse(JSON.stringify(data)));
        for (const given of contexts) {
          for (const key of keys) {
            const own = translated(given);
            const enabled = client.isEnabled(key, own, false);
            const answer = client.getVariant(key, own);
            const isThere = data.features.some((one) => one.name === key);
            for (const type of types) {
              const { value, variant: name, errorCode } = source.resolve(key, type, given);
              if (!isThere) expect(errorCode).toBe('FLAG_NOT_FOUND');
              else if (type === 'boolean') expect(value).toBe(enabled);
              else if (!answer.enabled) expect([value, name]).toEqual([undefined, undefined]);
              else if (value !== undefined) {
                expect(name).toBe(answer.name);
                expect(type === 'object' ? value : String(value)).toEqual(
                  type === 'object'
                    ? JSON.parse(answer.payload!.value)
                    : type === 'number'
                      ? String(Number(answer.payload!.value))
                      : answer.payload!.value,
                );
              }
            }
          }
        }
        client.destroy();
        await source.close();
      }),
      { numRuns: 150 },
    );
  });

  test('never throw, whatever the context (I13)', () => {
    const client = {
      isEnabled: () => true,
      getVariant: () => ({ name: 'a', enabled: true }),
      getFeatureToggleDefinition: () => ({ name: 'x', enabled: true, variants: [{}] }),
    };
    fc.assert(
      fc.property(fc.anything(), fc.constantFrom(...types), (given, type) => {
        const answer = resolveFlag(client as never, 'x', type, given as Record<string, unknown>);
        expect(typeof answer).toBe('object');
      }),
    );
  });

  test.each([
    ['string', { type: 'string', value: '' }, ''],
    ['string', { type: 'csv', value: 'a,b' }, 'a,b'],
    ['number', { type: 'number', value: '0' }, 0],
    ['number', { type: 'number', value: '-1.5' }, -1.5],
    ['object', { type: 'json', value: '{}' }, {}],
    ['object', { type: 'json', value: '[1]' }, [1]],
    ['number', { type: 'number', value: 'abc' }, 'PARSE_ERROR'],
    ['number', { type: 'number', value: '' }, 'PARSE_ERROR'],
    ['object', { type: 'json', value: '{' }, 'PARSE_ERROR'],
    ['object', { type: 'json', value: '7' }, 'TYPE_MISMATCH'],
    ['string', { type: 'json', value: '{}' }, 'TYPE_MISMATCH'],
    ['number', { type: 'string', value: '7' }, 'TYPE_MISMATCH'],
    ['object', { type: 'string', value: '{}' }, 'TYPE_MISMATCH'],
  ] as const)('asked for a %s, a variant with %j is %j', (type, given, wanted) => {
    const client = {
      isEnabled: () => true,
      getVariant: () => ({ name: 'a', enabled: true, payload: given }),
      getFeatureToggleDefinition: () => ({ name: 'x', enabled: true, variants: [{}] }),
    };
    const { value, errorCode } = resolveFlag(client as never, 'x', type, {});
    expect(errorCode ?? value).toEqual(wanted);
  });

  test('have the targeting key for a user id, unless one is given', () => {
    expect(contextOfEvaluation({ targetingKey: 't', plan: true }).userId).toBe('t');
    expect(contextOfEvaluation({ targetingKey: 't', userId: 'u', plan: true })).toMatchObject({
      userId: 'u',
      properties: { plan: 'true' },
    });
  });
});
