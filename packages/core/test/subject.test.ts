import type { Stopped } from '@offswitch/core';
import { checkId, checkReading, OffswitchError, run, strongest, subjectFor } from '@offswitch/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

describe('an id', () => {
  test.each(['a', '__proto__', 'constructor', 'ümläut 🙂', 'u-1@example.com', 'x'.repeat(256)])('%j is taken as it is', (id) => {
    expect(checkId('userId', id)).toBe(id);
  });
  test.each([
    ['empty', '', /is empty/],
    ['10 MB', 'x'.repeat(10_000_000), /longer than 256 bytes/],
    ['257 bytes of unicode', '🙂'.repeat(65), /longer than 256 bytes/],
    ['with a newline', 'a\nb', /control character/],
    ['with NUL', 'a\0', /control character/],
    ['a number', 7, /must be a string, got number/],
    ['null', null, /must be a string, got null/],
  ])('%s is refused, naming the field', (_, id, message) => {
    expect(() => checkId('userId', id)).toThrow(message);
    try {
      checkId('userId', id);
    } catch (error) {
      expect(OffswitchError.is(error) && error.code).toBe('invalid_id');
      expect(String(error).length).toBeLessThan(200);
    }
  });
});

describe('a switch', () => {
  test('is read for the subject of its tier alone', () => {
    const subject = { workflow: 'w', userId: 'u', sessionId: 's', conversationId: 'c' };
    expect(subjectFor('global', subject)).toEqual({});
    expect(subjectFor('feature', subject)).toEqual({ workflow: 'w' });
    expect(subjectFor('user', subject)).toEqual({ userId: 'u' });
    expect(subjectFor('instance', subject)).toEqual(subject);
    expect(subjectFor('user', { workflow: 'w' })).toBeUndefined();
  });
});

describe('what a foreign source answers', () => {
  test.each([
    undefined,
    null,
    'run',
    7,
    {},
    { state: 'off' },
    { state: 'released' },
    { state: 'released', origin: 'live', position: { series: '' } },
    { state: 'released', origin: 'live', position: { series: 's', n: -1 } },
    { state: 'engaged', origin: 'relayed', position: { series: 's' } },
  ])('%j is unknown, never a release (I13)', (value) => {
    expect(checkReading(value)).toMatchObject({ state: 'unknown', cause: 'error' });
  });
});

describe('a decision', () => {
  const stopped = fc.record({
    action: fc.constantFrom('pause', 'terminate'),
    tier: fc.constantFrom('global', 'feature', 'user', 'instance'),
    cause: fc.constantFrom('switch', 'operator', 'breaker', 'unknown'),
    reason: fc.constant('r'),
    effect: fc.constant('e'),
    notice: fc.constant('n'),
    stopId: fc.constantFrom('a', 'b', 'c'),
    since: fc.nat(3),
  }) as fc.Arbitrary<Stopped>;
  test('is the strongest of all stops, whatever their order and repetition (S1, I10)', () => {
    fc.assert(
      fc.property(fc.array(stopped, { minLength: 1, maxLength: 5 }), (list) => {
        const fold = (of: Stopped[]) => of.reduce<ReturnType<typeof strongest>>(strongest, run);
        const one = fold(list);
        const other = fold([...list, ...list].reverse());
        expect(other).toEqual(one);
        if (list.some((stop) => stop.action === 'terminate')) expect(one.action).toBe('terminate');
      }),
    );
  });
});
