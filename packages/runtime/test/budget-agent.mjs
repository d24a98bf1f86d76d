// budget-agent.mjs: one of the processes of budgets.process.test.ts: four sessions of one user that pay until they are stopped. Each
// payment is one line in a file, written when the call is sent: that is what was really spent. Built packages, no test runner.

import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineKillSwitches } from '@offswitch/core';
import { createRuntime, folderStore } from '@offswitch/runtime';
import { memorySource } from '@offswitch/testing';

const [place, cap, seed, diesAt] = [process.argv[2], ...process.argv.slice(3).map(Number)];
let state = seed;
const random = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};
const switches = defineKillSwitches({
  global: { authorized: ['test'] },
  features: { alpha: { authorized: ['test'] } },
  user: { authorized: ['test'] },
  instance: { authorized: ['test'] },
});
const runtime = await createRuntime({
  switches,
  source: memorySource(switches),
  store: folderStore(join(place, 'state')),
  caps: { user: { 'u-1': cap } },
  // Nobody parks: what runs here ends with the process.
  parkAfterMs: 600_000,
});
let paid = 0;
let inFlight = 0;
let isHeld = false;
const lookWhetherDone = async () => {
  if (!isHeld || inFlight > 0) return;
  isHeld = false;
  await runtime.close();
  process.exit(0);
};
const agent = runtime.agent('alpha', async (session) => {
  for (;;) {
    const cost = 2_000 + Math.floor(random() * 58_000);
    await session.turn((turn) =>
      turn.model(
        'm',
        async () => {
          inFlight++;
          appendFileSync(join(place, 'paid'), `${cost}\n`);
          if (++paid === 1) process.stdout.write('paid\n');
          if (paid === diesAt) process.kill(process.pid, 'SIGKILL');
          await new Promise((resolve) => setTimeout(resolve, random() * 4));
          inFlight--;
          setImmediate(lookWhetherDone);
          return cost;
        },
        (costMicros) => ({ costMicros }),
        { maxCostMicros: 60_000 },
      ),
    );
  }
});
runtime.subscribe((event) => {
  if (event.type !== 'stop' || !event.engaged) return;
  isHeld = true;
  setImmediate(lookWhetherDone);
});
// Told when to begin: who comes late may find nothing left.
process.stdout.write('ready\n');
await new Promise((resolve) => process.stdin.once('data', resolve));
process.stdin.destroy();
for (let n = 0; n < 4; n++) agent.start(n, { userId: 'u-1' });
