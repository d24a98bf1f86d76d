// state.ts: where the processes of the incident keep their state, as whoever is on call finds them: asks them, and reads what they
// have written down.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { requestRedisControl } from '@offswitch/redis';
import { type ControlAnswer, type JournalRecord, RuntimeError, requestControl } from 'offswitch';
import { createClient } from 'redis';
import { startOwnRedis } from '../processes/own-redis.ts';
import { leaseMs, type StoreName } from '../store.ts';

export interface IncidentState {
  /** Of the fleet's process. */
  readonly fleetArgs: readonly string[];
  readonly fleetEnv: Readonly<Record<string, string>>;
  /** What the command calls it. */
  readonly place: string;
  /** A process that is silent for so long refuses everything, and is not waited for. Milliseconds; infinite where processes see each other. */
  readonly leaseMs: number;
  /** Asks every running process but one. */
  ask(method: string, except: string | undefined): Promise<readonly ControlAnswer[]>;
  /** What the processes have written down so far. */
  journal(): Promise<readonly JournalRecord[]>;
  close(): Promise<void>;
}

/** A process that was killed counts as running over Redis until its lease is out. Milliseconds. */
const answerWithinMs = 5_000;

/** Over Redis: a server of this incident's own, which outlives the fleet that is killed. */
export async function openState(store: StoreName, folder: string): Promise<IncidentState> {
  switch (store) {
    case 'folder':
      return inFolder(folder);
    case 'redis':
      return inRedis(folder);
  }
}

function inFolder(folder: string): IncidentState {
  const journals = join(folder, 'journal');
  return {
    fleetArgs: ['--state', folder],
    fleetEnv: {},
    place: folder,
    leaseMs: Number.POSITIVE_INFINITY,
    ask: (method, except) =>
      requestControl(folder, method, {}, { timeoutMs: answerWithinMs, ...(except === undefined ? {} : { except }) }),
    // A checksum and a record per line (runtime, folder/journal-line.ts).
    journal: async () =>
      readdirSync(journals)
        .flatMap((name) => readFileSync(join(journals, name), 'utf8').split('\n').slice(0, -1))
        .map((line) => JSON.parse(line.slice(line.indexOf(' ') + 1)) as JournalRecord)
        .filter((record) => 's' in record),
    close: async () => undefined,
  };
}

async function inRedis(folder: string): Promise<IncidentState> {
  const server = await startOwnRedis(join(folder, 'redis'));
  const { url } = server;
  const client = await createClient({ url }).connect();
  return {
    fleetArgs: ['--state', folder, '--store', 'redis'],
    fleetEnv: { REDIS_URL: url },
    place: url,
    leaseMs,
    // A busy Redis is asked again, like a process that is silent.
    ask: (method, except) =>
      requestRedisControl({ url }, method, {}, { timeoutMs: answerWithinMs, ...(except === undefined ? {} : { except }) }).catch(
        (error: unknown) => {
          if (RuntimeError.is(error) && error.code === 'store_failed') return [];
          throw error;
        },
      ),
    // A stream per graph, in each entry a record (redis, journals.ts).
    async journal() {
      const records: JournalRecord[] = [];
      for (const key of await client.keys('os1:{*}:j'))
        for (const { message } of (await client.xRange(key, '-', '+')) ?? [])
          records.push(JSON.parse(message.d ?? '') as JournalRecord);
      return records;
    },
    async close() {
      client.destroy();
      await server.close();
    },
  };
}
