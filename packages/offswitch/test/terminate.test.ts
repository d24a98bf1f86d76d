// terminate.test.ts: orders for many graphs, of which the state takes some only: those stand, and that is said (S4, S10).

import { expect, test } from 'vitest';
import { commandOf } from '../src/cli/command.ts';
import type { Io } from '../src/cli/io.ts';
import { folderPlace, type Place } from '../src/cli/place.ts';
import { terminate } from '../src/cli/terminate.ts';

const io = { out: () => {}, now: () => 0, user: 'ann', hasColour: false, isInteractive: false } as unknown as Io;

/** A process with twenty sessions; `takes`: how many orders the state takes. */
function scene(takes: number) {
  const asked: string[] = [];
  let marked = 0;
  const sessions = Array.from({ length: 20 }, (_, n) => ({ id: `s-${n}`, path: [`s-${n}`], user: 'u-1', state: 'running' }));
  const place: Place = {
    ...folderPlace('/nowhere'),
    exists: () => false,
    ask: async (method) => {
      asked.push(method);
      return [{ process: 'p-1', pid: 4, result: method === 'sessions' ? sessions : {} }];
    },
    mark: async () => {
      if (++marked > takes) throw new Error('the disk is full');
    },
  };
  const run = () => terminate(commandOf(io, place, false), { user: 'u-1' }, { reason: 'runs wild', by: 'ann' }, true);
  return { asked, run };
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
