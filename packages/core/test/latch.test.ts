import { applyReading, isEngaged, join, type Marks, type Reading, releaseByAct, unmarked } from '@offswitch/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const engaged = (n: number | undefined, origin: 'live' | 'cached' = 'live'): Reading => ({
  state: 'engaged',
  origin,
  position: { series: 's', ...(n === undefined ? {} : { n }) },
});
const released = (n: number | undefined, origin: 'live' | 'cached' = 'live'): Reading => ({
  state: 'released',
  origin,
  position: { series: 's', ...(n === undefined ? {} : { n }) },
});
const after = (...readings: Reading[]): Marks =>
  readings.reduce((marks, reading) => applyReading(marks, reading, false), unmarked);

describe('a switch stop (S3)', () => {
  test('is released only by a live reading with a higher n', () => {
    expect(isEngaged(after(engaged(5), released(6)))).toBe(false);
    expect(isEngaged(after(engaged(5), released(5)))).toBe(true);
    expect(isEngaged(after(engaged(5), released(4)))).toBe(true);
    expect(isEngaged(after(engaged(5), released(6, 'cached')))).toBe(true);
    expect(isEngaged(after(engaged(5), released(undefined)))).toBe(true);
    expect(isEngaged(after(engaged(5), { state: 'unknown', cause: 'not-found', message: '' }))).toBe(true);
  });
  test('is released at an equal n where this process itself saw the change', () => {
    expect(isEngaged(applyReading(after(engaged(5)), released(5), true))).toBe(false);
  });
  test('comes back with a live engage at the released n, and not with a cached one: that is an echo', () => {
    const base = after(engaged(5), released(6));
    expect(isEngaged(applyReading(base, engaged(6), false))).toBe(true);
    expect(isEngaged(applyReading(base, engaged(6, 'cached'), false))).toBe(false);
    expect(isEngaged(applyReading(base, engaged(5), false))).toBe(false);
    expect(isEngaged(applyReading(base, engaged(7, 'cached'), false))).toBe(true);
  });
  test('without a usable n is released by act only, and stops again on a live engage', () => {
    const stopped = after(engaged(undefined));
    expect(isEngaged(applyReading(stopped, released(undefined), false))).toBe(true);
    const acted = releaseByAct(stopped);
    expect(isEngaged(acted)).toBe(false);
    expect(isEngaged(applyReading(acted, engaged(undefined, 'cached'), false))).toBe(false);
    expect(isEngaged(applyReading(acted, engaged(undefined), false))).toBe(true);
  });
  test('ends the same whatever the order and repetition of its marks (I10)', () => {
    const marks = fc.record({ engaged: fc.integer({ min: -1, max: 9 }), released: fc.integer({ min: -1, max: 9 }) });
    fc.assert(
      fc.property(fc.array(marks, { minLength: 1, maxLength: 6 }), fc.integer(), (list, seed) => {
        const shuffled = [...list, ...list].sort((a, b) => ((a.engaged * 31 + b.released * 17 + seed) % 3) - 1);
        expect(shuffled.reduce(join)).toEqual(list.reduce(join));
      }),
    );
  });
  test('never loses a mark to a reading: both only grow (I6)', () => {
    const reading = fc.oneof(
      fc
        .tuple(
          fc.constantFrom('engaged', 'released'),
          fc.option(fc.nat(6), { nil: undefined }),
          fc.constantFrom('live', 'cached'),
        )
        .map(([state, n, origin]) => (state === 'engaged' ? engaged : released)(n, origin as 'live')),
      fc.constant<Reading>({ state: 'unknown', cause: 'error', message: '' }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(reading, fc.boolean()), { maxLength: 30 }), (steps) => {
        let marks = unmarked;
        for (const [one, sameWatch] of steps) {
          const next = applyReading(marks, one, sameWatch);
          expect(next.engaged).toBeGreaterThanOrEqual(marks.engaged);
          expect(next.released).toBeGreaterThanOrEqual(marks.released);
          if (isEngaged(marks) && !isEngaged(next)) expect(one).toMatchObject({ state: 'released', origin: 'live' });
          marks = next;
        }
      }),
    );
  });
});
