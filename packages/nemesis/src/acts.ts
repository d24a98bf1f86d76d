// acts.ts: what the nemesis can do to a fleet, and to the store that it shares.

import { once } from 'node:events';
import { copyFile, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from 'redis';
import type { Worker } from './fleet.ts';
import { leaseMs, type Scene, wait } from './scene.ts';
import { type Moment, machineMs, moments } from './switches.ts';

const cuts = ['drop', 'reset', 'black-hole', 'refuse', 'half-frame'] as const;

/** Each answers, for people, what it did. */
type Acts = Readonly<Record<string, (scene: Scene) => Promise<string>>>;

interface Found {
  readonly worker: Worker;
  readonly session: string;
}

interface Spanning extends Found {
  readonly there: Worker;
}

/** A stop comes to each of its moments within so long, or does not at all: the session was over, or another process could not be asked. Milliseconds. */
const comesWithinMs = 2_500;

/** Any session of the fleet that runs now: a root or a sub-agent, here or there. */
async function anySession({ random, fleet }: Scene): Promise<Found | undefined> {
  for (let attempt = 0; attempt < 5; attempt++) {
    const worker = random.pick(fleet.living);
    const running = (await fleet.look(worker))?.filter((one) => one.state === 'running') ?? [];
    if (running.length > 0) return { worker, session: random.pick(running).id };
    await wait(20);
  }
  return undefined;
}

/** How often is looked whether a graph has come to stand in two workers, and how long between two looks. Milliseconds. */
const looksForSpanning = 100;
const lookAgainMs = 50;

/** What runs in one worker and has a sub-agent at another: to be stopped in the first, and refused at the second. */
async function spanning({ random, fleet }: Scene): Promise<Spanning | undefined> {
  for (let attempt = 0; attempt < looksForSpanning; attempt++) {
    const running = await Promise.all(
      fleet.living.map(async (worker) => ({
        worker,
        sessions: ((await fleet.look(worker)) ?? []).filter(({ state }) => state === 'running'),
      })),
    );
    const found = running.flatMap(({ worker, sessions }) =>
      sessions.flatMap(({ id: session }) =>
        running
          .filter((one) => one.worker !== worker && one.sessions.some(({ path }) => path.slice(0, -1).includes(session)))
          .map((one) => ({ worker, session, there: one.worker })),
      ),
    );
    if (found.length > 0) return random.pick(found);
    await wait(lookAgainMs);
  }
  return undefined;
}

/** Takes a worker out for a while, and has another one stop what has sub-agents at the first. */
async function stopWhile(
  scene: Scene,
  what: string,
  { out, forMs, back }: { out(worker: Worker): unknown; readonly forMs: number; back(worker: Worker): unknown },
): Promise<string> {
  const { random, fleet } = scene;
  if (fleet.living.length < 2) return `${what} nobody`;
  const across = await spanning(scene);
  const found = across ?? (await anySession(scene));
  const worker = across?.there ?? random.pick(fleet.living.filter((one) => one !== found?.worker));
  await out(worker);
  const stopping = found ? stop(scene, found) : 'stop of nobody';
  await wait(forMs);
  await back(worker);
  return `${what} ${worker.name} for ${forMs.toFixed(0)} ms; ${await stopping}`;
}

async function stop(scene: Scene, { worker, session }: Found, dieAt?: Moment): Promise<string> {
  scene.doomed.add(session);
  const told = await scene.fleet.stop(worker, session, dieAt);
  if (told?.fenced) {
    scene.fenced.push({ session, at: told.at, by: worker.name });
    void hearRevoked(scene, session);
  }
  return `stop of ${session} through ${worker.name}: ${told?.error ?? (told?.fenced ? 'fenced' : 'not told')}`;
}

/** Receipts are asked for that long, so often. Milliseconds. */
const revokedWithinMs = 3_000;
const receiptsAgainMs = 50;

/** Notes when the receipt of a stop says that access is revoked. */
async function hearRevoked({ fleet }: Scene, session: string): Promise<void> {
  const until = machineMs() + revokedWithinMs;
  while (machineMs() < until) {
    const worker = fleet.living[0];
    const receipts = worker && (await fleet.receipts(worker));
    const at = machineMs();
    if (worker && receipts?.some((one) => one.session === session && one.stages.includes('revoked'))) {
      fleet.stages.push({ stop: { action: 'terminate', session }, stage: 'revoked', at, by: worker.name, isJoined: true });
      return;
    }
    await wait(receiptsAgainMs);
  }
}

async function terminate(scene: Scene): Promise<string> {
  const found = await anySession(scene);
  return found ? stop(scene, found) : 'stop of nobody';
}

async function pause({ flip, pauses }: Scene, ms: number, user?: string): Promise<void> {
  const tier = user === undefined ? 'global' : 'user';
  const from = machineMs();
  await flip('engage', tier, user);
  await wait(ms);
  pauses.push({ user, from, to: machineMs() });
  await flip('release', tier, user);
}

function frozen({ fleet }: Scene): { out(worker: Worker): void; back(worker: Worker): void } {
  return { out: (worker) => fleet.freeze(worker), back: (worker) => fleet.thaw(worker) };
}

async function killCoordinator(
  scene: Scene,
  when: string,
  kill: (worker: Worker) => Promise<unknown>,
  dieAt?: Moment,
): Promise<string> {
  const { fleet } = scene;
  const found = await anySession(scene);
  if (!found) return 'kill no coordinator';
  const stopping = stop(scene, found, dieAt);
  await kill(found.worker);
  const isGone = found.worker.isDead;
  fleet.kill(found.worker);
  const said = await stopping;
  await fleet.start();
  return `kill -9 ${found.worker.name} ${isGone ? when : `which did not come to be ${when}`}; ${said}`;
}

async function outage({ outages }: Scene, during: () => Promise<void>): Promise<void> {
  const from = machineMs();
  await during();
  outages.push({ from, to: machineMs() });
}

/** What can be done to a fleet. Each answers what it did. */
const anywhere: Acts = {
  terminate,
  'kill a worker': async ({ random, fleet }) => {
    const worker = random.pick(fleet.living);
    fleet.kill(worker);
    await fleet.start();
    return `kill -9 ${worker.name}`;
  },
  'kill the coordinator, some milliseconds in': async (scene) => {
    const afterMs = scene.random.next() * 12;
    return killCoordinator(scene, `${afterMs.toFixed(1)} ms in`, async (worker) => {
      await wait(afterMs);
      scene.fleet.kill(worker);
    });
  },
  ...Object.fromEntries(
    moments.map((moment) => [
      `kill the coordinator: ${moment}`,
      (scene: Scene) =>
        killCoordinator(scene, moment, ({ child }) => Promise.race([once(child, 'exit'), wait(comesWithinMs)]), moment),
    ]),
  ),
  'freeze the coordinator': async (scene) => {
    const { random, fleet } = scene;
    const found = fleet.living.length < 2 ? undefined : await anySession(scene);
    if (!found) return 'freeze no coordinator';
    const stopping = stop(scene, found);
    await wait(random.next() * 12);
    fleet.freeze(found.worker);
    await wait(leaseMs * (0.5 + 1.5 * random.next()));
    fleet.thaw(found.worker);
    return `freeze ${found.worker.name} in its ${await stopping}`;
  },
  'freeze a worker, and stop meanwhile': (scene) =>
    stopWhile(scene, 'freeze', { ...frozen(scene), forMs: 200 + scene.random.next() * 1_300 }),
  'pause everything for a while': async (scene) => {
    const ms = scene.random.next() * 700;
    await pause(scene, ms);
    return `engage global for ${ms.toFixed(0)} ms`;
  },
  'pause a user for a while': async (scene) => {
    const user = `u-${scene.random.pick(scene.fleet.workers).name}`;
    const ms = scene.random.next() * 400;
    await pause(scene, ms, user);
    return `engage user ${user} for ${ms.toFixed(0)} ms`;
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
  'kill all at once, and start ten': async (scene) => {
    const { fleet } = scene;
    await outage(scene, async () => {
      for (const worker of fleet.living) fleet.kill(worker);
      await Promise.all(Array.from({ length: 10 }, () => fleet.start()));
    });
    return 'kill -9 all; ten resume at once';
  },
};

/** What can be done to a fleet whose state is in Redis. */
const atRedis: Acts = {
  'kill Redis': async (scene) => {
    const { server } = scene.redis!;
    let stopping = Promise.resolve('');
    await outage(scene, async () => {
      await server.kill();
      stopping = terminate(scene);
      await wait(scene.random.next() * 2 * leaseMs);
      await server.start();
    });
    return `kill -9 Redis; ${await stopping}`;
  },
  'freeze Redis': async (scene) => {
    await outage(scene, async () => {
      scene.redis!.server.halt();
      await wait(scene.random.next() * 2 * leaseMs);
      scene.redis!.server.goOn();
    });
    return 'freeze Redis';
  },
  'cut all connections': async (scene) => {
    const { random, fleet } = scene;
    const mode = random.pick(cuts);
    await outage(scene, async () => {
      await Promise.all(fleet.workers.map(({ way }) => way!.mode(mode)));
      await wait(random.next() * 2 * leaseMs);
      await Promise.all(fleet.workers.map(({ way }) => way!.heal()));
    });
    return `the connections to Redis: ${mode}`;
  },
  'cut a worker off, and stop meanwhile': (scene) => {
    const mode = scene.random.pick(cuts);
    return stopWhile(scene, `cut off (${mode})`, {
      out: ({ way }) => way!.mode(mode),
      forMs: scene.random.next() * 2 * leaseMs,
      back: ({ way }) => way!.heal(),
    });
  },
  'freeze a worker past its lease': (scene) =>
    stopWhile(scene, 'freeze', { ...frozen(scene), forMs: leaseMs * (1.2 + scene.random.next()) }),
  'say everything again, and in another order': async (scene) => {
    const said = await terminate(scene);
    const client = createClient({ url: scene.redis!.server.url });
    client.on('error', () => {});
    await client.connect();
    const streams = ['os1:{ctl}:ev', ...(await client.keys('os1:{ctl}:in:*'))];
    let count = 0;
    for (const stream of streams) {
      const entries = (await client.xRange(stream, '-', '+')) ?? [];
      if (entries.length === 0) continue;
      for (let i = 0; i < 20; i++, count++) await client.xAdd(stream, '*', scene.random.pick(entries).message);
    }
    client.destroy();
    return `${said}; ${count} messages again, of ${streams.length} streams`;
  },
};

const atFolder: Acts = {
  'say everything again, and in another order': async (scene) => {
    const said = await terminate(scene);
    const stops = join(scene.folder, 'stops');
    const names = (await readdir(stops)).filter((name) => !name.startsWith('.')).sort(() => scene.random.next() - 0.5);
    for (const name of names) {
      await copyFile(join(stops, name), join(scene.folder, 'again'));
      await rename(join(scene.folder, 'again'), join(stops, name));
    }
    return `${said}; ${names.length} stops again`;
  },
};

export function actsOf({ redis }: Pick<Scene, 'redis'>): Acts {
  return { ...anywhere, ...(redis ? atRedis : atFolder) };
}
