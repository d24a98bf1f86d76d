// budgets.property.test.ts: processes that spend of one cap through a store whose answers come in any order, or never: whatever the
// interleaving and whoever dies where, what was really spent stays within the cap (I8).

import { memoryStore } from '@offswitch/runtime';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { grant } from '../src/budget-ledger.ts';
import type { BudgetRequest, BudgetStore } from '../src/budget-store.ts';
import { Credit } from '../src/credit.ts';

const cap = 1_000;
const keys = ['graph.s-1', 'user.u-1'];

interface Plan {
  /** What each call reserves, and the share of it that it really costs, in tenths. */
  readonly calls: readonly { readonly reserve: number; readonly tenths: number }[];
  /** It dies after so many of its store's answers; what was asked then may have landed or not. */
  readonly diesAfter: number | undefined;
  readonly isLastLost: boolean;
  readonly atOnce: number;
  /** Gives back what is idle after so many calls. */
  readonly returnsEvery: number;
}

const plan: fc.Arbitrary<Plan> = fc.record({
  calls: fc.array(fc.record({ reserve: fc.integer({ min: 1, max: 150 }), tenths: fc.integer({ min: 0, max: 10 }) }), {
    minLength: 1,
    maxLength: 14,
  }),
  diesAfter: fc.option(fc.nat(6), { nil: undefined }),
  isLastLost: fc.boolean(),
  atOnce: fc.integer({ min: 1, max: 4 }),
  returnsEvery: fc.integer({ min: 1, max: 5 }),
});

/** What really happened, by everybody. */
interface World {
  spent: number;
  readonly denied: Set<string>;
}

class Process {
  isDead = false;
  readonly credit: Credit;
  /** What its journal would tell: calls with an end at their cost, others at their reserve. */
  journalled = 0;
  private answers = 0;
  private readonly plan: Plan;
  private readonly world: World;

  constructor(plan: Plan, store: BudgetStore, scheduler: fc.Scheduler, world: World, name: string) {
    this.plan = plan;
    this.world = world;
    const port = async <T>(ask: () => Promise<T>): Promise<T> => {
      const isLast = this.plan.diesAfter !== undefined && this.answers >= this.plan.diesAfter;
      await scheduler.schedule(Promise.resolve(), `${name} asks`);
      if (this.isDead) return new Promise(() => {});
      if (isLast) this.isDead = true;
      if (isLast && this.plan.isLastLost) return new Promise(() => {});
      const answer = await ask();
      if (this.isDead) return new Promise(() => {});
      this.answers++;
      await scheduler.schedule(Promise.resolve(), `${name} is answered`);
      return this.isDead ? new Promise(() => {}) : answer;
    };
    const budgets: BudgetStore = {
      ...store,
      lease: (request: BudgetRequest) => port(() => store.lease(request)),
      settle: (...of) => port(() => store.settle(...of)),
    };
    this.credit = new Credit({
      budgets,
      process: name,
      account: 's-1',
      keys,
      caps: () => [cap, cap],
      knownMicros: () => 0,
      ready: async () => {},
      wait: async () => {
        await scheduler.schedule(Promise.resolve(), `${name} waits`);
      },
      isHeld: () => false,
      reached: () => void world.denied.add(name),
      opened: () => {},
    });
  }

  /** Some calls at once; each takes its time. */
  async run(scheduler: fc.Scheduler): Promise<void> {
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < this.plan.calls.length && !this.isDead) {
        const n = next++;
        await this.call(scheduler, this.plan.calls[n]!);
        if (n % this.plan.returnsEvery === 0) await this.credit.giveBack();
      }
    };
    await Promise.all(Array.from({ length: this.plan.atOnce }, worker));
  }

  private async call(scheduler: fc.Scheduler, { reserve, tenths }: Plan['calls'][number]): Promise<void> {
    await scheduler.schedule(Promise.resolve());
    if (this.isDead || !(await this.credit.ask(reserve)) || this.isDead) return;
    // Sent: from here on it costs, whoever dies.
    const actual = Math.floor((reserve * tenths) / 10);
    this.world.spent += actual;
    this.journalled += reserve;
    await scheduler.schedule(Promise.resolve());
    if (this.isDead) return;
    this.journalled += actual - reserve;
    this.credit.settle(reserve, actual);
  }
}

async function spend(
  scheduler: fc.Scheduler,
  plans: readonly Plan[],
  wrap = (of: BudgetStore): BudgetStore => of,
): Promise<void> {
  const world: World = { spent: 0, denied: new Set() };
  const first = memoryStore();
  const stores = plans.map((_, i) => (i === 0 ? first : first.share()));
  for (const store of stores) await store.open();
  const processes = plans.map((one, i) => new Process(one, wrap(stores[i]!.budgets!), scheduler, world, `p${i}`));
  const runs = processes.map((one) => one.run(scheduler));
  // The dead never end.
  for (let quiet = 0; quiet < 3; ) {
    quiet = scheduler.count() > 0 ? 0 : quiet + 1;
    if (quiet === 0) await scheduler.waitOne();
    else await new Promise((resolve) => setImmediate(resolve));
    expect(world.spent).toBeLessThanOrEqual(cap);
  }
  for (const [i, one] of processes.entries()) {
    if (one.isDead) continue;
    await runs[i];
    const end = one.credit.end();
    for (let quiet = 0; quiet < 3; quiet++) {
      if (scheduler.count() > 0) quiet = 0;
      while (scheduler.count() > 0) await scheduler.waitOne();
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (!one.isDead) await end;
  }
  const judge = first.share();
  await judge.open();
  const budgets = judge.budgets!;
  for (const [i, one] of processes.entries()) if (one.isDead) await stores[i]!.close();
  for (const key of keys) {
    const { spentMicros, leasedMicros } = await budgets.spent(key);
    // Nothing is given away: what was spent is known, or still leased.
    expect(spentMicros + leasedMicros).toBeGreaterThanOrEqual(world.spent);
    if (!processes.some((one) => one.isDead))
      expect({ spentMicros, leasedMicros }).toEqual({ spentMicros: world.spent, leasedMicros: 0 });
  }
  for (const orphan of await budgets.orphans()) {
    const i = stores.findIndex(({ processId }) => processId === orphan.process);
    await budgets.reconcile(orphan, processes[i]!.journalled - orphan.toldMicros);
  }
  for (const key of keys) {
    const { spentMicros, leasedMicros } = await budgets.spent(key);
    expect(leasedMicros).toBe(0);
    expect(spentMicros).toBeGreaterThanOrEqual(world.spent);
    expect(spentMicros).toBeLessThanOrEqual(cap);
  }
}

const property = (wrap?: (of: BudgetStore) => BudgetStore): fc.IAsyncPropertyWithHooks<[fc.Scheduler, Plan[]]> =>
  fc.asyncProperty(fc.scheduler(), fc.array(plan, { minLength: 1, maxLength: 4 }), (scheduler, plans) =>
    spend(scheduler, plans, wrap),
  );

describe('processes that spend of one cap', () => {
  test('never spend more than it, whatever comes first and whoever dies; and nothing of what they spent is forgotten (I8)', async () => {
    await fc.assert(property(), { numRuns: 300 });
  });

  test('would, if what is left were looked at before and taken after: the check fails as it must', async () => {
    const broken = (of: BudgetStore): BudgetStore => ({
      ...of,
      lease: async (request) => {
        const looked = await Promise.all(request.scopes.map(({ key }) => of.spent(key)));
        await new Promise((resolve) => setImmediate(resolve));
        const ledgers = request.scopes.map(({ key }, i) => ({
          key,
          spentMicros: looked[i]!.spentMicros + looked[i]!.leasedMicros,
          leases: [],
        }));
        const { answer } = grant(request, 'p', ledgers, () => true);
        const scopes = request.scopes.map(({ key }) => ({ key, capMicros: Number.MAX_SAFE_INTEGER }));
        if (answer.grantedMicros > 0)
          await of.lease({ ...request, scopes, wantMicros: answer.grantedMicros, minMicros: answer.grantedMicros });
        return answer;
      },
    });
    expect((await fc.check(property(broken), { numRuns: 3_000, endOnFailure: true })).failed).toBe(true);
  });

  test('would forget spending, if a dead process lost its lease without a word: the check fails as it must', async () => {
    const broken = (of: BudgetStore): BudgetStore => ({
      ...of,
      lease: async (request) => {
        const answer = await of.lease(request);
        // As if it ran out by itself.
        if (answer.grantedMicros > 0) await of.settle(request.account, keys, 0);
        return answer;
      },
    });
    expect((await fc.check(property(broken), { numRuns: 3_000, endOnFailure: true })).failed).toBe(true);
  });
});
