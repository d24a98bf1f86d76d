// digest.test.ts: what a call is recognised by does not depend on how its digest was come by (S7).

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../src/digest.ts';

const value = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.double(),
  fc.integer(),
  fc.boolean(),
  fc.constantFrom(null, undefined, -0, Number.NaN, Number.POSITIVE_INFINITY, '\ud800', '"', '\\', '\u007f', '\u2028'),
);

describe('the digest of the arguments of a call', () => {
  test('is the same for what a checkpoint gives back of them, and another one for any other JSON (S7)', () => {
    const nested = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: 'small' },
        value,
        fc.array(tie('any'), { maxLength: 4 }),
        fc.dictionary(fc.string(), tie('any'), { noNullPrototype: true }),
        fc.date({ noInvalidDate: true }),
        fc.constant({ toJSON: () => ['itself'] }),
        fc.constant(() => 1),
      ),
    })).any;
    const seen = new Map<string, string>();
    fc.assert(
      fc.property(fc.dictionary(fc.string(), nested, { noNullPrototype: true }), (args) => {
        const json = JSON.stringify(args);
        const is = digestOf('the arguments of', 'x', args);
        expect(digestOf('the arguments of', 'x', JSON.parse(json))).toBe(is);
        // Text that is no Unicode is the one thing it does not tell apart.
        if (json.includes('\\ud')) return;
        expect(seen.get(is) ?? json).toBe(json);
        seen.set(is, json);
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([7, 8, 1_364, 4_095, 4_096, 4_097, 20_000])(
    'sees every character of a text of %i characters, of any script',
    (length) => {
      for (const letter of ['x', 'é', '界', '🙂']) {
        const text = letter.repeat(Math.ceil(length / letter.length)).slice(0, length - (length % letter.length));
        const digests = new Set([digestOf('the text of', 'x', text), digestOf('the text of', 'x', `${text}x`)]);
        const places = [0, 1, 2, 3, Math.floor(text.length / letter.length / 2), text.length / letter.length - 1];
        for (const at of new Set(places))
          digests.add(
            digestOf(
              'the text of',
              'x',
              `${text.slice(0, at * letter.length)}${'ab'.slice(0, letter.length)}${text.slice((at + 1) * letter.length)}`,
            ),
          );
        expect(digests.size).toBe(2 + new Set(places).size);
      }
    },
  );

  test('refuses a cycle, however deep, and takes what is nested deeper than it walks', () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = { at: [cycle] };
    expect(() => digestOf('the arguments of', 'x', cycle)).toThrow(
      '[not_serialisable] the arguments of x cannot be written as JSON',
    );
    let deep: unknown = 1;
    let other: unknown = 2;
    for (let i = 0; i < 200; i++) [deep, other] = [[deep], [other]];
    expect(digestOf('the arguments of', 'x', deep)).not.toBe(digestOf('the arguments of', 'x', other));
    expect(digestOf('the arguments of', 'x', deep)).toBe(digestOf('the arguments of', 'x', JSON.parse(JSON.stringify(deep))));
  });

  test('tells apart arguments that differ in one character, one member or one type', () => {
    const all = [
      {},
      { a: '' },
      { a: 1 },
      { a: '1' },
      { a: true },
      { a: null },
      { b: 1 },
      { a: 1, b: 1 },
      { a: '1","b":1' },
      [],
      'a',
      undefined,
    ];
    expect(new Set(all.map((one) => digestOf('the arguments of', 'x', one))).size).toBe(all.length);
  });

  test('takes what an object says of itself, and dates as JSON writes them', () => {
    const at = new Date(0);
    expect(digestOf('the arguments of', 'x', { at })).toBe(digestOf('the arguments of', 'x', { at: at.toISOString() }));
    expect(digestOf('the arguments of', 'x', { a: 1, toJSON: () => ({ b: 2 }) })).toBe(
      digestOf('the arguments of', 'x', { b: 2 }),
    );
  });
});
