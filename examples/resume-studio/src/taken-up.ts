// taken-up.ts: over a store that several machines share, what an earlier process left is taken up only once its agents are defined, and once
// the lease of that process is out: waited for here, so that nobody counts it as lost.

import type { Runtime } from 'offswitch';
import type { Job, Plan } from './plan.ts';
import { sleep } from './tools-time.ts';

/** A lease and a little. Milliseconds. */
const withinMs = 15_000;
const lookEveryMs = 100;

/** Resolves when each session that a note calls started is here, has ended, or is known to nobody; or after a while. */
export async function takenUp(runtime: Runtime, jobs: readonly Job[], plan: Plan): Promise<void> {
  const deadline = Date.now() + withinMs;
  const isOut = async (session: string): Promise<boolean> => {
    if (runtime.session(session)) return false;
    const state = (await runtime.store.lineage.find(session, session).catch(() => undefined))?.state;
    return state === 'running' || state === 'resting';
  };
  for (const { key } of jobs) {
    for (;;) {
      const note = plan.note(key);
      if (note?.status !== 'started' || Date.now() > deadline || !(await isOut(note.session))) break;
      await sleep(lookEveryMs);
    }
  }
}
