// source-contract-resolve.ts: the application's other flags, which pass through a source as its vendor evaluates them.

import type { FlagType, Resolution, SwitchSource } from '@offswitch/core';
import { expect, test } from 'vitest';
import type { ContractKit } from './source-contract-kit.ts';
import type { SourceHarness } from './source-harness.ts';

type WithFlags = SourceHarness & Required<Pick<SourceHarness, 'putFlag'>>;

const values = {
  boolean: [true, false],
  string: ['blue', ''],
  number: [7, 0, -1.5],
  object: [{ theme: 'dark', sizes: [1, 2] }, {}],
} as const satisfies Record<FlagType, readonly (boolean | string | number | object)[]>;
const types = Object.keys(values) as FlagType[];

export function testResolve({ opened, made, standardReasons, everyFlagIsBoolean }: ContractKit): void {
  const prepared = async (skip: (note: string) => void): Promise<{ harness: WithFlags; ask: Ask }> => {
    const harness = await opened();
    if (!harness.putFlag) skip('the harness holds no flags but switches');
    if (!harness.source.resolve) skip('the source resolves no other flags');
    return { harness: harness as WithFlags, ask: asking(harness.source) };
  };

  for (const type of types) {
    test(`passes a ${type} flag through, falsy values too, with a reason and without an error`, async ({ skip }) => {
      const { harness, ask } = await prepared(skip);
      for (const [at, value] of values[type].entries()) {
        await harness.putFlag(`other-${type}-${at}`, { value });
        const resolution = await ask(`other-${type}-${at}`, type);
        expect(resolution.value).toEqual(value);
        expect(resolution.errorCode).toBe(undefined);
        expect(resolution.reason).toMatch(standardReasons ? /^[A-Z_]+$/ : /\S/);
      }
    });
  }

  test('says which variant it was, and keeps metadata to plain values', async ({ skip }) => {
    const { harness, ask } = await prepared(skip);
    await harness.putFlag('other', { value: 'blue' });
    const { variant, flagMetadata } = await ask('other', 'string');
    if (variant !== undefined) expect(variant).toMatch(/\S/);
    for (const value of Object.values(flagMetadata ?? {})) expect(['string', 'number', 'boolean']).toContain(typeof value);
  });

  test('gives a target what is theirs, by the targeting key', async ({ skip }) => {
    const { harness, ask } = await prepared(skip);
    await harness.putFlag('other', { value: 'blue', targeted: { targetingKey: 't-1', value: 'red' } });
    const hit = await ask('other', 'string', { targetingKey: 't-1' });
    expect(hit.value).toBe('red');
    expect(hit.reason).toMatch(standardReasons ? /^TARGETING_MATCH$/ : /\S/);
    expect((await ask('other', 'string', { targetingKey: 't-2' })).value).toBe('blue');
  });

  test('gives no value of another type than was asked for: TYPE_MISMATCH', async ({ skip }) => {
    const { harness, ask } = await prepared(skip);
    for (const type of types) await harness.putFlag(`other-${type}`, { value: values[type][0] });
    for (const type of types) {
      for (const wanted of types) {
        if (wanted === type || (wanted === 'boolean' && everyFlagIsBoolean)) continue;
        const { value, errorCode } = await ask(`other-${type}`, wanted);
        expect([type, wanted, value, errorCode]).toEqual([type, wanted, undefined, 'TYPE_MISMATCH']);
      }
    }
  });

  test('says FLAG_NOT_FOUND for a flag nobody made, and has no value for one named as what every object has', async ({
    skip,
  }) => {
    const { ask } = await prepared(skip);
    for (const type of types) {
      expect(await ask('nobody-made-this', type)).toMatchObject({ errorCode: 'FLAG_NOT_FOUND' });
      for (const key of ['nobody-made-this', '__proto__', 'constructor', 'toString']) {
        const { value } = await ask(key, type);
        expect([key, type, value]).toEqual([key, type, undefined]);
      }
    }
  });

  test('never throws from resolve, whatever the context (I13)', async ({ skip }) => {
    const { harness, ask } = await prepared(skip);
    await harness.putFlag('other', { value: 'blue', targeted: { targetingKey: 't-1', value: 'red' } });
    const odd: unknown[] = [
      {},
      { targetingKey: '' },
      { targetingKey: 7, kind: 'multi' },
      { targetingKey: 't-2', nested: { deep: { deeper: [null] } }, when: new Date(0), nothing: null },
      Object.create(null),
      { targetingKey: 'x'.repeat(100_000) },
    ];
    for (const context of odd) {
      const resolution = await ask('other', 'string', context as Record<string, unknown>);
      expect(resolution.errorCode === undefined ? resolution.value : resolution.value === undefined).toBe(
        resolution.errorCode === undefined ? 'blue' : true,
      );
    }
  });

  test('goes on resolving from what it knew while the vendor is lost', async ({ skip }) => {
    const { harness, ask } = await prepared(skip);
    await harness.putFlag('other', { value: 'blue' });
    await harness.lose();
    expect((await ask('other', 'string')).value).toBe('blue');
  });

  test('resolves nothing before it is opened and after it was closed: PROVIDER_NOT_READY', async ({ skip }) => {
    const { source } = await made();
    if (!source.resolve) skip('the source resolves no other flags');
    const ask = asking(source);
    expect(await ask('other', 'string')).toMatchObject({ errorCode: 'PROVIDER_NOT_READY' });
    await source.open();
    await source.close();
    expect(await ask('other', 'string')).toMatchObject({ errorCode: 'PROVIDER_NOT_READY' });
  });
}

type Ask = (key: string, type: FlagType, context?: Readonly<Record<string, unknown>>) => Promise<Resolution>;

const asking =
  (source: SwitchSource): Ask =>
  async (key, type, context = { targetingKey: 'someone' }) =>
    source.resolve!(key, type, context);
