// main.ts: `npm run nemesis -- [--runs 500] [--seed N] [--store folder|redis] [--at-once 2] [--act name]`: random runs, each by its seed. A red one says how to run it again.

import { parseArgs } from 'node:util';
import { run, storeOf } from './run.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '500' },
    seed: { type: 'string' },
    'at-once': { type: 'string', default: '2' },
    store: { type: 'string' },
    act: { type: 'string' },
  },
});
const isOne = values.seed !== undefined && process.argv.every((one) => !one.startsWith('--runs'));
const runs = isOne ? 1 : numberOf('runs', values.runs);
const first = values.seed === undefined ? Math.floor(Math.random() * 1_000_000_000) : numberOf('seed', values.seed);
const atOnce = numberOf('at-once', values['at-once']);

let next = 0;
let red = 0;
let arrivals = 0;
const none = { folder: 0, redis: 0 };
const ran = { ...none };
/** In how many runs each act was, by store. */
const did = new Map<string, { folder: number; redis: number }>();
async function lane(): Promise<void> {
  while (next < runs) {
    const seed = first + next++;
    const started = Date.now();
    const store = values.store === 'folder' || values.store === 'redis' ? values.store : storeOf(seed);
    const verdict = await run(seed, store, values.act);
    arrivals += verdict.arrivals;
    ran[store]++;
    for (const act of new Set(verdict.acts))
      did.set(act, { ...none, ...did.get(act), [store]: (did.get(act)?.[store] ?? 0) + 1 });
    const isRed = verdict.faults.length > 0;
    if (isRed) red++;
    console.log(
      `${isRed ? 'not ok' : 'ok'} - seed ${seed} on ${store}: ${verdict.steps.length} steps, ${verdict.jobs} jobs, ${verdict.arrivals} calls in ${((Date.now() - started) / 1000).toFixed(1)} s`,
    );
    if (!isRed) continue;
    for (const step of verdict.steps) console.log(`    ${step}`);
    for (const fault of verdict.faults.slice(0, 20)) console.log(`  ! ${fault}`);
    for (const alarm of verdict.alarms) console.log(`  ~ ${alarm}`);
    console.log(
      `    again: npm run nemesis -- --seed ${seed} --store ${store}${values.act === undefined ? '' : ` --act '${values.act}'`}`,
    );
  }
}
await Promise.all(Array.from({ length: Math.min(atOnce, runs) }, lane));
console.log(`\nwhat was done, in how many runs:   folder (of ${ran.folder})   redis (of ${ran.redis})`);
for (const [act, { folder, redis }] of [...did].sort(([a], [b]) => (a < b ? -1 : 1)))
  console.log(`  ${act.padEnd(46)} ${String(folder).padStart(5)} ${String(redis).padStart(8)}`);
console.log(`${runs - red} of ${runs} runs held; ${arrivals} calls reached the oracle`);
process.exitCode = red > 0 ? 1 : 0;

function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  console.error(`--${name} is a whole number, and ${JSON.stringify(text)} is none`);
  process.exit(2);
}
