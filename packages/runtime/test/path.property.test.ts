// path.property.test.ts: any chain of any ids comes back as it was; nothing else ever does.

import {
  extendPath,
  openToken,
  type PathKeys,
  type PathSegment,
  RuntimeError,
  type SignedPath,
  sealPath,
  signRoot,
} from '@offswitch/runtime';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const keys: PathKeys = [{ id: 'k1', secret: new Uint8Array(32).fill(7) }];
const expiresAt = 1_800_000_000_000;

// biome-ignore lint/suspicious/noControlCharactersInRegex: ids hold none (core's checkId)
const control = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;
const id = fc
  .oneof(fc.string({ minLength: 1, maxLength: 20 }), fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }))
  .filter((text) => !control.test(text));
const segment: fc.Arbitrary<PathSegment> = fc.record(
  { session: id, workflow: id, user: id, conversation: id },
  { requiredKeys: ['session'] },
);
const chain = fc
  .uniqueArray(segment, { minLength: 1, maxLength: 12, selector: (one) => one.session })
  .map((segments) => ({ segments, path: pathOf(segments) }));
const call = fc.option(fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }), { nil: undefined });
const sealed = fc.record({ chain, call }).map(({ chain: { path, segments }, call }) => ({
  segments,
  path,
  call,
  token: sealPath(path, { expiresAt, ...(call === undefined ? {} : { call }) }),
}));

function pathOf(segments: readonly PathSegment[]): SignedPath {
  const [root, ...rest] = segments;
  return rest.reduce((path, one) => extendPath(path, one), signRoot(keys, root!));
}

/** True where it is refused with a code of its own; anything else that is thrown is a crash, and fails the test. */
function isRefused(token: string): boolean {
  try {
    openToken(keys, token, 0);
    return false;
  } catch (error) {
    if (RuntimeError.is(error) && error.code.startsWith('path_')) return true;
    throw error;
  }
}

describe('any path', () => {
  test('comes back as it was, each ancestor with what it had of its parents', () => {
    fc.assert(
      fc.property(sealed, ({ segments, path, call, token }) => {
        let above: Omit<PathSegment, 'session'> = {};
        const whole = segments.map((one) => {
          const { session: _, ...own } = one;
          above = { ...above, ...own };
          return { ...above, session: one.session };
        });
        expect(openToken(keys, token, 0)).toEqual({
          ...path,
          segments: whole,
          expiresAt,
          ...(call === undefined ? {} : { call }),
        });
      }),
    );
  });

  test('is one text in letters that need no escape in a header, in JSON or in an environment', () => {
    fc.assert(
      fc.property(sealed, ({ segments, call, token }) => {
        expect(token).toMatch(/^[A-Za-z0-9_@:/.!~-]+$/);
        expect(JSON.stringify(token)).toBe(`"${token}"`);
        expect(sealPath(pathOf(segments), { expiresAt, ...(call === undefined ? {} : { call }) })).toBe(token);
      }),
    );
  });

  test('with any one character replaced, added or taken out is refused', () => {
    const letters = fc.constantFrom(...'AZaz09_@:/.!~-=%, ');
    fc.assert(
      fc.property(sealed, fc.nat(), letters, fc.constantFrom('replace', 'add', 'remove'), ({ token }, where, letter, what) => {
        const at = where % token.length;
        const edited = token.slice(0, at) + (what === 'remove' ? '' : letter) + token.slice(what === 'add' ? at : at + 1);
        fc.pre(edited !== token);
        expect(isRefused(edited)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('cut at any place is refused', () => {
    fc.assert(
      fc.property(sealed, fc.nat(), fc.boolean(), ({ token }, where, isFront) => {
        const at = 1 + (where % (token.length - 1));
        expect(isRefused(isFront ? token.slice(at) : token.slice(0, at))).toBe(true);
      }),
    );
  });

  test('with parts taken out, doubled or in another order is refused', () => {
    fc.assert(
      fc.property(sealed, fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 20 }), ({ token }, order) => {
        const parts = token.split('.');
        const other = order.map((n) => parts[n % parts.length]).join('.');
        fc.pre(other !== token);
        expect(isRefused(other)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('of two that are good, no splice is: only the two themselves open', () => {
    fc.assert(
      fc.property(sealed, sealed, fc.nat(), fc.nat(), (a, b, i, j) => {
        const [one, two] = [a.token.split('.'), b.token.split('.')];
        const spliced = [...one.slice(0, i % (one.length + 1)), ...two.slice(j % (two.length + 1))].join('.');
        fc.pre(spliced !== a.token && spliced !== b.token);
        expect(isRefused(spliced)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('whatever text arrives, it is refused and nothing else is thrown', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => isRefused(text)));
    fc.assert(
      fc.property(fc.array(fc.constantFrom('1', 'k1', 's', '!x1', '!', '~', '~00', 'A'.repeat(43), '')), (p) =>
        isRefused(p.join('.')),
      ),
    );
  });
});
