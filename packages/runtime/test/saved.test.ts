// saved.test.ts: what the journal of a session comes to.

import type { JournalRecord } from '@offswitch/runtime';
import { foldJournals } from '@offswitch/runtime';
import { expect, test } from 'vitest';
import { toldCalls } from '../src/turn-kept.ts';

test('an end that is written of a completed turn hides no call of the turn that is under way (S10, I9)', () => {
  const of = { s: 's-1', e: 1, at: 1 } as const;
  const call = (turn: number, key: string): JournalRecord => ({
    ...of,
    t: 'call',
    turn,
    key,
    id: `t${turn}-1`,
    kind: 'tool',
    name: key,
    class: 'effect',
  });
  const records: JournalRecord[] = [
    { ...of, t: 'session', root: 's-1', path: ['s-1'], agent: 'a', workflow: 'w' },
    call(1, 'check'),
    { ...of, t: 'end', turn: 1, key: 'check', outcome: 'completed' },
    { ...of, t: 'checkpoint', turn: 1, read: true },
    call(2, 'send'),
    { ...of, t: 'end', turn: 1, key: 'check', outcome: 'completed', costMicros: 5 },
  ];
  const { saved } = foldJournals([{ alive: false, records }]).get('s-1')!;
  expect(toldCalls(saved).map(({ name }) => name)).toEqual(['send']);
  expect(saved.turns.map(({ number }) => number)).toEqual([2]);
  expect(saved.costMicros).toBe(5);
});
