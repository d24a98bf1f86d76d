// workers.ts: the processes that run sub-agents: started, replaced when they die, parked and ended with the first one.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { SessionView } from 'offswitch';
import { StudioError } from '../documents-error.ts';
import { Doors } from './doors.ts';
import type { FromWorker, ToWorker, WorkerOptions } from './messages.ts';

const program = fileURLToPath(new URL('./worker.js', import.meta.url));

/** So many deaths in a row before a worker had opened: then there is a fault that another one would have too. */
const maxFailures = 5;
/** Until a worker that died is replaced; twice as long after each that died before it had opened. Milliseconds. */
const replaceAfterMs = 100;
/** How long workers may take to end when asked to. Milliseconds. */
const endWithinMs = 5_000;

export interface WorkersOptions extends Omit<WorkerOptions, 'number'> {
  readonly count: number;
  /** Of each worker: keys of paths, where the model and the switches are. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A line for people. */
  readonly say: (line: string) => void;
}

/** A session, and the number of the process that has it. */
export interface PlacedView extends SessionView {
  readonly process: number;
}

export interface Workers {
  /** Where sub-agents may be started now. */
  readonly doors: Doors;
  /** For people: `2 (pid 4711), 3 (pid 4712)`. */
  pids(): string;
  /** As they were told last; asks for news at the same time. */
  views(): readonly PlacedView[];
  /** Resolves with what did not come to rest. They go on answering. */
  park(): Promise<readonly string[]>;
  close(): Promise<void>;
}

interface Worker {
  readonly number: number;
  readonly child: ChildProcess;
  door: string | undefined;
  views: readonly SessionView[];
  parked: ((left: readonly string[]) => void) | undefined;
}

/** Resolves when each of them is open. Rejects with `worker_failed` where one dies before. */
export async function startWorkers({ count, env, say, ...rest }: WorkersOptions): Promise<Workers> {
  const workers = new Map<number, Worker>();
  let isEnding = false;
  let failures = 0;

  const toAll = (message: ToWorker): void => {
    for (const { child } of workers.values()) if (child.connected) child.send(message, () => undefined);
  };
  const doors = new Doors();
  const tellDoors = (): void => {
    doors.set([...workers.values()].flatMap(({ door }) => door ?? []));
    toAll({ type: 'doors', doors: doors.now });
  };

  const start = (number: number): Promise<void> =>
    new Promise((opened, failed) => {
      const argument: WorkerOptions = { number, ...rest };
      const child = fork(program, [JSON.stringify(argument)], { env: { ...process.env, ...env } });
      const worker: Worker = { number, child, door: undefined, views: [], parked: undefined };
      workers.set(number, worker);
      child.on('error', () => undefined);
      child.on('message', (message: FromWorker) => {
        switch (message.type) {
          case 'open':
            worker.door = message.door;
            failures = 0;
            tellDoors();
            return opened();
          case 'line':
            return say(`[${number}] ${message.line}`);
          case 'views':
            worker.views = message.views;
            return;
          case 'parked':
            return worker.parked?.(message.left);
        }
      });
      child.once('exit', (code, signal) => {
        workers.delete(number);
        worker.parked?.([]);
        if (isEnding) return;
        if (worker.door === undefined) failures++;
        const how = `process ${number} (pid ${child.pid}) is gone (${signal ?? `exit code ${code}`})`;
        if (failures >= maxFailures) {
          say(`${how}; it is not replaced any more`);
          return failed(new StudioError('worker_failed', `${how} before it had opened`));
        }
        say(`${how}; the others take up what it ran, and another takes its place`);
        tellDoors();
        setTimeout(
          () => {
            if (!isEnding) start(number).then(opened, failed);
          },
          replaceAfterMs * 2 ** failures,
        ).unref();
      });
    });
  const started = Array.from({ length: count }, (_, index) => start(index + 2));
  // One that never opens is told by the line above as well, long after everybody has begun.
  for (const one of started) one.catch(() => undefined);

  const workersNow: Workers = {
    doors,
    pids: () => [...workers.values()].map(({ number, child }) => `${number} (pid ${child.pid})`).join(', '),
    views() {
      toAll({ type: 'views' });
      return [...workers.values()].flatMap(({ number, views }) => views.map((view) => ({ ...view, process: number })));
    },
    async park() {
      const parked = [...workers.values()].map(
        (worker) =>
          new Promise<readonly string[]>((resolve) => {
            worker.parked = resolve;
          }),
      );
      toAll({ type: 'park' });
      return (await Promise.all(parked)).flat();
    },
    async close() {
      isEnding = true;
      const ends = [...workers.values()].map(async ({ child }) => {
        const timer = setTimeout(() => child.kill('SIGKILL'), endWithinMs);
        if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
        clearTimeout(timer);
      });
      toAll({ type: 'close' });
      await Promise.all(ends);
    },
  };
  try {
    await Promise.all(started);
  } catch (error) {
    await workersNow.close();
    throw error;
  }
  return workersNow;
}
