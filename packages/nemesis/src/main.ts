// main.ts: `npm run nemesis`: random runs, each by its seed. A red one says how to run it again. With `--broken` all is well where the judge
// says so.

import { parseArgs } from 'node:util';
import { type Broken, broken } from './broken.ts';
import { run, storeOf } from './run.ts';

const usage = `npm run nemesis -- [options]     random runs of processes that are killed, frozen and cut off (docs/nemesis.md)
  --runs N        how many (500)
  --seed N        of the first; alone: this one run again
  --store NAME    folder or redis (a folder in one of three)
  --at-once N     how many at the same time (2)
  --act NAME      do nothing else; a name that is none lists them
  --broken NAME   with a protocol that breaks a rule: ${Object.keys(broken).join(', ')}`;

const values = read();
const fault = faultOf(values.broken);
const act = values.act ?? fault?.act;
const isOne = values.seed !== undefined && process.argv.every((one) => !one.startsWith('--runs'));
const runs = isOne ? 1 : numberOf('runs', values.runs);
const first = values.seed === undefined ? Math.floor(Math.random() * 1_000_000_000) : numberOf('seed', values.seed);
const atOnce = numberOf('at-once', values['at-once']);

let next = 0;
let red = 0;
/** Runs in which the judge named what the broken rule is about. */
let convicted = 0;
let arrivals = 0;
const none = { folder: 0, redis: 0 };
const ran = { ...none };
/** In how many runs each act was, by store. */
const did = new Map<string, { folder: number; redis: number }>();
async function lane(): Promise<void> {
  while (next < runs) {
    const seed = first + next++;
    const started = Date.now();
    const store = values.store ?? storeOf(seed);
    const verdict = await run(seed, store, { only: act, broken: values.broken });
    arrivals += verdict.arrivals;
    ran[store]++;
    for (const act of new Set(verdict.acts))
      did.set(act, { ...none, ...did.get(act), [store]: (did.get(act)?.[store] ?? 0) + 1 });
    const isRed = verdict.faults.length > 0;
    if (isRed) red++;
    if (fault && verdict.faults.some((one) => fault.convicts.test(one))) convicted++;
    console.log(
      `${isRed ? 'not ok' : 'ok'} - seed ${seed} on ${store}: ${verdict.steps.length} steps, ${verdict.jobs} jobs, ${verdict.arrivals} calls in ${((Date.now() - started) / 1000).toFixed(1)} s`,
    );
    if (!isRed) continue;
    for (const step of verdict.steps) console.log(`    ${step}`);
    for (const fault of verdict.faults.slice(0, 20)) console.log(`  ! ${fault}`);
    for (const alarm of verdict.alarms) console.log(`  ~ ${alarm}`);
    console.log(`    what it left is in ${verdict.folder}`);
    console.log(
      `    again: npm run nemesis -- --seed ${seed} --store ${store}${act === undefined ? '' : ` --act '${act}'`}${values.broken === undefined ? '' : ` --broken ${values.broken}`}`,
    );
  }
}
await Promise.all(Array.from({ length: Math.min(atOnce, runs) }, lane));
console.log(`\nwhat was done, in how many runs:   folder (of ${ran.folder})   redis (of ${ran.redis})`);
for (const [act, { folder, redis }] of [...did].sort(([a], [b]) => (a < b ? -1 : 1)))
  console.log(`  ${act.padEnd(46)} ${String(folder).padStart(5)} ${String(redis).padStart(8)}`);
console.log(`${runs - red} of ${runs} runs held; ${arrivals} calls reached the oracle`);
if (fault) console.log(`${values.broken}: convicted in ${convicted} of ${runs} runs`);
process.exitCode = (fault ? convicted > 0 : red === 0) ? 0 : 1;

function read() {
  try {
    const { values } = parseArgs({
      options: {
        runs: { type: 'string', default: '500' },
        seed: { type: 'string' },
        'at-once': { type: 'string', default: '2' },
        store: { type: 'string' },
        act: { type: 'string' },
        broken: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      console.log(usage);
      process.exit(0);
    }
    const { store } = values;
    if (store === undefined) return { ...values, store };
    if (store === 'folder' || store === 'redis') return { ...values, store } as const;
    return refuse(`--store is folder or redis, not ${JSON.stringify(store)}`);
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function refuse(why: string): never {
  console.error(`${why}\n\n${usage}`);
  process.exit(2);
}

function faultOf(name: string | undefined): Broken | undefined {
  if (name === undefined || Object.hasOwn(broken, name)) return name === undefined ? undefined : broken[name];
  return refuse(`--broken is one of ${Object.keys(broken).join(', ')}`);
}

function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  return refuse(`--${name} is a whole number, and ${JSON.stringify(text)} is none`);
}
