// standing.test.ts: a start under a stop in force says so.

import type { SessionView, Stop } from 'offswitch';
import { describe, expect, test } from 'vitest';
import { standing } from '../src/standing.ts';

const stop: Stop = {
  id: 'switch.feature.batch-scoring.x',
  cause: 'switch',
  tier: 'feature',
  action: 'pause',
  subject: { workflow: 'batch-scoring' },
  reason: 'scores look wrong',
  by: 'ada',
  since: 0,
};
const view = (action: 'run' | 'pause', state = 'running'): SessionView => ({ state, decision: { action } }) as SessionView;

describe('a start under stops in force', () => {
  test('names each pause with its reason, who made it and the way out, and says how many rest', () => {
    const byHand: Stop = {
      ...stop,
      id: 'act.1',
      cause: 'operator',
      tier: 'instance',
      subject: { sessionId: 's-1' },
      reason: 'look',
    };
    expect(
      standing(
        [stop, byHand],
        [view('pause'), view('run'), view('pause'), view('run', 'completed')],
        'npx offswitch --state there',
      ),
    ).toEqual([
      'in force: pause feature batch-scoring: scores look wrong (ada); npx offswitch --state there release feature batch-scoring --reason "..." lets it go on',
      'in force: pause instance s-1: look (ada); npx offswitch --state there release --stop act.1 --reason "..." lets it go on',
      '2 of 3 agents rest, and why: npx offswitch --state there sessions; new ones are born at rest where a stop covers them',
    ]);
  });
  test('counts those that were ended for good, which nothing lets go on', () => {
    const ended: Stop = { ...stop, tier: 'instance', action: 'terminate', subject: { sessionId: 's-1' } };
    expect(standing([ended, ended], [], 'offswitch')).toEqual(['in force: 2 sessions that were ended for good, and stay so']);
  });
  test('says nothing where nothing is in force', () => {
    expect(standing([], [view('run')], 'offswitch')).toEqual([]);
  });
});
