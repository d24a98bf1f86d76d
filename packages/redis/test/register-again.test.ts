// register-again.test.ts: how a process makes known again what Redis may have lost.

import { expect, test, vi } from 'vitest';
import { ServerRefusal } from '../src/connection/link.ts';
import { RedisLineage } from '../src/lineage.ts';

const one = (id: string) => ({ session: id, path: [id], agent: 'writer', workflow: 'drafts', isLocalRoot: true });

test('what Redis may have lost is registered again a page at a time, since every process does so and all must renew their leases (I14)', async () => {
  let under = 0;
  let most = 0;
  const asked: string[] = [];
  const control = {
    fn: async (_: string, args: readonly string[]) => {
      asked.push(args.at(-1)!);
      most = Math.max(most, ++under);
      await new Promise((resolve) => setImmediate(resolve));
      under--;
      return ['registered', '0-0', 'first'];
    },
  };
  const lineage = new RedisLineage({
    settings: { leaseMs: 5_000, retentionMs: 1_000 },
    control,
    hearing: () => ({ isIn: () => {}, reached: async () => true }),
    membership: { gen: '1', storeId: 'r-1' },
    mustBeOpen: () => {},
    whyCutOff: () => undefined,
  } as never);
  const ids = Array.from({ length: 1_000 }, (_, i) => `s-${i}`);
  for (const id of ids) await lineage.register(one(id));
  asked.length = 0;
  await Promise.all([lineage.registerAgain(), lineage.registerAgain()]);
  expect(asked).toEqual(ids);
  expect(most).toBeLessThanOrEqual(200);
});

test('only what was registered shortly before Redis was last heard from is registered again, and what ended of it ends again (I12)', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    const said: string[] = [];
    const lineage = new RedisLineage({
      settings: { leaseMs: 5_000, retentionMs: 1_000 },
      control: {
        fn: async (name: string, args: readonly string[]) => {
          said.push(`${name} ${args.at(-1)}`);
          return ['registered', '0-0', 'first'];
        },
      },
      hearing: () => ({ isIn: () => {}, reached: async () => true }),
      membership: { gen: '1', storeId: 'r-1' },
      outbox: { push: ({ fn, args }: { fn: string; args: readonly string[] }) => said.push(`${fn} ${args.join(' ')}`) },
      mustBeOpen: () => {},
      whyCutOff: () => undefined,
    } as never);
    await lineage.register(one('old'));
    vi.advanceTimersByTime(11_000);
    lineage.heard();
    await lineage.register(one('ended'));
    lineage.note('ended', 'ended', 'completed');
    await lineage.register(one('running'));
    // Away for an hour: by now all of it is old, and Redis may have lost it all the same.
    vi.advanceTimersByTime(3_600_000);
    said.length = 0;
    const again = lineage.registerAgain();
    lineage.heard();
    await Promise.all([again, lineage.registerAgain()]);
    expect(said).toEqual(['register ended', 'register running', 'note ended c']);
    lineage.heard();
    said.length = 0;
    await lineage.registerAgain();
    expect(said).toEqual([]);
  } finally {
    vi.useRealTimers();
  }
});

test('what Redis refuses for now is registered again, and what it refuses for good is not (I14)', async () => {
  const refusals = new Map([
    ['memory', 'OOM command not allowed when used memory is above maxmemory'],
    ['loading', 'LOADING Redis is loading the dataset in memory'],
    ['busy', 'BUSY Redis is busy running a script'],
    ['lapsed', 'LAPSED the lease of this process has run out'],
    ['taken', 'TAKEN another process took this session over'],
    ['elsewhere', 'OTHERSTORE this is not the store that the process knew'],
  ]);
  const asked: string[] = [];
  let isRestarted = false;
  const lineage = new RedisLineage({
    settings: { leaseMs: 5_000, retentionMs: 1_000 },
    control: {
      fn: async (_: string, args: readonly string[]) => {
        const id = args.at(-1)!;
        if (!isRestarted) return ['registered', '0-0', 'first'];
        if (!asked.includes(id)) {
          asked.push(id);
          throw new ServerRefusal(refusals.get(id)!);
        }
        asked.push(id);
        return ['registered', '0-0', 'second'];
      },
    },
    hearing: () => ({ isIn: () => {}, reached: async () => true }),
    membership: { gen: '1', storeId: 'r-1' },
    mustBeOpen: () => {},
    whyCutOff: () => undefined,
  } as never);
  for (const id of refusals.keys()) await lineage.register(one(id));
  isRestarted = true;
  await lineage.registerAgain();
  expect(asked).toEqual([...refusals.keys(), 'memory', 'loading', 'busy', 'lapsed']);
});
