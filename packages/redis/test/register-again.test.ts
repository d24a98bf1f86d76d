// register-again.test.ts: how a process makes known again what Redis may have lost.

import { expect, test } from 'vitest';
import { RedisLineage } from '../src/lineage.ts';

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
  for (const id of ids)
    await lineage.register({ session: id, path: [id], agent: 'writer', workflow: 'drafts', isLocalRoot: true });
  asked.length = 0;
  await Promise.all([lineage.registerAgain(), lineage.registerAgain()]);
  expect(asked).toEqual(ids);
  expect(most).toBeLessThanOrEqual(200);
});
