import { expect, test } from 'vitest';
import { RedisBudgets } from '../src/budgets.ts';

test('what was spent of a graph whose root has ended stays for the retention time, and then goes by itself (I8)', async () => {
  const asked: (readonly string[])[] = [];
  const wire = {
    call: async (argv: readonly string[]) => {
      asked.push(argv);
      return 1;
    },
  };
  const budgets = new RedisBudgets({
    wire: wire as never,
    prefix: 'os1',
    process: 'p1',
    membership: {} as never,
    mustBeOpen: () => {},
    retentionMs: 604_800_000,
  });
  await budgets.retire('graph.s-1');
  expect(asked).toEqual([['PEXPIRE', 'os1:{ctl}:b:graph.s-1', '604800000']]);
});
