// whole.test.ts: how all stops are read, of a Redis that is restarted meanwhile.

import { formatStopKey, subjectKey } from '@offswitch/runtime';
import { expect, test } from 'vitest';
import { readWhole } from '../src/whole.ts';

const keyOf = (id: number): string =>
  formatStopKey({ kind: 'act', cause: 'operator', action: 'pause', tier: 'instance', subject: subjectKey(`s-${id}`), id: 'o-1' });

/** Two pages of stops; the server says in which life it is. */
function server(lives: readonly string[]) {
  const pages: Readonly<Record<string, readonly [string, readonly string[]]>> = {
    0: ['7', [`${keyOf(1)} e`, '3 1-0 {}']],
    7: ['0', [`${keyOf(2)} e`, '4 2-0 {}']],
  };
  let asked = 0;
  return {
    fn: async () => ['r-1', '2-0', '2', lives[asked++]!],
    call: async ([, key, from]: readonly string[]) => (key!.endsWith(':stops') ? pages[from!]! : ['0', ['f', 'w']]),
  } as never;
}

test('all stops and words are read, page by page', async () => {
  const { marks, words } = await readWhole(server(['first']), 'os1', ['r-1', '2-0', '2', 'first']);
  expect(marks.map(({ key, n }) => [key, n])).toEqual([
    [keyOf(1), 3],
    [keyOf(2), 4],
  ]);
  expect(words).toEqual([['f', 'w']]);
});

test('pages of two lives of the server are not taken for all: a stop could be missing (S4, I1)', async () => {
  await expect(readWhole(server(['second']), 'os1', ['r-1', '2-0', '2', 'first'])).rejects.toMatchObject({
    code: 'store_failed',
  });
});
