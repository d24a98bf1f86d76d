// run.ts: one random run: a fleet, a nemesis, and a judge that believes only the oracle.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { flagFileControl } from '@offswitch/flag-file';
import { newPathKey } from '@offswitch/runtime';
import { type FaultProxy, type LocalRedis, openFaultProxy, startLocalRedis } from '@offswitch/testing';
import { createClient } from 'redis';
import { Fleet, type Worker } from './fleet.ts';
import { type Arrival, openOracle } from './oracle.ts';
import { type Random, randomOf } from './random.ts';
import { switches } from './switches.ts';

/** A stop that somebody was told is fenced. */
interface Fenced {
  readonly session: string;
  readonly at: number;
  readonly by: string;
}

export interface Verdict {
  readonly seed: number;
  readonly steps: readonly string[];
  readonly faults: readonly string[];
  readonly arrivals: number;
  readonly jobs: number;
}

/** An end is told within so long. Milliseconds. */
const toldWithinMs = 2_000;
/** How long everything gets to end once the nemesis has left. Milliseconds. */
const healWithinMs = 20_000;

/** The store of a run: its server, and the way to it, which can be cut. */
interface Redis {
  readonly server: LocalRedis;
  readonly proxy: FaultProxy;
  /** Its data was taken away: everything must hold, and nothing can be expected to end. */
  isEmptied: boolean;
}

interface Scene {
  readonly redis: Redis | undefined;
  readonly random: Random;
  readonly fleet: Fleet;
  readonly fenced: Fenced[];
  /** Sessions that were to be terminated, whether or not anybody was told. */
  readonly doomed: Set<string>;
  /** Wrong clocks, by worker: put right when the nemesis leaves. */
  readonly jumped: Map<Worker, number>;
  readonly flip: (kind: 'engage' | 'release', tier: 'global' | 'user', subject?: string) => Promise<void>;
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Any session of the fleet that runs now: a root or a sub-agent, here or there. */
async function anySession({ random, fleet }: Scene): Promise<{ readonly worker: Worker; readonly session: string } | undefined> {
  for (let attempt = 0; attempt < 5; attempt++) {
    const worker = random.pick(fleet.living);
    const running = (await fleet.look(worker))?.filter((one) => one.state === 'running') ?? [];
    if (running.length > 0) return { worker, session: random.pick(running).id };
    await wait(20);
  }
  return undefined;
}

async function terminate(scene: Scene): Promise<string> {
  const found = await anySession(scene);
  if (!found) return 'terminate nobody';
  scene.doomed.add(found.session);
  const told = await scene.fleet.stop(found.worker, found.session, 'terminate');
  if (told?.fenced) scene.fenced.push({ session: found.session, at: told.at, by: found.worker.name });
  return `terminate ${found.session} through ${found.worker.name}: ${told?.error ?? (told?.fenced ? 'fenced' : 'not told')}`;
}

/** What can be done to a fleet. Each answers what it did. */
const anywhere: Readonly<Record<string, (scene: Scene) => Promise<string>>> = {
  terminate,
  'terminate again': terminate,
  'kill a worker': async ({ random, fleet }) => {
    const worker = random.pick(fleet.living);
    fleet.kill(worker);
    await fleet.start();
    return `kill -9 ${worker.name}`;
  },
  'kill the coordinator in the middle of its stop': async (scene) => {
    const { random, fleet } = scene;
    const found = await anySession(scene);
    if (!found) return 'kill no coordinator';
    scene.doomed.add(found.session);
    const afterMs = random.next() * 12;
    const stopping = fleet.stop(found.worker, found.session, 'terminate');
    await wait(afterMs);
    fleet.kill(found.worker);
    const told = await stopping;
    if (told?.fenced) scene.fenced.push({ session: found.session, at: told.at, by: found.worker.name });
    await fleet.start();
    return `kill -9 ${found.worker.name} ${afterMs.toFixed(1)} ms into its stop of ${found.session}`;
  },
  'freeze a worker, and stop meanwhile': async (scene) => {
    const { random, fleet } = scene;
    if (fleet.living.length < 2) return 'freeze nobody';
    const worker = random.pick(fleet.living);
    fleet.freeze(worker);
    const stopping = terminate(scene);
    await wait(200 + random.next() * 1_300);
    fleet.thaw(worker);
    return `freeze ${worker.name}; ${await stopping}`;
  },
  'pause everything for a while': async ({ random, flip }) => {
    await flip('engage', 'global');
    const ms = random.next() * 700;
    await wait(ms);
    await flip('release', 'global');
    return `engage global for ${ms.toFixed(0)} ms`;
  },
  'pause a user for a while': async ({ random, fleet, flip }) => {
    const user = `u-${random.pick(fleet.workers).name}`;
    await flip('engage', 'user', user);
    await wait(random.next() * 400);
    await flip('release', 'user', user);
    return `engage user ${user} for a while`;
  },
  'storm of spawns under a stop': async (scene) => {
    const { random, fleet } = scene;
    fleet.tell(random.pick(fleet.living), { type: 'start', jobs: 12 });
    const said: string[] = [];
    for (let i = 0; i < 3; i++) said.push(await terminate(scene));
    return `storm; ${said.join('; ')}`;
  },
  'jump a clock': async ({ random, fleet, jumped }) => {
    const worker = random.pick(fleet.living);
    const ms = random.pick([-3_600_000, 3_600_000, -5_000, 5_000]);
    fleet.tell(worker, { type: 'jump', ms });
    jumped.set(worker, (jumped.get(worker) ?? 0) + ms);
    return `jump the clock of ${worker.name} by ${ms} ms`;
  },
  'kill all at once, and start ten': async ({ fleet }) => {
    for (const worker of fleet.living) fleet.kill(worker);
    await Promise.all(Array.from({ length: 10 }, () => fleet.start()));
    return 'kill -9 all; ten resume at once';
  },
};

/** What can be done to a fleet whose state is in Redis. */
const atRedis: Readonly<Record<string, (scene: Scene) => Promise<string>>> = {
  'kill Redis': async (scene) => {
    const { server } = scene.redis!;
    await server.kill();
    const stopping = terminate(scene);
    await wait(scene.random.next() * 2 * leaseMs);
    await server.start();
    return `kill -9 Redis; ${await stopping}`;
  },
  'freeze Redis': async (scene) => {
    scene.redis!.server.halt();
    await wait(scene.random.next() * 2 * leaseMs);
    scene.redis!.server.goOn();
    return 'freeze Redis';
  },
  'cut the connection': async ({ random, redis }) => {
    const mode = random.pick(['drop', 'reset', 'black-hole', 'refuse', 'half-frame'] as const);
    await redis!.proxy.mode(mode);
    await wait(random.next() * 2 * leaseMs);
    await redis!.proxy.heal();
    return `the connection to Redis: ${mode}`;
  },
  'freeze a worker past its lease': async (scene) => {
    const { random, fleet } = scene;
    if (fleet.living.length < 2) return 'freeze nobody';
    const worker = random.pick(fleet.living);
    fleet.freeze(worker);
    const stopping = terminate(scene);
    await wait(leaseMs * (1.2 + random.next()));
    fleet.thaw(worker);
    return `freeze ${worker.name} past its lease; ${await stopping}`;
  },
  'say everything again, and in another order': async ({ random, redis }) => {
    const client = createClient({ url: redis!.server.url });
    client.on('error', () => {});
    await client.connect();
    const entries = (await client.xRange('os1:{ctl}:ev', '-', '+')) ?? [];
    if (entries.length > 0) for (let i = 0; i < 20; i++) await client.xAdd('os1:{ctl}:ev', '*', random.pick(entries).message);
    client.destroy();
    return `repeat 20 of ${entries.length} messages`;
  },
};

/** The end of a run now and then: what was stopped stays stopped, and everybody holds until a person says otherwise. */
async function empty({ random, fleet, redis, fenced }: Scene): Promise<string> {
  redis!.isEmptied = true;
  await redis!.server.command('FLUSHALL');
  await wait(2 * leaseMs);
  if (random.below(2) === 0) await fleet.start().catch(() => {});
  await wait(leaseMs);
  return `FLUSHALL, with ${fenced.length} stops in force`;
}

/** Short, so that a run has many. Milliseconds. */
const leaseMs = 600;
/** One of so many runs over Redis ends with its data gone. */
const emptiedEvery = 6;

export async function run(seed: number, store: 'folder' | 'redis'): Promise<Verdict> {
  const random = randomOf(seed);
  const chance = randomOf(seed + 1);
  const folder = await mkdtemp(join(tmpdir(), 'offswitch-nemesis-'));
  const flags = join(folder, 'switches.flagd.json');
  const control = flagFileControl(flags);
  await control.provision(switches, { apply: true });
  const oracle = await openOracle(() => chance.next());
  const redis = store === 'redis' ? await openRedis() : undefined;
  const where = redis ? { redis: `redis://127.0.0.1:${redis.proxy.port}` } : {};
  const fleet = new Fleet(
    { oracle: oracle.url, flags, folder: join(folder, 'state'), seed, leaseMs, ...where },
    { OFFSWITCH_PATH_KEYS: newPathKey() },
  );
  const scene: Scene = {
    redis,
    random,
    fleet,
    fenced: [],
    doomed: new Set(),
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
  const steps: string[] = [];
  const faults: string[] = [];
  try {
    await Promise.all([fleet.start(), fleet.start(), fleet.start()]);
    for (const worker of fleet.living) fleet.tell(worker, { type: 'start', jobs: 2 });
    const moves = redis ? { ...anywhere, ...atRedis } : anywhere;
    const names = Object.keys(moves);
    for (let step = 3 + random.below(4); step > 0; step--) {
      await wait(random.next() * 150);
      steps.push(await moves[random.pick(names)]!(scene));
    }
    for (const [worker, ms] of scene.jumped) fleet.tell(worker, { type: 'jump', ms: -ms });
    if (redis && random.below(emptiedEvery) === 0) steps.push(await empty(scene));
    const left = redis?.isEmptied ? [] : await healed(fleet);
    if (left.length > 0) faults.push(`I14: stuck after everything was released: ${left.join(', ')}`);
    faults.push(...judge(scene, oracle.arrivals));
  } catch (error) {
    faults.push(`the run itself failed: ${error instanceof Error ? error.stack : String(error)}`);
  } finally {
    await fleet.close();
    await redis?.proxy.close();
    await redis?.server.close();
    await oracle.close();
    await rm(folder, { recursive: true, force: true });
  }
  return { seed, steps, faults, arrivals: oracle.arrivals.length, jobs: fleet.jobs.size };
}

async function openRedis(): Promise<Redis> {
  const server = await startLocalRedis();
  return { server, proxy: await openFaultProxy({ port: server.port }), isEmptied: false };
}

/** Waits until nobody runs or rests anywhere; who still does. */
async function healed(fleet: Fleet): Promise<readonly string[]> {
  const until = Date.now() + healWithinMs;
  for (;;) {
    const left: string[] = [];
    for (const worker of fleet.living) {
      const seen = await fleet.look(worker);
      if (!seen) left.push(`${worker.name} does not answer`);
      for (const { id, state, doing } of seen ?? [])
        if (!over.has(state)) left.push(`${id} ${state} at ${worker.name} (${doing})`);
    }
    if (left.length === 0 || Date.now() > until) return left;
    await wait(100);
  }
}
const over: ReadonlySet<string> = new Set(['completed', 'terminated', 'failed', 'elsewhere']);

function judge({ fenced, doomed, fleet }: Scene, arrivals: readonly Arrival[]): string[] {
  const faults: string[] = [];
  const seen = new Map<string, Arrival[]>();
  for (const one of arrivals) seen.set(one.key, [...(seen.get(one.key) ?? []), one]);
  for (const [key, twice] of seen) {
    // Frozen with the call on its way, taken for dead, and thawed: what it sends then nobody can take back (docs/nemesis.md).
    const counted = twice.filter((one) => !wasFrozenOnTheWay(fleet, one));
    if (counted.length > 1)
      faults.push(`I9: the effect ${key} arrived ${counted.length} times, from ${counted.map((one) => one.worker).join(', ')}`);
  }
  for (const stop of fenced)
    for (const one of arrivals)
      if (one.path.includes(stop.session) && one.startedAt > stop.at)
        faults.push(
          `I1: ${one.path.at(-1)} at ${one.worker} began a call ${(one.startedAt - stop.at).toFixed(1)} ms after ${stop.by} was told that ${stop.session} is fenced`,
        );
  for (const [session, status] of fleet.jobs) {
    // It may have completed in the moment before, and somebody else be told first.
    const stop = fenced.find((one) => one.session === session);
    if (stop && status?.status === 'completed' && status.at > stop.at + toldWithinMs)
      faults.push(`S6: ${session} was terminated, and completed`);
    if (!doomed.has(session) && status?.status === 'terminated')
      faults.push(`I7: ${session} was terminated, and nobody asked for that`);
    if (status?.status === 'failed') faults.push(`${session} failed`);
  }
  return faults;
}

function wasFrozenOnTheWay(fleet: Fleet, { worker, startedAt, at }: Arrival): boolean {
  const freezes = fleet.workers.find((one) => one.name === worker)?.freezes ?? [];
  return freezes.some((froze) => startedAt <= froze && froze <= at);
}
