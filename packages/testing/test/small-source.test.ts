import {
  contractSwitches,
  describeSourceFaults,
  describeSwitchSource,
  type Fault,
  type FaultProblemCode,
  runFault,
} from '@offswitch/testing';
import { describe, expect, test } from 'vitest';
import { type Broken, smallHarness } from './small-source.ts';

const bounds = { staleWithinMs: 10_000, recoverWithinMs: 10_000 };

describeSwitchSource('a small vendor', (switches) => smallHarness(switches));
describeSourceFaults('a small vendor', (switches) => smallHarness(switches), bounds);

const mustBeFound: readonly (readonly [Broken, Fault, FaultProblemCode])[] = [
  ['lifts on an empty set', 'empty-set', 'lifted'],
  ['calls old data live', 'refuse', 'live-while-stale'],
  ['takes the fallback of the caller', 'flag-deleted', 'lifted'],
  ['crashes the host', 'truncated-json', 'crashed'],
  ['never goes stale', 'black-hole', 'never-stale'],
  ['never goes stale', 'truncated-json', 'fresh-and-wrong'],
  ['believes older data', 'older-version', 'lifted'],
  ['stops everybody', 'wrong-shape', 'stopped-others'],
  ['gives up', 'unauthorized', 'not-recovered'],
  ['does not ask again after a gap', 'change-in-gap', 'fresh-and-wrong'],
  ['does not ask again after a gap', 'drop', 'lost-change'],
  ['never releases', 'duplicate', 'not-released'],
  ['throws from read', 'drop', 'malformed'],
];

describe('the contract of faults', () => {
  test.each(mustBeFound)('finds out a source that %s, by %s: %s', { timeout: 20_000 }, async (broken, fault, code) => {
    const harness = await smallHarness(contractSwitches, broken);
    try {
      const result = await runFault(harness, fault, { staleWithinMs: 300, recoverWithinMs: 300 });
      expect(result.outcome).toBe('failed');
      expect(result.problems.map((problem) => problem.code)).toContain(code);
    } finally {
      await harness.source.close();
      await harness.close();
    }
  });
});
