// unheard.test.ts: which sessions of a process that is not heard from a stop covers, by what the registry says of them.

import type { Registration } from '@offswitch/runtime';
import { expect, test } from 'vitest';
import { registry, sharedRegistry } from '../src/memory-lineage.ts';
import { type StopKey, subjectKey } from '../src/stop-key.ts';
import { unheardUnder } from '../src/unheard.ts';

const switchOf = (tier: StopKey['tier'], subject: string): StopKey => ({
  kind: 'switch',
  tier,
  subject: subjectKey(subject),
  series: 's',
});

test('what runs there under a detached session is under the switches of those that one left, and under no order against them (S2, S10)', async () => {
  const processes = ['p-1', 'p-2'].map((process) => ({ process, alive: true, runsSessions: true, records: [] }));
  const shared = sharedRegistry();
  const [inOne, inTwo] = processes.map(({ process }) =>
    registry(shared, {
      process,
      journals: processes,
      tell: () => {},
      adopt: () => ({ claims: [], journals: [] }),
      claims: () => [],
    }),
  );
  const registration = (path: readonly string[], more: Partial<Registration> = {}): Registration => ({
    session: path.at(-1)!,
    path,
    agent: 'helper',
    workflow: 'watch',
    isLocalRoot: true,
    ...more,
  });
  await inOne!.register(registration(['r-1'], { left: [{ workflow: 'job', user: 'u-2' }, { user: 'u-1' }] }));
  await inTwo!.register(registration(['r-1', 's-2'], { call: '1/k' }));
  const lineage = {
    ...inOne!,
    unheard: async () => [{ process: 'p-2', localRoots: [{ session: 's-2', root: 'r-1' }] }],
  };
  const found = async (key: StopKey) => (await unheardUnder(lineage, key)).sessions.map(({ session }) => session);
  for (const key of [switchOf('feature', 'job'), switchOf('feature', 'watch'), switchOf('user', 'u-1'), switchOf('user', 'u-2')])
    expect(await found(key)).toEqual(['s-2']);
  for (const key of [switchOf('feature', 'u-1'), switchOf('user', 'job'), switchOf('instance', 'u-1'), switchOf('user', 'u-3')])
    expect(await found(key)).toEqual([]);
  expect(await found(switchOf('instance', 'r-1'))).toEqual(['s-2']);
});
