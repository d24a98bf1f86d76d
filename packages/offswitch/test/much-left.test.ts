// much-left.test.ts: a folder that is full of what processes have left holds up no stop (S3): reading it is given up when it is time.

import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { commandOf } from '../src/cli/command.ts';
import type { Io } from '../src/cli/io.ts';
import { folderPlace, type Place } from '../src/cli/place.ts';
import { reachOf } from '../src/cli/preview.ts';
import { stop } from '../src/cli/stop.ts';

const many = 20_000;
let folder: string;
/** What came to pass, in order. */
let events: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ofl-'));
  events = [];
  for (const name of ['journal', 'processes', 'stops']) mkdirSync(join(folder, name));
  const line = (record: object): string => {
    const json = JSON.stringify(record);
    return `${crc32(json).toString(16).padStart(8, '0')} ${json}\n`;
  };
  const born = (s: string): object => ({ t: 'session', s, e: 1, at: 1, root: s, path: [s], agent: 'w', workflow: 'w' });
  writeFileSync(join(folder, 'journal', 'pgone.0.log'), Array.from({ length: many }, (_, n) => line(born(`s-${n}`))).join(''));
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

/** Nobody runs there, and the journals are real. */
function place(): Place {
  const real = folderPlace(folder);
  return {
    ...real,
    ask: async () => [],
    journals: async (...args) => {
      events.push('begins to read');
      const read = await real.journals(...args);
      events.push('has read');
      return read;
    },
    mark: async (...args) => {
      events.push('recorded');
      await real.mark(...args);
    },
  };
}

const io = { out: () => {}, now: () => 0, user: 'ann', hasColour: false, isInteractive: false } as unknown as Io;

const turns = async (count: number): Promise<void> => {
  for (let n = 0; n < count; n++) await new Promise(setImmediate);
};

const reading = async (): Promise<void> => {
  while (!events.includes('begins to read')) await turns(1);
};

test('a stop with --yes is durable before all is read that was left', async () => {
  const ran = stop(commandOf(io, place(), false), 's-77', 'terminate', { reason: 'runs wild', by: 'ann' }, true);
  await reading();
  await vi.advanceTimersByTimeAsync(500);
  const { json } = await ran;
  expect(events).toEqual(['begins to read', 'recorded', 'has read']);
  expect(json).toMatchObject({ latchedBy: 'folder', known: true, preview: { sessions: 1 } });
});

test('a stop is recorded by one who looks at nothing that was left: what is due to be cleared away stays', async () => {
  const old = join(folder, 'journal', 'pgone.0.log');
  writeFileSync(old, '');
  utimesSync(old, 0, 0);
  await folderPlace(folder).mark('act.operator.terminate.instance.s-77.c1', 'engaged', 0, { reason: 'runs wild', at: 1 });
  expect(existsSync(old)).toBe(true);
});

test('what was left is read for three seconds, and not beyond them (S10)', async () => {
  const asked = reachOf(commandOf(io, place(), false), { tier: 'global', subject: undefined, isConversation: false });
  await reading();
  await vi.advanceTimersByTimeAsync(3_000);
  expect(await asked).toMatchObject({
    preview: { sessions: 0 },
    damage: 'what processes that are gone have left takes more than 3 s to read',
  });
  await turns(many);
  expect(events).toEqual(['begins to read']);
});

test('what was left is counted to the last where there is time', async () => {
  const { preview } = await reachOf(commandOf(io, place(), false), { tier: 'global', subject: undefined, isConversation: false });
  expect(preview.sessions).toBe(many);
});
