// budgets.test.ts: caps that several processes and graphs spend of: here two runtimes on one memory, everything by hand.

import type { KillSwitches } from '@offswitch/core';
import {
  type Agent,
  createRuntime,
  currentCall,
  memoryStore,
  newPathKey,
  type Outcome,
  pathKeysFromEnv,
  type RuntimeOptions,
  type Session,
  subjectKey,
} from '@offswitch/runtime';
import { memorySource } from '@offswitch/testing';
import { describe, expect, test } from 'vitest';
import { deferred, settle, switches, type TestWorld, type Workflows, world } from './world.ts';

const pathKeys = pathKeysFromEnv({ OFFSWITCH_PATH_KEYS: newPathKey() });
type Options = Partial<RuntimeOptions<Workflows>>;

/** Every call of every process that was really made. */
interface Made {
  readonly calls: string[];
  spent: number;
}

async function twoProcesses(options: Options): Promise<{ one: TestWorld; two: TestWorld; made: Made }> {
  const one = await world({ pathKeys, ...options });
  const two = await world({ pathKeys, ...options, store: one.store.share(), clock: one.clock, source: one.source as never });
  return { one, two, made: { calls: [], spent: 0 } };
}

function pay(session: Session, made: Made, costMicros: number, maxCostMicros = costMicros): Promise<number> {
  return session.turn((turn) =>
    turn.model(
      'm',
      async () => {
        made.calls.push(session.userId ?? session.workflow);
        made.spent += costMicros;
        return costMicros;
      },
      (cost) => ({ costMicros: cost }),
      { maxCostMicros },
    ),
  );
}

function payer({ runtime }: TestWorld, name: Workflows, made: Made, times: number, costMicros: number): Agent<unknown, void> {
  return runtime.agent(name, async (session: Session) => {
    while (session.turnNumber < times) await pay(session, made, costMicros);
  });
}

const trips = ({ runtime }: TestWorld) => runtime.stops().filter((stop) => stop.cause === 'breaker');

describe('the cap of a user', () => {
  test('is over all graphs, workflows and processes, and reached it pauses that user everywhere, once (I8)', async () => {
    const { one, two, made } = await twoProcesses({ caps: { user: { 'u-1': 1_000 } } });
    const alpha = payer(one, 'alpha', made, 20, 100);
    const beta = payer(two, 'beta', made, 20, 100);
    const held = [alpha.start(1, { userId: 'u-1' }), beta.start(1, { userId: 'u-1' })];
    const free = alpha.start(1, { userId: 'u-2' });
    await settle(one.clock, 6_000);
    expect((await free.outcome).status).toBe('completed');
    expect(made.calls.filter((user) => user === 'u-1')).toHaveLength(10);
    for (const process of [one, two])
      expect(trips(process)).toMatchObject([{ tier: 'user', action: 'pause', breaker: 'cost', subject: { userId: 'u-1' } }]);
    for (const [i, process] of [one, two].entries())
      expect(process.runtime.session(held[i]!.id)).toMatchObject({
        decision: { action: 'pause', tier: 'user', cause: 'breaker' },
      });
  });

  test('is raised in every process by one release, by what it names', async () => {
    const { one, two, made } = await twoProcesses({ caps: { user: { '*': 1_000 } } });
    const ends = [payer(one, 'alpha', made, 10, 100), payer(two, 'beta', made, 10, 100)].map((agent) =>
      agent.start(1, { userId: 'u-1' }),
    );
    await settle(one.clock, 6_000);
    expect(made.calls).toHaveLength(10);
    const [stop, ...others] = trips(one);
    expect(others).toEqual([]);
    await two.runtime.release({ stop: stop!.id, reason: 'worth it', by: 'ann', allowance: 500 });
    await settle(one.clock, 9_000);
    expect(made.calls).toHaveLength(15);
    const again = trips(two);
    expect(again).toHaveLength(1);
    // Named by how often the cap was reached, so that processes that see it at once make one stop, and one release is enough.
    expect([stop!.id, again[0]!.id]).toEqual(['act.breaker-cost.pause.user.u-1.cap-1', 'act.breaker-cost.pause.user.u-1.cap-2']);
    await one.runtime.release({ breaker: 'cost', reason: 'worth it', by: 'ann' });
    const settled = [one.runtime.settled(ends[0]!.id), two.runtime.settled(ends[1]!.id)];
    await settle(one.clock, 9_000);
    expect((await Promise.all(settled)).map(({ status }) => status)).toEqual(['completed', 'completed']);
    expect(made.calls).toHaveLength(20);
  });

  test('holds the calls of a turn that is under way, in a child that inherits the user too', async () => {
    const one = await world({ caps: { user: { 'u-1': 250 } } });
    const made: Made = { calls: [], spent: 0 };
    const child = one.runtime.agent('child', (session: Session) => pay(session, made, 100));
    const { id } = one.runtime
      .agent('alpha', (session) =>
        session.turn(async (turn) => {
          for (let n = 0; n < 5; n++) await turn.spawn(child, n);
        }),
      )
      .start(undefined, { userId: 'u-1' });
    await settle(one.clock, 3_000);
    expect(made.spent).toBe(200);
    expect(one.runtime.session(id)?.state).toBe('paused');
  });
});

describe('the reason of a pause by a cap', () => {
  test.each([true, false])(
    'says in micros what is spent, what the next call may cost, and the cap (S10); the store keeps budgets: %s',
    async (keepsBudgets) => {
      const store = memoryStore();
      if (!keepsBudgets) Object.defineProperty(store, 'budgets', { value: undefined });
      const one = await world({ store, breakers: { alpha: { costMicros: 1_000_000 } } });
      payer(one, 'alpha', { calls: [], spent: 0 }, 40, 33_000).start(1);
      await settle(one.clock, 6_000);
      expect(trips(one)).toMatchObject([
        {
          reason:
            'breaker cost: 990000 micros are spent or reserved and the next call may cost 33000, over the cap of 1000000 for this graph (1000000 micros are $1)',
        },
      ]);
      await one.runtime.close();
    },
  );
});

describe('the cap of a workflow', () => {
  test('is over all its graphs, and pauses it and no other', async () => {
    const one = await world({ caps: { workflow: { alpha: 1_000 } } });
    const made: Made = { calls: [], spent: 0 };
    const alpha = payer(one, 'alpha', made, 3, 100);
    for (let n = 0; n < 5; n++) alpha.start(n);
    const other = payer(one, 'beta', made, 30, 100).start(1);
    await settle(one.clock, 6_000);
    expect((await other.outcome).status).toBe('completed');
    expect(made.calls.filter((of) => of === 'alpha')).toHaveLength(10);
    expect(trips(one)).toMatchObject([{ tier: 'feature', subject: { workflow: 'alpha' } }]);
    expect(await one.runtime.release({ breaker: 'cost', workflow: 'beta', reason: 'r', by: 'ann' })).toEqual([]);
    expect(await one.runtime.release({ breaker: 'cost', workflow: 'alpha', reason: 'r', by: 'ann' })).toHaveLength(1);
    await settle(one.clock, 6_000);
    expect(made.calls.filter((of) => of === 'alpha')).toHaveLength(15);
    expect(one.runtime.sessions()).toEqual([]);
  });
});

describe('the caps of those whom a detached session left', () => {
  const detach = async ({ runtime, clock }: TestWorld, alpha: Agent<unknown, unknown>): Promise<void> => {
    runtime
      .agent('beta', (session) =>
        session.turn(async (turn) => turn.detach(alpha, undefined, { reason: 'goes on by itself', owner: 'ann' })),
      )
      .start(undefined);
    await settle(clock, 6_000);
  };

  test('are over what it spends too, as their switches are over it (S2)', async () => {
    const one = await world({ caps: { workflow: { beta: 250 } } });
    const made: Made = { calls: [], spent: 0 };
    const alpha = payer(one, 'alpha', made, 9, 100);
    await detach(one, alpha);
    expect(made.calls).toEqual(['alpha', 'alpha']);
    expect(trips(one)).toMatchObject([{ tier: 'feature', subject: { workflow: 'beta' } }]);
  });

  test('are over what its sub-agents spend in other processes (S2, I8)', async () => {
    const { one, two, made } = await twoProcesses({ caps: { workflow: { beta: 250 } } });
    const helper = two.runtime.agent('helper', async (session: Session) => {
      while (session.turnNumber < 9) await pay(session, made, 100);
    });
    const ask = async (headers: object): Promise<Outcome> => helper.run(undefined, { parent: await two.runtime.accept(headers) });
    const alpha = one.runtime.agent('alpha', (session) =>
      session.turn((turn) => turn.tool('ask', {}, async () => ask((await session.carry()).headers), { delegates: true })),
    );
    await detach(one, alpha);
    expect(made.calls).toEqual(['alpha', 'alpha']);
    for (const process of [one, two]) expect(trips(process)).toMatchObject([{ tier: 'feature', subject: { workflow: 'beta' } }]);
  });
});

describe('the cap of a graph', () => {
  test('is one for all processes it runs in, and reached in any it pauses the root in its own (I8)', async () => {
    const { one, two, made } = await twoProcesses({ breakers: { alpha: { costMicros: 1_000 } } });
    const helper = two.runtime.agent('helper', async (session: Session) => {
      while (session.turnNumber < 20) await pay(session, made, 100);
    });
    const ask = async (headers: object): Promise<Outcome> => helper.run(undefined, { parent: await two.runtime.accept(headers) });
    const { id } = one.runtime
      .agent('alpha', async (session) => {
        for (let n = 0; n < 3; n++) await pay(session, made, 100);
        await session.turn((turn) => turn.tool('ask', {}, async () => ask((await session.carry()).headers), { delegates: true }));
      })
      .start(undefined);
    await settle(one.clock, 6_000);
    expect(made.spent).toBe(1_000);
    for (const process of [one, two]) expect(trips(process)).toMatchObject([{ tier: 'instance', subject: { sessionId: id } }]);
    expect(one.runtime.session(id)?.decision).toMatchObject({ action: 'pause', cause: 'breaker' });
  });

  test('is not given anew when its root has ended and a session of it runs elsewhere (I8)', async () => {
    const { one, two, made } = await twoProcesses({ breakers: { '*': { costMicros: 1_000 } } });
    let headers: object = {};
    const root = one.runtime
      .agent('alpha', async (session) => {
        for (let n = 0; n < 9; n++) await pay(session, made, 100);
        headers = (await session.carry()).headers;
        await session.turn(() => new Promise<void>((resolve) => void one.clock.setTimeout(resolve, 500)));
      })
      .start(undefined);
    await settle(one.clock);
    const parent = await two.runtime.accept(headers);
    const rootEnded = root.outcome;
    const helper = two.runtime.agent('helper', async (session: Session) => {
      await rootEnded;
      while (session.turnNumber < 20) await pay(session, made, 100);
    });
    void helper.run(undefined, { parent });
    await settle(one.clock, 10_000);
    expect((await rootEnded).status).toBe('completed');
    expect(made.spent).toBe(1_000);
    expect(await one.store.budgets!.spent(`graph.${root.id}`)).toEqual({ spentMicros: 1_000, leasedMicros: 0 });
  });

  test('is asked of the store for few of its calls, and what is not used is given back when idle and at the end', async () => {
    const one = await world({ breakers: { alpha: { costMicros: 1_000_000 } }, caps: { user: { '*': 2_000_000 } } });
    const made: Made = { calls: [], spent: 0 };
    let asked = 0;
    const budgets = one.store.budgets!;
    const { lease, settle: settleLease } = budgets;
    budgets.lease = (request) => {
      asked++;
      return lease(request);
    };
    budgets.settle = (...of) => {
      asked++;
      return settleLease(...of);
    };
    let go = (): void => {};
    const { id, outcome } = one.runtime
      .agent('alpha', async (session) => {
        for (let n = 0; n < 200; n++) await pay(session, made, 1_000);
        await session.turn((turn) =>
          turn.tool('wait', {}, () => new Promise<void>((resolve) => (go = resolve)), { effect: false }),
        );
        await pay(session, made, 500);
      })
      .start(undefined, { userId: 'u-1' });
    await settle(one.clock, 500);
    expect(made.calls).toHaveLength(200);
    expect((await budgets.spent('user.u-1')).leasedMicros).toBeGreaterThanOrEqual(200_000);
    await settle(one.clock, 3_000);
    expect(await budgets.spent('user.u-1')).toEqual({ spentMicros: 200_000, leasedMicros: 0 });
    expect(await budgets.spent(`graph.${id}`)).toEqual({ spentMicros: 200_000, leasedMicros: 0 });
    go();
    await settle(one.clock);
    await outcome;
    expect(await budgets.spent('user.u-1')).toEqual({ spentMicros: 200_500, leasedMicros: 0 });
    expect(await budgets.spent(`graph.${id}`)).toEqual({ spentMicros: 0, leasedMicros: 0 });
    expect(asked / 201).toBeLessThanOrEqual(0.1);
  });

  test('given back by one process is there for another that waits for it, before anybody is paused', async () => {
    const { one, two, made } = await twoProcesses({ caps: { user: { 'u-1': 1_000 } } });
    const idle = one.runtime.agent('alpha', async (session: Session) => {
      await pay(session, made, 100, 700);
      await session.turn((turn) => turn.tool('wait', {}, () => new Promise<void>(() => {}), { effect: false }));
    });
    idle.start(1, { userId: 'u-1' });
    await settle(one.clock, 100);
    const { outcome } = payer(two, 'beta', made, 1, 900).start(1, { userId: 'u-1' });
    await settle(one.clock, 4_000);
    expect((await outcome).status).toBe('completed');
    expect(made.spent).toBe(1_000);
    expect(trips(one)).toEqual([]);
  });
});

describe('what a dead process had leased', () => {
  test('is closed at what its journal tells: no credit is lost for good, and none is given away (I8)', async () => {
    let here = await world({ caps: { user: { 'u-1': 1_000 } } });
    const made: Made = { calls: [], spent: 0 };
    const define = (): Agent<unknown, void> =>
      here.runtime.agent('alpha', async (session: Session) => {
        while (session.turnNumber < 3) await pay(session, made, 100);
        // Under way when the process dies: it may have cost its reserve, and is asked for again.
        await session.turn((turn) =>
          turn.model(
            'm',
            async () => (made.calls.length > 3 ? 1 : new Promise<number>(() => made.calls.push('lost'))),
            undefined,
            {
              maxCostMicros: 200,
            },
          ),
        );
      });
    const { id } = define().start(1, { userId: 'u-1' });
    await settle(here.clock, 100);
    expect(made.calls).toHaveLength(4);
    expect((await here.store.budgets!.spent('user.u-1')).leasedMicros).toBeGreaterThan(500);
    here = await here.restart();
    await settle(here.clock, 100);
    expect(await here.store.budgets!.spent('user.u-1')).toEqual({ spentMicros: 500, leasedMicros: 0 });
    const end = here.runtime.settled(id);
    define();
    await settle(here.clock, 100);
    expect((await end).status).toBe('completed');
    await settle(here.clock, 100);
    // Made again, and of unknown cost: its reserve once more.
    expect(await here.store.budgets!.spent('user.u-1')).toEqual({ spentMicros: 700, leasedMicros: 0 });
  });

  test('is counted once where sessions of its graph had leases over other users too', async () => {
    let here = await world({ caps: { user: { '*': 100_000 } } });
    const made: Made = { calls: [], spent: 0 };
    const child = here.runtime.agent('child', async (session) => {
      await pay(session, made, 1_000);
      await session.turn(() => new Promise<void>(() => {}));
    });
    here.runtime
      .agent('alpha', async (session) => {
        await pay(session, made, 10);
        await session.turn((turn) => turn.spawn(child, undefined, { userId: 'u-2' }));
      })
      .start(undefined, { userId: 'u-1' });
    await settle(here.clock, 20);
    expect(made.spent).toBe(1_010);
    here = await here.restart();
    await settle(here.clock);
    expect(await here.store.budgets!.spent('user.u-1')).toEqual({ spentMicros: 1_010, leasedMicros: 0 });
    expect(await here.store.budgets!.spent('user.u-2')).toEqual({ spentMicros: 1_000, leasedMicros: 0 });
  });

  test('is counted by all it may have been for where other caps are declared by now (I8)', async () => {
    let here = await world({ caps: { user: { 'u-1': 100_000 } } });
    const made: Made = { calls: [], spent: 0 };
    payer(here, 'alpha', made, 3, 100).start(1, { userId: 'u-1' });
    here.runtime
      .agent('beta', async (session: Session) => {
        await pay(session, made, 100);
        await session.turn(() => new Promise<void>(() => {}));
      })
      .start(1, { userId: 'u-1' });
    await settle(here.clock, 20);
    here = await here.restart({ caps: { user: { 'u-1': 100_000 }, workflow: { '*': 100_000 } } });
    await settle(here.clock);
    expect(made.spent).toBe(400);
    expect(await here.store.budgets!.spent('user.u-1')).toEqual({ spentMicros: 400, leasedMicros: 0 });
  });

  test('is counted each time where the same call is made again and its process dies again', async () => {
    let here = await world({ caps: { user: { 'u-1': 1_000 } } });
    const define = (): Agent<unknown, void> =>
      here.runtime.agent('alpha', async (session: Session) => {
        await session.turn((turn) => turn.model('m', () => new Promise<void>(() => {}), undefined, { maxCostMicros: 300 }));
      });
    define().start(1, { userId: 'u-1' });
    for (let death = 1; death <= 3; death++) {
      await settle(here.clock, 100);
      here = await here.restart();
      await settle(here.clock, 100);
      expect(await here.store.budgets!.spent('user.u-1')).toEqual({ spentMicros: 300 * death, leasedMicros: 0 });
      define();
    }
    await settle(here.clock, 100);
    expect(trips(here)).toMatchObject([{ tier: 'user' }]);
  });
});

describe('a store of budgets that fails', () => {
  test('holds the call until it answers, and lets nothing through (I13)', async () => {
    const one = await world({ caps: { user: { 'u-1': 1_000 } } });
    const made: Made = { calls: [], spent: 0 };
    const budgets = one.store.budgets!;
    const { lease } = budgets;
    budgets.lease = () => Promise.reject(new Error('gone'));
    one.runtime.subscribe(() => {});
    const { outcome } = payer(one, 'alpha', made, 2, 100).start(1, { userId: 'u-1' });
    await settle(one.clock, 2_000);
    expect(made.calls).toEqual([]);
    budgets.lease = lease;
    await settle(one.clock, 3_000);
    expect((await outcome).status).toBe('completed');
    expect(made.calls).toHaveLength(2);
  });
});

describe('credit that the store did not take back', () => {
  test('with the end of its graph is given back later, with what was spent of it, once (I8)', async () => {
    const { runtime, store, clock } = await world({ caps: { user: { 'u-1': 1_000 } } });
    const budgets = store.budgets!;
    const { settle: give } = budgets;
    const alarms: string[] = [];
    runtime.subscribe((event) => event.type === 'alarm' && alarms.push(event.message));
    budgets.settle = () => Promise.reject(new Error('EIO'));
    const made: Made = { calls: [], spent: 0 };
    const { outcome } = runtime
      .agent('alpha', (session: Session) => pay(session, made, 60, 100))
      .start(undefined, { userId: 'u-1' });
    expect((await outcome).status).toBe('completed');
    await settle(clock, 10_000);
    const key = `user.${subjectKey('u-1')}`;
    expect(await budgets.spent(key)).toMatchObject({
      spentMicros: 0,
      leasedMicros: expect.toSatisfy((micros: number) => micros >= 60),
    });
    budgets.settle = give;
    await settle(clock, 60_000);
    expect(await budgets.spent(key)).toEqual({ spentMicros: 60, leasedMicros: 0 });
    expect(alarms.filter((one) => one.includes('could not be given back'))).toHaveLength(1);
    await runtime.close();
    expect(clock.pending).toBe(0);
  });

  test.each([
    ['when nobody used it is given back again', true],
    ['is given back with the end of its graph', false],
  ])('%s: none of the cap is lost (I8)', async (_, isIdle) => {
    const { runtime, store, clock } = await world({ caps: { user: { 'u-1': 1_000 } } });
    const budgets = store.budgets!;
    const { settle: give } = budgets;
    let failures = 0;
    let isFailing = true;
    budgets.settle = (...all) => (isFailing ? Promise.reject(new Error(`EIO ${++failures}`)) : give.call(budgets, ...all));
    const hold = deferred();
    const made: Made = { calls: [], spent: 0 };
    const { outcome } = runtime
      .agent('alpha', async (session: Session) => {
        await pay(session, made, 0, 100);
        await hold.promise;
      })
      .start(undefined, { userId: 'u-1' });
    await settle(clock, 5_000);
    expect(failures).toBeGreaterThan(0);
    const [key] = [...(await budgets.orphans()).flatMap(({ keys }) => keys), `user.${subjectKey('u-1')}`];
    expect((await budgets.spent(key!)).leasedMicros).toBeGreaterThan(0);
    isFailing = false;
    if (!isIdle) {
      hold.resolve();
      expect((await outcome).status).toBe('completed');
    }
    await settle(clock, isIdle ? 5_000 : 0);
    expect(await budgets.spent(key!)).toEqual({ spentMicros: 0, leasedMicros: 0 });
  });
});

describe('a table of caps', () => {
  test.each([
    [{ workflow: { gamma: 1 } }, /"gamma" is not declared/],
    [{ team: { a: 1 } }, /"team" is no cap/],
    [{ user: { a: 0 } }, /user.a must be a positive integer/],
    [{ user: { a: 1.5 } }, /user.a must be a positive integer/],
    [{ workflow: { '*': '5' } }, /positive integer/],
  ])('that makes no sense is refused at the start: %j', async (caps, message) => {
    await expect(world({ caps: caps as never })).rejects.toThrow(message);
  });
});

describe('the page about budgets', () => {
  test('shows caps that a runtime takes', async () => {
    const store = memoryStore();
    const source = memorySource(switches as KillSwitches);
    // #region caps
    const runtime = await createRuntime({
      switches,
      source,
      store,
      breakers: { alpha: { costMicros: 5_000_000 } }, // one graph: the root and every sub-agent, in every process
      caps: {
        user: { '*': 20_000_000, 'u-1': 100_000_000 }, // everything of one user
        workflow: { alpha: 500_000_000 }, // everything of one workflow
      },
    });
    // #endregion
    expect(runtime.stops()).toEqual([]);
    await runtime.close();
  });

  test('shows a call that says what it may cost and what it did, and that is what is spent of the cap', async () => {
    const { runtime, store } = await world({ caps: { user: { '*': 100_000 } } });
    const callModel = async (text: string, _signal: AbortSignal) => ({ text, tokens: { in: 1_000, out: 100 } });
    // #region cost
    const writer = runtime.agent('alpha', (session, prompt: string) =>
      session.turn((turn) =>
        turn.model(
          'large',
          (signal) => callModel(prompt, signal),
          // usageOf: what the call did cost, from its reply. At $3 and $15 for a million tokens, one is 3 and 15 micros.
          ({ tokens }) => ({ costMicros: 3 * tokens.in + 15 * tokens.out }),
          { maxCostMicros: 30_000 }, // the most it may cost: $0.03
        ),
      ),
    );
    // #endregion
    expect(await writer.run('cats', { userId: 'u-1' })).toMatchObject({ status: 'completed' });
    await runtime.close();
    expect(await store.budgets!.spent(`user.${subjectKey('u-1')}`)).toEqual({ spentMicros: 4_500, leasedMicros: 0 });
  });
});

test('what a model call costs that comes back after its graph has ended leaves nothing of that graph behind', async () => {
  const { runtime, store, clock } = await world({ breakers: { alpha: { costMicros: 100 } } });
  const [giveUp, reply] = [deferred(), deferred()];
  const keys: string[] = [];
  const { budgets } = store as unknown as {
    budgets: { settle: (...args: unknown[]) => unknown; forget: (key: string) => unknown };
  };
  const { settle: settleBudget, forget } = budgets;
  budgets.settle = (...args) => {
    keys.push(`settle ${String(args[1]).split('.')[0]}`);
    return settleBudget.apply(budgets, args);
  };
  budgets.forget = (key) => {
    keys.push(`forget ${key.split('.')[0]}`);
    return forget.call(budgets, key);
  };
  const { id } = runtime
    .agent('alpha', async (session) => {
      await session.turn((turn) =>
        turn.tool(
          'ask',
          {},
          () => {
            void currentCall()!
              .child('helper')
              .turn((inner) =>
                inner.model(
                  'm',
                  () => reply.promise,
                  () => ({ costMicros: 10 }),
                ),
              );
            return giveUp.promise;
          },
          { delegates: true },
        ),
      );
    })
    .start(undefined);
  await settle(clock, 100);
  const end = runtime.settled(id);
  giveUp.resolve();
  await settle(clock, 100);
  await end;
  reply.resolve();
  await settle(clock, 10_000);
  const spent = await (store as unknown as { budgets: { spent: (key: string) => Promise<unknown> } }).budgets.spent(
    `graph.${id}`,
  );
  expect([keys.at(-1) ?? 'none', spent]).not.toEqual(['settle graph', { spentMicros: 10, leasedMicros: 0 }]);
});
