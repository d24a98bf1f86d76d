// guard.ts: the check before a call, through the same way a session asks: hot, and cold over 100,000 sessions at random.

import type { Session } from '@offswitch/runtime';
import { type Case, check } from '../case.ts';
import { openFleet } from '../fleet.ts';
import { nanosecondsEach, spread } from '../measure.ts';

const sessions = 100_000;

export const guard: Case = {
  figures: ['guard.hot.ns', 'guard.random.ns'],
  async run() {
    const fleet = await openFleet();
    await fleet.startRoots(sessions);
    // Not in the order of birth: neighbours on the heap are not neighbours here.
    const random = new Uint32Array(1 << 20).map(() => Math.floor(Math.random() * sessions));
    const one = fleet.live[sessions >> 1]!;
    let allowed = 0;
    const ask = (session: Session): void => {
      if (session.decision.action === 'run') allowed++;
    };
    const hot = nanosecondsEach(10_000_000, (times) => {
      for (let i = 0; i < times; i++) ask(one);
    });
    const cold = nanosecondsEach(random.length, (times) => {
      for (let i = 0; i < times; i++) ask(fleet.live[random[i]!]!);
    });
    check(allowed === 13 * (10_000_000 + random.length), 'a session that nobody stopped was refused');
    await fleet.close();
    return [
      { name: 'guard.hot.ns', value: hot.value, unit: 'ns', target: 5, note: `session.decision; rounds ${spread(hot.samples)}` },
      { name: 'guard.random.ns', value: cold.value, unit: 'ns', note: `of 100,000; rounds ${spread(cold.samples)}` },
    ];
  },
};
