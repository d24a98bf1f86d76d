// evaluation-steps.ts: the words of the evaluation, error, metadata and hook scenarios.

import { StandardResolutionReasons } from '@openfeature/server-sdk';
import { expect } from 'vitest';
import { settle } from '../world.ts';
import type { Step } from './feature.ts';
import { cast, type World } from './scenario-world.ts';

const details = (world: World) => {
  if (!world.details) throw new Error('nothing was evaluated', { cause: world.thrown });
  return world.details;
};

const givens: readonly Step<World>[] = [
  [
    /^an? (\w+)-flag with key "([^"]*)" and a (?:default|fallback) value "(.*)"$/,
    (world, [type = '', key = '', value = '']) => {
      world.flag = { type: type.toLowerCase(), key, value: cast(type, value) };
    },
  ],
  [
    /^a context containing a key "([^"]*)", with type "([^"]*)" and with value "(.*)"$/,
    (world, [key = '', type = '', value = '']) => {
      world.context[key] = cast(type, value);
    },
  ],
  [
    /^a context containing a key "([^"]*)" with null value$/,
    (world, [key = '']) => {
      world.context[key] = null;
    },
  ],
  [
    /^a context containing a targeting key with value "(.*)"$/,
    (world, [value = '']) => {
      world.context.targetingKey = value;
    },
  ],
  [
    /^an evaluation context with modifiable data$/,
    (world) => {
      world.context.nested = { list: ['a'] };
    },
  ],
  [/^a client with added hook$/, (world) => void world.client.addHooks(world.recordingHook())],
  [/^evaluation options containing specific hooks$/, (world) => void world.hooks.push(world.recordingHook())],
];

const whens: readonly Step<World>[] = [
  [/^the flag was evaluated with details(?: using the evaluation options)?$/, (world) => world.evaluate()],
  [
    /^the flag was evaluated with details asynchronously$/,
    async (world) => {
      const pending = world.evaluate();
      expect(world.details).toBeUndefined();
      await pending;
    },
  ],
  [
    /^the resolved value is remembered$/,
    (world) => {
      world.remembered = details(world).value;
    },
  ],
];

const thens: readonly Step<World>[] = [
  [
    /^the resolved details value should be "(.*)"$/,
    (world, [value = '']) => expect(details(world).value).toEqual(cast(world.flag.type, value)),
  ],
  [/^the resolved details value should have changed$/, (world) => expect(details(world).value).not.toEqual(world.remembered)],
  [
    /^the resolved object value should contain$/,
    (world, _, [, ...rows]) => {
      for (const [key = '', type = '', value = ''] of rows) expect(details(world).value).toHaveProperty([key], cast(type, value));
    },
  ],
  [/^the reason should be "(.*)"$/, (world, [reason]) => expect(details(world).reason).toBe(reason)],
  [/^the variant should be "(.*)"$/, (world, [variant]) => expect(details(world).variant).toBe(variant)],
  [/^the flag key should be "(.*)"$/, (world, [key]) => expect(details(world).flagKey).toBe(key)],
  [/^the error-code should be "(.*)"$/, (world, [code]) => expect(details(world).errorCode ?? '').toBe(code)],
  [/^the error message should contain "(.*)"$/, (world, [text]) => expect(details(world).errorMessage).toContain(text)],
  [/^the error message should be empty$/, (world) => expect(details(world).errorMessage ?? '').toBe('')],
  [/^no exception should have been thrown$/, (world) => expect(world.thrown).toBeUndefined()],
  [
    /^the resolved metadata should contain$/,
    (world, _, [, ...rows]) => {
      for (const [key = '', type = '', value = ''] of rows)
        expect(details(world).flagMetadata).toHaveProperty([key], cast(type, value));
    },
  ],
  [/^the resolved metadata is empty$/, (world) => expect(details(world).flagMetadata).toEqual({})],
  [
    /^the original evaluation context should remain unmodified$/,
    (world) => expect(world.context).toEqual({ nested: { list: ['a'] } }),
  ],
  // The SDK freezes the metadata; the details around it are its own and made for each evaluation.
  [/^the evaluation details should be immutable$/, (world) => expect(Object.isFrozen(details(world).flagMetadata)).toBe(true)],
  [/^the evaluation should complete without blocking$/, () => settle()],
  [
    /^the "([^"]*)" hook should have been executed$/,
    (world, [stage]) => expect(world.hooked.map((one) => one.stage)).toContain(stage),
  ],
  [
    /^the "([^"]*)" hooks should be called with evaluation details$/,
    (world, [stages = ''], [, ...rows]) => {
      for (const stage of stages.split(', ')) {
        const given = world.hooked.find((one) => one.stage === stage)?.details;
        const seen: Record<string, unknown> = {
          flag_key: given?.flagKey,
          value: given?.value,
          variant: given?.variant,
          reason: given?.reason,
          error_code: given?.errorCode,
        };
        for (const [, key = '', value = ''] of rows)
          expect([stage, key, seen[key] === undefined ? 'null' : String(seen[key])]).toEqual([
            stage,
            key,
            value.replace(/^None$/, 'null'),
          ]);
      }
    },
  ],
  [
    /^the specified hooks should execute during evaluation$/,
    (world) => expect(world.details?.reason).not.toBe(StandardResolutionReasons.ERROR),
  ],
  [
    /^the hook order should be maintained$/,
    (world) => expect(world.hooked.map((one) => one.stage)).toEqual(['before', 'after', 'finally']),
  ],
];

export const evaluationSteps: readonly Step<World>[] = [...givens, ...whens, ...thens];
