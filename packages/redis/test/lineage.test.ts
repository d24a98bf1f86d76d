// lineage.test.ts: what a process keeps in its memory of sessions that have ended.

import { expect, test } from 'vitest';
import { RedisLineage } from '../src/lineage.ts';

test('of sessions that came from other processes and have ended, the graph of the last ten thousand is known, for a late word', async () => {
  const lineage = new RedisLineage({
    settings: { leaseMs: 5_000, retentionMs: 1_000 },
    control: { fn: async () => ['registered', '0-0', 'first'] },
    hearing: () => ({ isIn: () => {}, reached: async () => true }),
    membership: { gen: '1', storeId: 'r-1' },
    outbox: { push: () => {} },
    mustBeOpen: () => {},
    whyCutOff: () => undefined,
  } as never);
  for (let i = 0; i <= 10_000; i++) {
    const session = `c-${i}`;
    const path = ['r-1', session];
    await lineage.register({ session, path, call: session, agent: 'writer', workflow: 'drafts', isLocalRoot: true });
    lineage.note(session, 'r-1', 'completed');
  }
  expect(['c-0', 'c-1', 'c-10000'].map((id) => lineage.rootOf(id))).toEqual(['c-0', 'r-1', 'r-1']);
});
