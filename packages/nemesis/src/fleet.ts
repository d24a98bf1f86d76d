// fleet.ts: the workers of a run, as processes that can be killed, frozen and started anew.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { FaultProxy } from '@offswitch/testing';
import { type Moment, machineMs, type News, type Order, type SaidReceipt, type WorkerSetup } from './switches.ts';

export interface Worker {
  readonly name: string;
  readonly child: ChildProcess;
  /** Its own way to the store, which can be cut. */
  readonly way: FaultProxy | undefined;
  url: string;
  isDead: boolean;
  isFrozen: boolean;
  /** When it was frozen, by the machine's monotonic clock. */
  readonly freezes: number[];
}

/** An end, as one process told it. */
export interface End {
  readonly status: string;
  readonly path: readonly string[];
  readonly worker: string;
  /** When it was told, by the machine's monotonic clock. */
  readonly at: number;
}

export interface StageSaid extends Omit<Extract<News, { type: 'stage' }>, 'type'> {
  readonly by: string;
  /** By the receipt, in which all processes have their word. Else it speaks for itself alone, where a stage is true of each apart. */
  readonly isJoined?: true;
}

export type Seen = Extract<News, { type: 'seen' }>['sessions'];

export class Fleet {
  readonly workers: Worker[] = [];
  /** Roots that began. */
  readonly jobs: Set<string> = new Set();
  /** What each session came to, as it was told. */
  readonly ends: Map<string, End[]> = new Map();
  /** What processes warned of, newest last. */
  readonly alarms: string[] = [];
  /** Why jobs failed. */
  readonly failures: Map<string, string> = new Map();
  /** Stages of stops, as any process told them. */
  readonly stages: StageSaid[] = [];
  private readonly setup: Omit<WorkerSetup, 'name' | 'redis'>;
  private readonly openWay: () => Promise<FaultProxy | undefined>;
  private readonly env: Readonly<Record<string, string>>;
  private readonly waiting = new Map<number, (news: News) => void>();
  private count = 0;
  private asked = 0;

  /** `openWay`: a new way to the store; `undefined` where it is a folder. */
  constructor(
    setup: Omit<WorkerSetup, 'name' | 'redis'>,
    env: Readonly<Record<string, string>>,
    openWay: () => Promise<FaultProxy | undefined>,
  ) {
    this.setup = setup;
    this.openWay = openWay;
    this.env = env;
  }

  get living(): Worker[] {
    return this.workers.filter((worker) => !worker.isDead && !worker.isFrozen);
  }

  async start(): Promise<Worker> {
    const name = `w${this.count++}`;
    const way = await this.openWay();
    const setup: WorkerSetup = { ...this.setup, name, ...(way ? { redis: `redis://127.0.0.1:${way.port}` } : {}) };
    const child = fork(fileURLToPath(new URL('./worker.js', import.meta.url)), [], {
      env: { ...process.env, ...this.env, NEMESIS: JSON.stringify(setup) },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const worker: Worker = { name, child, way, url: '', isDead: false, isFrozen: false, freezes: [] };
    this.workers.push(worker);
    child.on('error', () => {
      // Sent to one that was killed: it is dead, which is told below.
    });
    child.on('exit', () => {
      worker.isDead = true;
    });
    const ready = new Promise<void>((resolve, reject) => {
      child.on('message', (news: News) => {
        if (news.type === 'ready') {
          worker.url = news.url;
          resolve();
        } else this.hear(name, news);
      });
      child.on('exit', (code) => reject(new Error(`worker ${name} ended with ${code} before it was ready`)));
    });
    await ready;
    this.introduce();
    return worker;
  }

  kill(worker: Worker): void {
    worker.isDead = true;
    worker.child.kill('SIGKILL');
    this.introduce();
  }

  freeze(worker: Worker): void {
    worker.isFrozen = true;
    worker.freezes.push(machineMs());
    worker.child.kill('SIGSTOP');
  }

  thaw(worker: Worker): void {
    worker.isFrozen = false;
    worker.child.kill('SIGCONT');
  }

  tell(worker: Worker, order: Order): void {
    // One that dies in this moment is not told, and that is no error of the child for whoever waits for its exit.
    if (!worker.isDead && worker.child.connected) worker.child.send(order, () => {});
  }

  /** Resolves when it is told to be fenced; `undefined` when the one that was asked did not live to tell. */
  async stop(worker: Worker, session: string, dieAt?: Moment): Promise<Extract<News, { type: 'stopped' }> | undefined> {
    const id = ++this.asked;
    const answer = new Promise<News>((resolve) => this.waiting.set(id, resolve));
    this.tell(worker, { type: 'stop', id, session, ...(dieAt === undefined ? {} : { dieAt }) });
    const news = await Promise.race([answer, worker.isDead ? undefined : once(worker.child, 'exit').then(() => undefined)]);
    return news?.type === 'stopped' ? news : undefined;
  }

  async look(worker: Worker, withinMs = 2_000): Promise<Seen | undefined> {
    const news = await this.ask(worker, 'look', withinMs);
    return news?.type === 'seen' ? news.sessions : undefined;
  }

  async receipts(worker: Worker, withinMs = 5_000): Promise<readonly SaidReceipt[] | undefined> {
    const news = await this.ask(worker, 'receipts', withinMs);
    return news?.type === 'receipts' ? news.receipts : undefined;
  }

  private async ask(worker: Worker, type: 'look' | 'receipts', withinMs: number): Promise<News | undefined> {
    const id = ++this.asked;
    const answer = new Promise<News>((resolve) => this.waiting.set(id, resolve));
    this.tell(worker, { type, id });
    const news = await Promise.race([
      answer,
      new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), withinMs)),
    ]);
    this.waiting.delete(id);
    return news;
  }

  async close(): Promise<void> {
    await Promise.all(
      this.workers.map(async (worker) => {
        if (worker.child.exitCode !== null || worker.child.signalCode !== null) return;
        const ended = once(worker.child, 'exit');
        worker.child.kill('SIGKILL');
        await ended;
      }),
    );
    for (const { way } of this.workers) await way?.close();
  }

  private introduce(): void {
    for (const worker of this.workers) {
      // Itself the last: what it has taken over from others may be what it asks for.
      const living = this.workers.filter((one) => !one.isDead && one.url !== '');
      const urls = [...living.filter((one) => one !== worker), worker].map((one) => one.url);
      this.tell(worker, { type: 'peers', urls });
    }
  }

  private hear(by: string, news: News): void {
    switch (news.type) {
      case 'began':
        this.jobs.add(news.session);
        return;
      case 'ended': {
        const { session, status, path } = news;
        const ends = this.ends.get(session) ?? [];
        this.ends.set(session, ends);
        ends.push({ status, path, worker: by, at: machineMs() });
        return;
      }
      case 'alarm':
        this.alarms.push(`${machineMs().toFixed(0)} ${by}: ${news.message}`);
        return;
      case 'failed':
        this.failures.set(news.session, news.why);
        return;
      case 'stage':
        this.stages.push({ stop: news.stop, stage: news.stage, at: news.at, by });
        return;
      case 'stopped':
      case 'seen':
      case 'receipts':
        this.waiting.get(news.id)?.(news);
        return;
      case 'ready':
    }
  }
}
