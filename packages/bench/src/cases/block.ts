// block.ts: how long the event loop is held while 100,000 calls in flight are aborted, from the order to the closed receipt,
// with the state on disk as by default.

import { join } from 'node:path';
import { folderStore } from '@offswitch/runtime';
import { type Case, check } from '../case.ts';
import { openFleet } from '../fleet.ts';
import { percentile, until } from '../measure.ts';

const sessions = 10_000;
const callsEach = 10;

export const block: Case = {
  figures: ['stop.block.p99.ms'],
  async run({ folder }) {
    const gaps: number[] = [];
    const whole: number[] = [];
    for (let round = 0; round < 2; round++) whole.push(await once(gaps, join(folder, `block-${round}`)));
    return [
      {
        name: 'stop.block.p99.ms',
        value: percentile(gaps, 0.99),
        unit: 'ms',
        target: 5,
        note: `${gaps.length} turns of the loop; longest ${Math.max(...gaps).toFixed(1)}; all aborted and told of in ${percentile(whole, 0.5).toFixed(0)} ms`,
      },
    ];
  },
};

/** Adds the length of each turn of the event loop; answers how long the whole took. */
async function once(gaps: number[], folder: string): Promise<number> {
  const fleet = await openFleet({ store: folderStore(folder) });
  let inFlight = 0;
  let aborted = 0;
  const forever = new Promise<never>(() => {});
  const worker = fleet.runtime.agent('worker', async (session, _n: number) => {
    await session.turn(async (turn) => {
      for (let i = 0; i < callsEach; i++) {
        void turn.tool(
          'fetch',
          { i },
          (_args, { signal }) => {
            inFlight++;
            signal.addEventListener('abort', () => void aborted++, { once: true });
            return forever;
          },
          { effect: false },
        );
      }
      await forever;
    });
  });
  let rootId = '';
  void fleet.runtime.run('batch', async (session) => {
    rootId = session.id;
    await session.turn((turn) => Promise.all(Array.from({ length: sessions }, (_, n) => turn.spawn(worker, n))));
  });
  await until('100,000 calls in flight', () => inFlight === sessions * callsEach);
  let isDone = false;
  fleet.runtime.subscribe((event) => {
    if (event.type === 'stage' && event.stage === 'done') isDone = true;
  });
  globalThis.gc?.();
  const start = performance.now();
  let last = start;
  void fleet.runtime.stop({ session: rootId, reason: 'bench', by: 'bench' });
  while (!isDone) {
    await new Promise((resolve) => setImmediate(resolve));
    const now = performance.now();
    gaps.push(now - last);
    last = now;
    check(now - start < 60_000, 'the stop did not end within 60 s');
  }
  check(aborted === inFlight, `${inFlight - aborted} calls were not aborted`);
  const took = last - start;
  // The receipt is written last.
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    const now = performance.now();
    gaps.push(now - last);
    last = now;
  }
  await fleet.close();
  return took;
}
