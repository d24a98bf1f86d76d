// local-roots.test.ts: how what a process runs is read, of a Redis that is restarted meanwhile.

import { expect, test } from 'vitest';
import { localRootsOf } from '../src/registry.ts';

/** Two pages; `links`: over which connection each step goes. */
function wireOver(links: readonly string[]) {
  let asked = 0;
  return {
    linked: async () => links[asked++]!,
    call: async ([command, , from]: readonly string[]) =>
      command === 'SMEMBERS' ? ['writer'] : from === '0' ? ['7', ['r-1\nr-1', 'r-1\nc-1']] : ['0', ['r-1\nc-1', 'r-2\nr-2']],
  } as never;
}

test('what a process runs is read page by page, each of it once', async () => {
  expect(await localRootsOf(wireOver(['one', 'one']), 'os1', 'p-1')).toEqual([
    { root: 'r-1', session: 'r-1' },
    { root: 'r-1', session: 'c-1' },
    { root: 'r-2', session: 'r-2' },
  ]);
});

test('pages of two connections are not taken for all: what is missing would count as ended (S10)', async () => {
  await expect(localRootsOf(wireOver(['one', 'two']), 'os1', 'p-1')).rejects.toMatchObject({ code: 'store_failed' });
});
