// graph.ts: one graph over ten processes that call as fast as they may, stopped by the express lane: how long until all ten have
// confirmed, and how long after the flip the last call of any of them began.

import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { redisStore } from '@offswitch/redis';
import { formatStopKey, newPathKey, type StateStore } from '@offswitch/runtime';
import { startLocalRedis, whyNoRedis } from '@offswitch/testing';
import { type Case, check } from '../case.ts';
import type { GraphNews, GraphOrder } from '../graph-worker.ts';
import { machineMs, median, percentile } from '../measure.ts';

const processes = 10;
/** What a process does for the first time is slow, and these have been up for a while. */
const warmRounds = 50;
const rounds = 200;
/** For every process to make its first call. Milliseconds. */
const withinMs = 20_000;
const worker = fileURLToPath(new URL('../graph-worker.js', import.meta.url));

export const graph: Case = {
  figures: ['graph.confirm.10.p50.ms', 'graph.lastcall.10.p50.ms', 'graph.lastcall.10.p99.ms'],
  why: whyNoRedis,
  async run() {
    const server = await startLocalRedis();
    const workers: Worker[] = [];
    const keys = newPathKey();
    const operator = redisStore({ url: server.url, anchor: false });
    try {
      for (let i = 0; i < processes; i++) workers.push(await Worker.start(server.url, keys, i === 0 ? processes - 1 : 0));
      await operator.open();
      const confirms: number[] = [];
      const lastCalls: number[] = [];
      for (let round = 0; round < warmRounds + rounds; round++) {
        const { confirmMs, lastCallMs } = await stopOne(operator, workers);
        if (round < warmRounds) continue;
        confirms.push(confirmMs);
        lastCalls.push(lastCallMs);
      }
      const note = `${rounds} graphs of ${processes} processes terminated, a call every millisecond in each`;
      return [
        {
          name: 'graph.confirm.10.p50.ms',
          value: median(confirms),
          unit: 'ms',
          target: 10,
          note: `${note}; p99 ${percentile(confirms, 0.99).toFixed(1)}`,
        },
        { name: 'graph.lastcall.10.p50.ms', value: median(lastCalls), unit: 'ms', note: 'from before the flip is written' },
        { name: 'graph.lastcall.10.p99.ms', value: percentile(lastCalls, 0.99), unit: 'ms', note },
      ];
    } finally {
      await operator.close();
      for (const one of workers) one.child.kill('SIGKILL');
      await server.close();
    }
  },
};

/** The first begins, the others go on under it; resolves when each has made a call. Answers the root. */
async function beginGraph(workers: readonly Worker[]): Promise<string> {
  const beganAt = machineMs();
  const carried = workers[0]!.hear('carries');
  workers[0]!.tell({ type: 'begin' });
  const { root, carriers } = await carried;
  for (const [i, one] of workers.slice(1).entries()) one.tell({ type: 'begin', carrier: carriers[i]! });
  const endsAt = performance.now() + withinMs;
  for (const one of workers) {
    while ((await one.lastCall()) < beganAt) {
      check(performance.now() < endsAt, `a process made no call within ${withinMs} ms`);
      await setTimeout(1);
    }
  }
  return root;
}

async function stopOne(operator: StateStore, workers: readonly Worker[]): Promise<{ confirmMs: number; lastCallMs: number }> {
  const subject = await beginGraph(workers);
  await setTimeout(20);
  const key = formatStopKey({ kind: 'act', cause: 'operator', action: 'terminate', tier: 'instance', subject, id: 'bench' });
  const flippedAt = machineMs();
  await operator.mark(key, 'engaged', 0, { reason: 'bench', by: 'bench', at: Date.now(), subject });
  const { confirmed, unconfirmed } = await operator.lineage.confirm(key, 0);
  const confirmedAt = machineMs();
  check(confirmed.length === processes && unconfirmed.length === 0, `${confirmed.length} of ${processes} confirmed`);
  // Long enough for one that should not.
  await setTimeout(20);
  const last = Math.max(...(await Promise.all(workers.map((one) => one.lastCall()))));
  check(last <= confirmedAt, `a call began ${(last - confirmedAt).toFixed(2)} ms after all had confirmed`);
  return { confirmMs: confirmedAt - flippedAt, lastCallMs: Math.max(0, last - flippedAt) };
}

class Worker {
  readonly child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.child = child;
  }

  static async start(url: string, keys: string, others: number): Promise<Worker> {
    const one = new Worker(
      fork(worker, [url, String(others)], { execArgv: [], env: { ...process.env, OFFSWITCH_PATH_KEYS: keys } }),
    );
    await one.hear('ready');
    return one;
  }

  tell(order: GraphOrder): void {
    this.child.send(order);
  }

  hear<T extends GraphNews['type']>(type: T): Promise<Extract<GraphNews, { type: T }>> {
    return new Promise((resolve, reject) => {
      const ended = (): void => reject(new Error('a process of the graph has ended'));
      if (this.child.exitCode !== null) return ended();
      const heard = (news: GraphNews): void => {
        if (news.type !== type) return;
        this.child.off('message', heard);
        this.child.off('exit', ended);
        resolve(news as Extract<GraphNews, { type: T }>);
      };
      this.child.on('message', heard);
      this.child.once('exit', ended);
    });
  }

  async lastCall(): Promise<number> {
    const answer = this.hear('last');
    this.tell({ type: 'last' });
    return (await answer).at;
  }
}
