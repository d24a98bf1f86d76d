// lineage.test.ts: what a process keeps in its memory of sessions that have ended.

import { expect, test } from 'vitest';
import { RedisLineage } from '../src/lineage.ts';

/** `given`: what is taken over next, as the server says it. */
function alone(given: string[] = []): RedisLineage {
  const reply = { adopt: () => [given.splice(0)], register: () => ['registered', '0-0', 'first'] };
  return new RedisLineage({
    settings: { leaseMs: 5_000, retentionMs: 1_000, prefix: 'os1' },
    control: { fn: async (name: keyof typeof reply) => reply[name]() },
    bulk: { call: async () => [] },
    reading: { call: async () => [] },
    hearing: () => ({ isIn: () => {}, reached: async () => true }),
    membership: { gen: '1', storeId: 'r-1' },
    outbox: { push: () => {}, drop: () => {} },
    mustBeOpen: () => {},
    whyCutOff: () => undefined,
    tell: () => {},
  } as never);
}

async function comeAndEnd(lineage: RedisLineage, session: string): Promise<void> {
  const path = ['r-1', session];
  await lineage.register({ session, path, call: session, agent: 'writer', workflow: 'drafts', isLocalRoot: true });
  lineage.note(session, 'r-1', 'completed');
}

test('of sessions that came from other processes and have ended, the graph of the last ten thousand is known, for a late word', async () => {
  const lineage = alone();
  for (let i = 0; i <= 10_000; i++) await comeAndEnd(lineage, `c-${i}`);
  expect(['c-0', 'c-1', 'c-10000'].map((id) => lineage.rootOf(id))).toEqual(['c-0', 'r-1', 'r-1']);
});

test('one that had ended here, was taken over before Redis heard of that, and is given back, is of its graph as long as it runs (S7)', async () => {
  const given: string[] = [];
  const lineage = alone(given);
  await comeAndEnd(lineage, 'back');
  lineage.lose(['back']);
  given.push('r-1\nback');
  await lineage.adopt(['writer']);
  for (let i = 0; i <= 10_000; i++) await comeAndEnd(lineage, `c-${i}`);
  expect(lineage.rootOf('back')).toBe('r-1');
});
