import { defineKillSwitches } from '@offswitch/core';
import { describe, expect, expectTypeOf, test } from 'vitest';

const switches = defineKillSwitches({
  global: { authorized: ['on-call', 'engineering-leadership'] },
  features: {
    'resume-rewrite': { authorized: ['on-call', 'support-lead'] },
    'batch-scoring': { unattended: true, authorized: ['on-call'], mayDetach: true },
  },
  user: { authorized: ['support'] },
  instance: { authorized: ['on-call'] },
});

describe('a declaration of kill switches', () => {
  test('names the default keys, pinned: a changed key is a switch nobody flips', () => {
    expect(switches.flags.map((flag) => flag.key)).toEqual([
      'killswitch.global',
      'killswitch.feature.resume-rewrite',
      'killswitch.feature.batch-scoring',
      'killswitch.user',
      'killswitch.instance',
    ]);
  });

  test('fixes the action by tier: only instance terminates (S1)', () => {
    expect(switches.flags.map((flag) => flag.action)).toEqual(['pause', 'pause', 'pause', 'pause', 'terminate']);
  });

  test('carries an effect statement and the authorised roles on every switch (S12)', () => {
    for (const flag of switches.flags) {
      expect(flag.effect.length).toBeGreaterThan(40);
      expect(flag.authorized.length).toBeGreaterThan(0);
    }
    expect(switches.feature('batch-scoring').effect).toContain('"batch-scoring"');
  });

  test('defaults to engaged when true and to hold when unknown (S5)', () => {
    for (const flag of switches.flags) expect([flag.engagedWhen, flag.whenUnknown]).toEqual([true, 'hold']);
  });

  test('makes workflow names literal types: a wrong name, field, tier or role does not compile', () => {
    expectTypeOf(switches.workflows[0]!).toEqualTypeOf<'resume-rewrite' | 'batch-scoring'>();
    // @ts-expect-error: no such workflow
    expect(() => switches.feature('batch-scorin')).toThrow(/did you mean "batch-scoring"\?/);
    // @ts-expect-error: no such tier
    expect(() => defineKillSwitches({ global: { authorized: ['a'] }, features: {}, users: { authorized: ['a'] } })).toThrow(
      /"users" is no tier/,
    );
    // @ts-expect-error: no such field
    expect(() => defineKillSwitches({ global: { authorised: ['a'], authorized: ['a'] }, features: {} })).toThrow(
      /"authorised" is no field/,
    );
    // @ts-expect-error: unattended belongs to workflows
    expect(() => defineKillSwitches({ global: { authorized: ['a'], unattended: true }, features: {} })).toThrow(
      /"unattended" is no field/,
    );
    expect(() =>
      defineKillSwitches({
        roles: ['on-call', 'support'],
        global: { authorized: ['on-call'] },
        // @ts-expect-error: no such role
        features: { a: { authorized: ['oncall'] } },
      }),
    ).toThrow(/"oncall", which is not in roles/);
  });

  test.each([
    ['no authorised role', { global: { authorized: [] }, features: {} }, /authorized is empty/],
    ['no global', { features: {} }, /global is missing/],
    ['no features', { global: { authorized: ['a'] } }, /features is missing/],
    [
      'two switches with one key',
      { global: { authorized: ['a'], key: 'k' }, features: { x: { authorized: ['a'], key: 'k' } } },
      /share the key "k"/,
    ],
    ['a key no vendor takes', { global: { authorized: ['a'], key: 'kill switch' }, features: {} }, /global\.key/],
    [
      'a workflow that is no name',
      { global: { authorized: ['a'] }, features: { 'a b': { authorized: ['a'] } } },
      /workflow "a b"/,
    ],
    ['an empty workflow', { global: { authorized: ['a'] }, features: { '': { authorized: ['a'] } } }, /workflow is empty/],
    ['a tier that is null', { global: null, features: {} }, /global must be an object/],
  ])('with %s is refused with the way out', (_, spec, message) => {
    expect(() => defineKillSwitches(spec as never)).toThrow(message);
  });

  test('named `__proto__` or `constructor` is an ordinary workflow', () => {
    const odd = defineKillSwitches(
      JSON.parse(
        '{"global":{"authorized":["a"]},"features":{"__proto__":{"authorized":["a"]},"constructor":{"authorized":["a"]}}}',
      ),
    );
    expect(odd.workflows).toEqual(['__proto__', 'constructor']);
    expect(odd.isWorkflow('toString')).toBe(false);
  });
});
