// run.ts: one random run: a fleet, a nemesis, and a judge that believes only the oracle.

import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { flagFileControl } from '@offswitch/flag-file';
import { newPathKey } from '@offswitch/runtime';
import { openFaultProxy, startLocalRedis } from '@offswitch/testing';
import { actsOf } from './acts.ts';
import { judgeEpochs } from './epochs.ts';
import { Fleet } from './fleet.ts';
import { judgeGhosts } from './ghosts.ts';
import { judge, judgeReceipts, judgeSpending, judgeTokens } from './judge.ts';
import { openOracle } from './oracle.ts';
import { randomOf } from './random.ts';
import { leaseMs, leftAfter, type Redis, type Scene, wait } from './scene.ts';
import { machineMs, switches } from './switches.ts';

export interface Verdict {
  readonly seed: number;
  /** What was done, by name. */
  readonly acts: readonly string[];
  /** The same in words. */
  readonly steps: readonly string[];
  readonly faults: readonly string[];
  /** What processes warned of last. */
  readonly alarms: readonly string[];
  readonly arrivals: number;
  readonly jobs: number;
  /** Where what a red run left is. */
  readonly folder: string;
}

/** For a run that is red. */
const shownAlarms = 40;
/** Once the nemesis has left nothing stands still for longer, until all has ended. Milliseconds. */
const healWithinMs = 20_000;

/** The end of a run now and then: what was stopped stays stopped, and everybody holds until a person says otherwise. */
async function empty({ random, fleet, redis, fenced }: Scene): Promise<string> {
  await redis!.server.command('FLUSHALL');
  redis!.emptiedAt = machineMs();
  await wait(2 * leaseMs);
  if (random.below(2) === 0) await fleet.start().catch(() => {});
  await wait(leaseMs);
  return `FLUSHALL, with ${fenced.length} stops in force`;
}

/** One of so many runs over Redis ends with its data gone. */
const emptiedEvery = 6;

export interface RunOptions {
  /** Nothing is done but this act, again and again. */
  readonly only?: string | undefined;
  /** Every worker's store or broker breaks this rule (broken.ts). */
  readonly broken?: string | undefined;
}

/** Enough for everything, or, in one run of four, for about half of what is begun at first: then a cap pauses the rest. */
const capsMicros = [1_000_000, 1_800, 1_000_000, 1_000_000] as const;

export async function run(seed: number, store: 'folder' | 'redis', { only, broken }: RunOptions = {}): Promise<Verdict> {
  const random = randomOf(seed);
  const count = countOf(seed, store);
  const chance = randomOf(seed + 1);
  const capMicros = capsMicros[seed % capsMicros.length]!;
  const folder = await mkdtemp(join(tmpdir(), 'offswitch-nemesis-'));
  const state = join(folder, 'state');
  const flags = join(folder, 'switches.flagd.json');
  const control = flagFileControl(flags);
  await control.provision(switches, { apply: true });
  const oracle = await openOracle(() => chance.next());
  const redis = store === 'redis' ? await openRedis() : undefined;
  const fleet = new Fleet(
    { oracle: oracle.url, flags, folder: state, seed, leaseMs, capMicros, ...(broken === undefined ? {} : { broken }) },
    { OFFSWITCH_PATH_KEYS: newPathKey() },
    async () => (redis ? openFaultProxy({ port: redis.server.port }) : undefined),
  );
  const scene: Scene = {
    redis,
    folder: state,
    random,
    fleet,
    fenced: [],
    doomed: new Set(),
    pauses: [],
    capMicros,
    outages: [],
    jumped: new Map(),
    flip: async (kind, tier, subject) => {
      const flag = switches[tier];
      await control[kind]({
        flag: flag!,
        ...(subject === undefined ? {} : { target: subject }),
        reason: 'nemesis',
        by: 'nemesis',
      });
    },
  };
  const acts: string[] = [];
  const steps: string[] = [];
  const faults: string[] = [];
  try {
    await Promise.all([fleet.start(), fleet.start(), fleet.start()]);
    for (const worker of fleet.living) fleet.tell(worker, { type: 'start', jobs: 2 });
    const moves = actsOf(scene);
    const names = Object.keys(moves).filter((name) => only === undefined || name === only);
    if (names.length === 0)
      throw new Error(`nothing over a ${store} is called ${JSON.stringify(only)}; there are: ${Object.keys(moves).join('; ')}`);
    for (let step = 3 + random.below(4), i = 0; i < step; i++) {
      // The first two go round, so that a few runs do everything once; the others are chance.
      const name = i < 2 ? names[(2 * count + i) % names.length]! : random.pick(names);
      await wait(random.next() * 150);
      acts.push(name);
      steps.push(await moves[name]!(scene));
    }
    for (const [worker, ms] of scene.jumped) fleet.tell(worker, { type: 'jump', ms: -ms });
    if (redis && only === undefined && count % emptiedEvery === emptiedEvery - 1) {
      acts.push('take Redis’s data away');
      steps.push(await empty(scene));
    }
    faults.push(...judgeSpending(scene, oracle));
    const left = redis?.emptiedAt !== undefined ? [] : await healed(fleet);
    if (left.length > 0) faults.push(`I14: stuck after everything was released: ${left.join(', ')}`);
    if (left.length === 0 && redis?.emptiedAt === undefined)
      faults.push(
        ...(await judgeReceipts(scene)),
        ...(await judgeTokens(oracle)),
        ...(await judgeGhosts(scene)),
        ...(await judgeEpochs(scene)),
      );
    faults.push(...judge(scene, oracle));
  } catch (error) {
    faults.push(`the run itself failed: ${error instanceof Error ? error.stack : String(error)}`);
  } finally {
    await fleet.close();
    if (faults.length > 0)
      await keep(scene, folder, { wallLessMachineMs: Date.now() - machineMs(), steps, arrivals: oracle.arrivals }).catch(
        (error) => console.error(`not everything is kept of what it left: ${String(error)}`),
      );
    await redis?.server.close();
    await oracle.close();
    // Of a red run it is kept, for whoever looks into it.
    if (faults.length === 0) await rm(folder, { recursive: true, force: true });
  }
  return {
    seed,
    acts,
    steps,
    faults,
    alarms: fleet.alarms.slice(-shownAlarms),
    arrivals: oracle.arrivals.length,
    jobs: fleet.jobs.size,
    folder,
  };
}

/** The how manyth run over its store this is, counted by seeds. Two in three are over Redis: there is more that can fail. */
export function storeOf(seed: number): 'folder' | 'redis' {
  return seed % 3 === 0 ? 'folder' : 'redis';
}
function countOf(seed: number, store: 'folder' | 'redis'): number {
  const thirds = Math.floor(seed / 3);
  return store === 'folder' ? thirds : 2 * thirds + Math.max(0, (seed % 3) - 1);
}

async function openRedis(): Promise<Redis> {
  return { server: await startLocalRedis({ config: [['appendfsync', 'always']] }), emptiedAt: undefined };
}

/** What arrived and what processes told, and Redis's append-only files, on which a server can be started. */
async function keep({ redis, fleet }: Scene, folder: string, what: object): Promise<void> {
  const { stages, alarms } = fleet;
  await writeFile(join(folder, 'run.json'), JSON.stringify({ ...what, stages, ends: [...fleet.ends], alarms }, undefined, 1));
  if (!redis) return;
  const [, dir = ''] = (await redis.server.command('CONFIG', 'GET', 'dir')).split('\n');
  await cp(dir, join(folder, 'redis'), { recursive: true });
}

/** Waits until nobody runs or rests anywhere; who still does. */
function healed(fleet: Fleet): Promise<readonly string[]> {
  return leftAfter(healWithinMs, async () => {
    const left: string[] = [];
    if (fleet.living[0]) fleet.tell(fleet.living[0], { type: 'raise' });
    for (const worker of fleet.living) {
      const seen = await fleet.look(worker);
      if (!seen) left.push(`${worker.name} does not answer`);
      for (const { id, state, doing } of seen ?? [])
        if (!over.has(state)) left.push(`${id} ${state} at ${worker.name} (${doing})`);
    }
    return left;
  });
}
const over: ReadonlySet<string> = new Set(['completed', 'terminated', 'failed', 'elsewhere']);
