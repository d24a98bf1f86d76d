// digest.test.ts: what a call is recognised by does not depend on how its digest was come by (S7).

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { digest, digestOf, toJson } from '../src/digest.ts';

const value = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.double(),
  fc.integer(),
  fc.boolean(),
  fc.constantFrom(null, undefined, -0, Number.NaN, Number.POSITIVE_INFINITY, '\ud800', '"', '\\', '\u007f', '\u2028'),
);

describe('the digest of the arguments of a call', () => {
  test('is the digest of their JSON, so that arguments that went through a checkpoint are the same ones (S7)', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.oneof(value, fc.array(value, { maxLength: 2 })), { noNullPrototype: true }),
        (args) => {
          expect(digestOf('the arguments of', 'x', args)).toBe(digest(toJson('x', args)));
          expect(digestOf('the arguments of', 'x', JSON.parse(JSON.stringify(args)))).toBe(digest(toJson('x', args)));
        },
      ),
      { numRuns: 2_000 },
    );
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
