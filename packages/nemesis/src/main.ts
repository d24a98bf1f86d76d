// main.ts: `npm run nemesis -- [--runs 500] [--seed N] [--store folder|redis] [--at-once 2]`: random runs, each by its seed. A red one says how to run it again.

import { parseArgs } from 'node:util';
import { run } from './run.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '500' },
    seed: { type: 'string' },
    'at-once': { type: 'string', default: '2' },
    store: { type: 'string' },
  },
});
const isOne = values.seed !== undefined && process.argv.every((one) => !one.startsWith('--runs'));
const runs = isOne ? 1 : numberOf('runs', values.runs);
const first = values.seed === undefined ? Math.floor(Math.random() * 1_000_000_000) : numberOf('seed', values.seed);
const atOnce = numberOf('at-once', values['at-once']);

let next = 0;
let red = 0;
let arrivals = 0;
async function lane(): Promise<void> {
  while (next < runs) {
    const seed = first + next++;
    const started = Date.now();
    // Two in three over Redis: there is more that can fail.
    const store = values.store === 'folder' || values.store === 'redis' ? values.store : seed % 3 === 0 ? 'folder' : 'redis';
    const verdict = await run(seed, store);
    arrivals += verdict.arrivals;
    const isRed = verdict.faults.length > 0;
    if (isRed) red++;
    console.log(
      `${isRed ? 'not ok' : 'ok'} - seed ${seed} on ${store}: ${verdict.steps.length} steps, ${verdict.jobs} jobs, ${verdict.arrivals} calls in ${((Date.now() - started) / 1000).toFixed(1)} s`,
    );
    if (!isRed) continue;
    for (const step of verdict.steps) console.log(`    ${step}`);
    for (const fault of verdict.faults.slice(0, 20)) console.log(`  ! ${fault}`);
    console.log(`    again: npm run nemesis -- --seed ${seed} --store ${store}`);
  }
}
await Promise.all(Array.from({ length: Math.min(atOnce, runs) }, lane));
console.log(`${runs - red} of ${runs} runs held; ${arrivals} calls reached the oracle`);
process.exitCode = red > 0 ? 1 : 0;

function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  console.error(`--${name} is a whole number, and ${JSON.stringify(text)} is none`);
  process.exit(2);
}
