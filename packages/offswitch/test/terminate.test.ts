// terminate.test.ts: orders for many graphs, of which the state takes some only: those stand, and that is said (S4, S10).

import { expect, test } from 'vitest';
import { commandOf } from '../src/cli/command.ts';
import type { Io } from '../src/cli/io.ts';
import { folderPlace, type Place, processesUnknown } from '../src/cli/place.ts';
import { terminate } from '../src/cli/terminate.ts';

/** A process with twenty sessions; `takes`: how many orders the state takes. `isGone`: once it was written to, it can be asked nothing more. */
function scene(takes: number, { isGone = false } = {}) {
  const asked: string[] = [];
  const said: string[] = [];
  let now = 0;
  const io = {
    out: (line: string) => said.push(line),
    now: () => now,
    sleep: async (ms: number) => {
      now += ms;
    },
    hasColour: false,
  } as unknown as Io;
  let marked = 0;
  const sessions = Array.from({ length: 20 }, (_, n) => ({ id: `s-${n}`, path: [`s-${n}`], user: 'u-1', state: 'running' }));
  const place: Place = {
    ...folderPlace('/nowhere'),
    exists: () => false,
    ask: async (method) => {
      asked.push(method);
      if (isGone && marked > 0) return [processesUnknown('Redis does not answer')];
      return [{ process: 'p-1', pid: 4, result: method === 'sessions' ? sessions : {} }];
    },
    mark: async () => {
      if (++marked > takes) throw new Error('the disk is full');
    },
  };
  const run = () => terminate(commandOf(io, place, false), { user: 'u-1' }, { reason: 'runs wild', by: 'ann' }, true);
  return { asked, said, run };
}

test('orders of which some could not be recorded are told to whom they are for, and which they are is said', async () => {
  const { asked, run } = scene(18);
  await expect(run()).rejects.toMatchObject({
    code: 'recorded_in_part',
    exitCode: 1,
    message: expect.stringMatching(/^18 of 20 orders are recorded and stand: s-0, s-1, .*s-9 and 8 more.*the disk is full/),
  });
  expect(asked).toEqual(['sessions', 'reread']);
});

test('orders of which none could be recorded say why, and nothing else', async () => {
  const { run } = scene(0);
  await expect(run()).rejects.toThrow(/^the disk is full$/);
});

test('orders of which some stand are named where nobody can be told of them', async () => {
  const { run } = scene(18, { isGone: true });
  await expect(run()).rejects.toMatchObject({ code: 'recorded_in_part', message: expect.stringContaining('18 of 20 orders') });
});

test('orders that all stand are said to, and not to be confirmed, where nobody can be told or asked any more', async () => {
  const { said, run } = scene(20, { isGone: true });
  const { exitCode, json } = await run();
  expect([exitCode, (json.stops as unknown[]).length, json.confirmed]).toEqual([4, 20, false]);
  expect(json.silent).toEqual(['Redis does not answer']);
  expect(said.join('')).toMatch(/recorded: 20 orders[\s\S]*Redis does not answer[\s\S]*not confirmed by every process/);
});
