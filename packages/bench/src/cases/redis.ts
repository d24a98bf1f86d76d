// redis.ts: a graph of 100,000 sessions in Redis: registering, paging, its bytes, a stop of it, and a restart of the server
// until ten processes have confirmed a stop. Beside redis-benchmark on the same server, and the registry that marks each child.

import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { redisStore } from '@offswitch/redis';
import { formatStopKey, type StateStore } from '@offswitch/runtime';
import { type LocalRedis, startLocalRedis, whyNoRedis } from '@offswitch/testing';
import { createClient } from 'redis';
import { type Case, check, type Figure } from '../case.ts';
import { median, percentile, quiet, spread, timeEach } from '../measure.ts';

const sessions = 100_000;
const depth = 20;
/** One after another, and then this many at once. */
const oneByOne = 2_000;
const atOnce = 200;
const listeners = 10;
const details = { reason: 'bench', by: 'bench', at: 1 };

export const redis: Case = {
  figures: [
    'redis.register.seq',
    'redis.register.pipe',
    'redis.session.bytes',
    'redis.page.ms',
    `redis.latch.${sessions}.ms`,
    'redis.restart.ms',
    `naive.stop.${sessions}.ms`,
  ],
  why: whyNoRedis,
  async run() {
    const server = await startLocalRedis();
    const processes: ChildProcess[] = [];
    try {
      const store = redisStore({ url: server.url, anchor: false });
      await store.open();
      const graph = await measureGraph(server, store);
      for (let i = 0; i < listeners; i++) processes.push(await listener(server.url));
      const naive = await measureNaive(server.url);
      const restarted = await measureRestart(server, store);
      await store.close();
      return [...graph, restarted, naive];
    } finally {
      for (const one of processes) one.kill('SIGKILL');
      await server.close();
    }
  },
};

/** Chains of 19 that are widened by turns, so that every number of an index path is as long as it gets. */
function paths(): string[][] {
  const chains = Array.from({ length: 250 }, () => ['root']);
  const all: string[][] = [];
  for (let i = 0; all.length < sessions; i++) {
    const chain = chains[(i * 97) % chains.length]!;
    const id = `s${i.toString(36).padStart(15, '0')}`;
    all.push([...chain, id]);
    if (chain.length < depth - 1 && i % 3 === 0) chain.push(id);
  }
  return all;
}

async function measureGraph(server: LocalRedis, store: StateStore): Promise<Figure[]> {
  const register = async (path: readonly string[]): Promise<void> => {
    const session = path.at(-1)!;
    const { status } = await store.lineage.register({
      session,
      path,
      agent: 'writer',
      workflow: 'drafts',
      isLocalRoot: path.length === 1,
    });
    check(status === 'registered', `${session} was not registered but ${status}`);
  };
  await register(['warm']);
  await timeEach(500, (i) => register(['warm', `w-${i}`]));
  const before = await usedBytes(server);
  await register(['root']);
  const all = paths();
  const seq = await timeEach(oneByOne, (i) => register(all[i]!));
  const start = performance.now();
  for (let i = oneByOne; i < all.length; i += atOnce) await Promise.all(all.slice(i, i + atOnce).map(register));
  const pipePerSecond = ((all.length - oneByOne) * 1000) / (performance.now() - start);
  const bytes = ((await usedBytes(server)) - before) / sessions;
  const deep = all.filter((path) => path.length === depth).length;

  const pages: number[] = [];
  let count = 0;
  for (let after: string | undefined; ; ) {
    const at = performance.now();
    const page = await store.lineage.subtree('root', 'root', { limit: 1000, ...(after === undefined ? {} : { after }) });
    pages.push(performance.now() - at);
    count += page.sessions.length;
    after = page.next;
    if (after === undefined) break;
  }
  check(count === sessions + 1, `the pages held ${count} sessions`);
  await quiet();
  const marks = await timeEach(300, (i) => store.mark(stopKey(`l-${i}`), 'engaged', 0, details));
  return [
    {
      name: 'redis.register.seq',
      value: 1000 / median(seq),
      unit: 'a second',
      beside: { what: 'redis-benchmark SET, one client', value: benchmarkPerSecond(server, 1) },
      note: `${oneByOne} one after another, by the median of ${(median(seq) * 1000).toFixed(0)} us, p99 ${(percentile(seq, 0.99) * 1000).toFixed(0)}`,
    },
    {
      name: 'redis.register.pipe',
      value: pipePerSecond,
      unit: 'a second',
      beside: { what: `redis-benchmark SET, one client, pipeline of ${atOnce}`, value: benchmarkPerSecond(server, atOnce) },
      note: `mean of ${all.length - oneByOne}, ${atOnce} at once`,
    },
    {
      name: 'redis.session.bytes',
      value: bytes,
      unit: 'bytes',
      target: 400,
      note: `used_memory over ${sessions}, ${((deep / sessions) * 100).toFixed(0)} % of them at depth ${depth}`,
    },
    {
      name: 'redis.page.ms',
      value: median(pages),
      unit: 'ms',
      target: 5,
      note: `${pages.length} pages of 1,000, ${spread(pages)}`,
    },
    {
      name: `redis.latch.${sessions}.ms`,
      value: median(marks),
      unit: 'ms',
      target: 1,
      note: `300 stops, p99 ${percentile(marks, 0.99).toFixed(2)}`,
    },
  ];
}

/** The server is killed and started with all that it holds; until a stop is durable and every process has taken it in. */
async function measureRestart(server: LocalRedis, store: StateStore): Promise<Figure> {
  await server.kill();
  const start = performance.now();
  await server.start();
  const up = performance.now();
  const endsAt = start + 60_000;
  for (let i = 0; ; i++) {
    check(performance.now() < endsAt, 'nothing was confirmed within a minute of the restart');
    try {
      const key = stopKey(`r-${i}`);
      await store.mark(key, 'engaged', 0, details);
      const { confirmed, unconfirmed } = await store.lineage.confirm(key, 0);
      if (confirmed.length === listeners && unconfirmed.length === 0) break;
    } catch {
      // Not connected yet.
    }
  }
  const fenced = performance.now();
  check((await store.lineage.find('root', 'root')) !== undefined, 'the graph was lost');
  return {
    name: 'redis.restart.ms',
    value: fenced - start,
    unit: 'ms',
    beside: { what: 'until the server answers', value: up - start },
    note: `kill -9 with ${sessions} sessions, to the first stop that all have confirmed`,
  };
}

/** What is measured against: a set of children for each session, and a stop that walks them and marks each. */
async function measureNaive(url: string): Promise<Figure> {
  const client = createClient({ url });
  client.on('error', () => {});
  await client.connect();
  const byParent = new Map<string, string[]>();
  for (const path of paths()) {
    const parent = path.at(-2)!;
    byParent.set(parent, [...(byParent.get(parent) ?? []), path.at(-1)!]);
  }
  for (const [parent, children] of byParent) await client.sendCommand(['SADD', `naive:c:${parent}`, ...children]);
  const samples: number[] = [];
  for (let round = 0; round < 3; round++) {
    const start = performance.now();
    let marked = 0;
    for (let level = ['root']; level.length > 0; ) {
      const next: string[] = [];
      for (let i = 0; i < level.length; i += 1000) {
        const found = await Promise.all(
          level.slice(i, i + 1000).map(async (id) => {
            const [, children] = await Promise.all([
              client.sendCommand(['HSET', `naive:s:${id}`, 'stopped', String(round)]),
              client.sendCommand(['SMEMBERS', `naive:c:${id}`]),
            ]);
            return children as unknown as string[];
          }),
        );
        marked += found.length;
        for (const children of found) next.push(...children);
      }
      level = next;
    }
    samples.push(performance.now() - start);
    check(marked === sessions + 1, `the naive stop marked ${marked}`);
  }
  client.destroy();
  return {
    name: `naive.stop.${sessions}.ms`,
    value: median(samples),
    unit: 'ms',
    note: `each child marked, 1,000 at once; 3 rounds, ${spread(samples, 0)}; a child registered meanwhile escapes`,
  };
}

function stopKey(id: string): string {
  return formatStopKey({ kind: 'act', cause: 'operator', action: 'pause', tier: 'instance', subject: 'root', id });
}

async function usedBytes(server: LocalRedis): Promise<number> {
  const info = await server.command('INFO', 'memory');
  return Number(/^used_memory:(\d+)/m.exec(info)?.[1]);
}

function benchmarkPerSecond(server: LocalRedis, pipeline: number): number {
  const argv = ['-p', String(server.port), '-t', 'set', '-n', String(20_000 * Math.min(pipeline, 10)), '-c', '1'];
  const out = execFileSync('redis-benchmark', [...argv, '-P', String(pipeline), '--csv'], { encoding: 'utf8' });
  const perSecond = Number(/^"SET","([\d.]+)"/m.exec(out)?.[1]);
  check(perSecond > 0, 'redis-benchmark did not answer');
  return perSecond;
}

function listener(url: string): Promise<ChildProcess> {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL('../redis-listener.js', import.meta.url)), [url], { execArgv: [] });
    child.once('message', () => resolve(child));
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`a listener ended with ${code}`)));
  });
}
