// The vendor's own published cases (@unleash/client-specification), through our source over HTTP and through the evaluator that
// answers for switches: nothing of ours changes an answer.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import names from '@unleash/client-specification/specifications/index.json' with { type: 'json' };
import type { Context } from 'unleash-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HeldFlags, switchEvaluator } from '../src/evaluator.ts';
import { flagDataOf } from '../src/flag-data.ts';
import { type Scripted, scripted } from './vendor.ts';

interface Given {
  readonly description: string;
  readonly context: Readonly<Record<string, unknown>> & { readonly properties?: Readonly<Record<string, unknown>> };
  readonly toggleName: string;
}
interface Specification {
  readonly name: string;
  readonly state: { readonly features?: readonly unknown[] };
  readonly tests?: readonly (Given & { readonly expectedResult: boolean })[];
  readonly variantTests?: readonly (Given & {
    readonly expectedResult: {
      readonly name: string;
      readonly enabled: boolean;
      readonly payload?: { readonly type: string; readonly value: string };
    };
  })[];
}

const folder = join(
  dirname(createRequire(import.meta.url).resolve('@unleash/client-specification/package.json')),
  'specifications',
);
const specifications = (names as readonly string[]).map(
  (file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as Specification,
);
// Two of them are about the streaming protocol of the enterprise edition, and have no set of flags.
const ours = specifications.filter((one) => one.state.features !== undefined);

/** As an application gives it to OpenFeature: flat. */
const flat = ({ properties, ...context }: Given['context']): Record<string, unknown> => ({ ...properties, ...context });
const typeOf = { string: 'string', csv: 'string', number: 'number', json: 'object' } as const;

let vendor: Scripted;
let revision = 1000;
beforeAll(async () => {
  vendor = await scripted();
});
afterAll(() => vendor.close());

test('the cases are there, all but those of the streaming protocol', () => {
  expect(specifications.filter((one) => !ours.includes(one)).map((one) => one.name)).toEqual([
    '19-delta-api-hydration',
    '20-delta-api-events',
  ]);
  const cases = ours.flatMap((one) => [...(one.tests ?? []), ...(one.variantTests ?? [])]);
  expect(cases.length).toBeGreaterThan(250);
});

describe.each(ours)("Unleash's own cases: $name", ({ state, tests = [], variantTests = [] }) => {
  test('answer as they say', async () => {
    vendor.server.override({ etag: `"5c817ed0:${++revision}:v1"`, text: JSON.stringify(state) });
    const source = vendor.source({ metrics: false });
    await source.open();
    const held = new HeldFlags();
    const evaluate = switchEvaluator(held, undefined, 'contract');
    held.hold(flagDataOf(structuredClone(state), undefined));
    for (const { description, context, toggleName, expectedResult } of tests) {
      const { value, errorCode } = source.resolve(toggleName, 'boolean', flat(context));
      // A flag that is not there is "off" for the client; OpenFeature has a word for it.
      expect([description, value ?? (errorCode === 'FLAG_NOT_FOUND' ? false : errorCode)]).toEqual([description, expectedResult]);
      expect([description, evaluate(toggleName, context as Context)]).toEqual([description, expectedResult]);
    }
    for (const { description, context, toggleName, expectedResult } of variantTests) {
      const { payload, enabled, name } = expectedResult;
      const type = typeOf[(payload?.type ?? 'string') as keyof typeof typeOf];
      const { value, variant, errorCode } = source.resolve(toggleName, type, flat(context));
      if (!enabled) expect([description, value]).toEqual([description, undefined]);
      else if (!payload) expect([description, errorCode]).toEqual([description, 'TYPE_MISMATCH']);
      else {
        expect([description, variant]).toEqual([description, name]);
        expect(value).toEqual(
          type === 'object' ? JSON.parse(payload.value) : type === 'number' ? Number(payload.value) : payload.value,
        );
      }
    }
    await source.close();
  });
});
