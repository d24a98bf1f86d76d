// credit.test.ts: what a call cost that ends in the last moment of its credit.

import { expect, test } from 'vitest';
import { Credit } from '../src/credit.ts';

test('the cost of a call that ends while the last word waits for a lease under way is in that word, once (I8)', async () => {
  let answer: () => void = () => {};
  let spent = 0;
  let isSlow = false;
  const credit = new Credit({
    budgets: {
      lease: async ({ wantMicros, scopes }: { wantMicros: number; scopes: readonly { key: string }[] }) => {
        if (isSlow)
          await new Promise<void>((resolve) => {
            answer = resolve;
          });
        return {
          grantedMicros: wantMicros,
          tightest: scopes[0]!.key,
          remainingMicros: 1_000_000,
          heldElsewhereMicros: 0,
          holders: 1,
        };
      },
      settle: async (_account: string, _keys: readonly string[], micros: number) => {
        spent += micros;
      },
    } as never,
    process: 'p-1',
    account: 's-1',
    keys: ['user.u'],
    caps: () => [1_000_000],
    knownMicros: () => 0,
    ready: async () => {},
    wait: async () => {},
    isHeld: () => false,
    reached: () => {},
    opened: () => {},
  });
  expect(await credit.ask(20_000)).toBe(true);
  isSlow = true;
  const second = credit.ask(900_000);
  await new Promise((resolve) => setImmediate(resolve));
  const ended = credit.end();
  credit.settle(20_000, 15_000);
  answer();
  expect(await second).toBe(false);
  await ended;
  expect(spent).toBe(15_000);
});
