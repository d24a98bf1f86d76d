// protocol-model.test.ts: what is built keeps its promise in every order, and each way of building less does not (I1, I2, I11).

import { describe, expect, test } from 'vitest';
import { asBuilt, explore, type Protocol } from './protocol-model.ts';

describe('the stop across processes, as a model', () => {
  test('begins no call after it was acknowledged, in any order of any steps, and is acknowledged in the end whatever is cut (I1, I2, I11)', () => {
    const { broken, states, isAlwaysAcknowledged } = explore(asBuilt);
    expect(broken).toBe(undefined);
    expect(isAlwaysAcknowledged).toBe(true);
    expect(states).toBeGreaterThan(1000);
  });

  test.each<[what: string, variant: Partial<Protocol>, last: string]>([
    [
      'is looked whether the child is stopped, and then put on record',
      { registersAtomically: false, judgesByPath: false },
      'the child calls',
    ],
    ['it is acknowledged as soon as it is on record', { waitsForAll: false }, 'the parent calls'],
    ['a process does not look at its lease', { checksLease: false }, 'the parent calls'],
    ['a lease is counted from when it was answered', { leaseFrom: 'answered' }, 'the parent calls'],
    ['there is something between the guard and the call', { guardsAndCallsAtOnce: false }, 'the parent calls'],
    [
      'it is looked first who is on record, and latched then (R3)',
      { latchesFirst: false, judgesByPath: false },
      'the child calls',
    ],
    [
      'a process that was counted out is given a lease before it has heard what it missed',
      { hearsBeforeLease: false },
      'the parent calls',
    ],
  ])('is broken where %s', (_, variant, last) => {
    const { broken } = explore({ ...asBuilt, ...variant });
    expect(broken?.at(-1)).toBe(last);
    expect(broken).toContain('the stop is acknowledged');
  });

  test.each<[what: string, variant: Partial<Protocol>]>([
    [
      'without the atomic step, where sessions are judged by their path: the step is for those who have not heard yet',
      { registersAtomically: false },
    ],
    ['by the atomic step alone, where the latch marks whom it finds', { judgesByPath: false }],
    ['where sessions are judged by their path, whoever is looked for first', { latchesFirst: false }],
  ])('holds %s (R1, R2, R3)', (_, variant) => {
    expect(explore({ ...asBuilt, ...variant }).broken).toBe(undefined);
  });

  test('is never acknowledged where a process that is cut off is waited for for ever', () => {
    const { broken, isAlwaysAcknowledged } = explore({ ...asBuilt, countsOutLeases: false });
    expect(broken).toBe(undefined);
    expect(isAlwaysAcknowledged).toBe(false);
  });
});
