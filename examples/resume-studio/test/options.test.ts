// options.test.ts: starting over, as it is told before it is done.

import { describe, expect, test } from 'vitest';
import { forgottenStops } from '../src/options.ts';

describe('a fleet that starts over', () => {
  test.each([
    [
      'file',
      false,
      'every stop in force but those engaged in /s/flags.json, which stay there until you release them (offswitch release)',
    ],
    [
      'unleash',
      false,
      'every stop in force but those engaged at unleash, which stay there until you release them (offswitch release)',
    ],
    ['unleash', true, 'every stop in force'],
  ] as const)('with its switches in %s (local: %s) forgets %s', (source, isLocal, words) => {
    expect(forgottenStops({ source, isLocal, flags: '/s/flags.json' })).toBe(words);
  });
});
