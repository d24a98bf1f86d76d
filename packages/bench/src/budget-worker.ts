// budget-worker.ts: one of the processes of the budget benchmark: a graph of one user in which four sub-agents pay until the
// cap is reached. Says what it spent and how often it asked the store.

import type { KillSwitches } from '@offswitch/core';
import { redisStore } from '@offswitch/redis';
import { createRuntime, folderStore, type StateStore } from '@offswitch/runtime';
import { memorySource } from '@offswitch/testing';
import { switches } from './fleet.ts';

/** What a worker sends when it has ended. */
export interface Paid {
  readonly spentMicros: number;
  readonly calls: number;
  readonly roundTrips: number;
}

const [place = '', cap = '', seed = ''] = process.argv.slice(2);
const payers = 4;
const leastMicros = 2_000;
const mostMicros = 60_000;

let state = Number(seed);
const random = (): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};

/** Counts every request about budgets. */
function counted(store: StateStore): { readonly roundTrips: () => number } {
  const budgets = store.budgets!;
  let count = 0;
  for (const name of ['lease', 'settle', 'orphans', 'reconcile', 'forget'] as const) {
    const ask = budgets[name].bind(budgets) as (...of: readonly unknown[]) => unknown;
    Object.assign(budgets, {
      [name]: (...of: readonly unknown[]) => {
        count++;
        return ask(...of);
      },
    });
  }
  return { roundTrips: () => count };
}

const store = place.startsWith('redis:') ? redisStore({ url: place, leaseMs: 60_000, anchor: false }) : folderStore(place);
const { roundTrips } = counted(store);
const runtime = await createRuntime({
  switches,
  source: memorySource(switches as KillSwitches),
  store,
  caps: { user: { bench: Number(cap) } },
  parkAfterMs: 600_000,
});
let spentMicros = 0;
let calls = 0;
let inFlight = 0;
let isHeld = false;
const end = async (): Promise<void> => {
  if (!isHeld || inFlight > 0) return;
  isHeld = false;
  await runtime.close();
  process.send?.({ spentMicros, calls, roundTrips: roundTrips() } satisfies Paid, () => process.exit(0));
};
runtime.subscribe((event) => {
  if (event.type !== 'stop' || !event.engaged) return;
  isHeld = true;
  setImmediate(end);
});
const payer = runtime.agent('payer', async (session, _n: number): Promise<void> => {
  for (;;) {
    const cost = leastMicros + Math.floor(random() * (mostMicros - leastMicros + 1));
    await session.turn((turn) =>
      turn.model(
        'm',
        async () => {
          inFlight++;
          calls++;
          spentMicros += cost;
          await new Promise((resolve) => setTimeout(resolve, 5 + random() * 20));
          inFlight--;
          setImmediate(end);
          return cost;
        },
        (costMicros) => ({ costMicros }),
        { maxCostMicros: mostMicros },
      ),
    );
  }
});
const work = runtime.agent('work', (session) =>
  session.turn((turn) => Promise.all(Array.from({ length: payers }, (_, n) => turn.spawn(payer, n)))),
);
process.send?.('ready');
// Together with the others.
process.once('message', () => {
  work.start(undefined, { userId: 'bench' });
});
