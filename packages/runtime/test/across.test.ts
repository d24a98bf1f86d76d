// across.test.ts: one graph in several processes: here two runtimes on one memory, where everything is in order and by hand.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { newPathKey, type Outcome, pathKeysFromEnv, type Session } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { deferred, settle, type TestWorld, world } from './world.ts';

const pathKeys = pathKeysFromEnv({ OFFSWITCH_PATH_KEYS: newPathKey() });

interface Two {
  readonly one: TestWorld;
  readonly two: TestWorld;
}

async function twoProcesses(): Promise<Two> {
  const one = await world({ pathKeys });
  const two = await world({ pathKeys, store: one.store.share(), clock: one.clock, source: one.source as never });
  return { one, two };
}

/** What the second process does with a request of the first: accept, and run the agent under it. */
async function ask(two: TestWorld, headers: object, input: unknown, agent = 'helper'): Promise<Outcome> {
  const parent = await two.runtime.accept(headers);
  return agents.get(two)!.get(agent)!.run(input, { parent });
}
const agents = new Map<TestWorld, Map<string, import('@offswitch/runtime').Agent<unknown, unknown>>>();
function define(where: TestWorld, name: string, body: (session: Session, input: unknown) => Promise<unknown>): void {
  const own = agents.get(where) ?? new Map();
  agents.set(where, own);
  own.set(name, where.runtime.agent(name, body));
}

/** An agent of the first process with one tool, which asks the second. */
function parentOf({ one, two }: Two): void {
  define(one, 'alpha', (session, input) =>
    session.turn((turn) =>
      turn.tool('ask', input, async () => ask(two, (await session.carry()).headers, input), { delegates: true }),
    ),
  );
}

describe('a session that another process starts', () => {
  test('is a child of the one that carried its path: same root, workflow and user (S2)', async () => {
    const both = await twoProcesses();
    let seen: Session | undefined;
    define(both.two, 'helper', async (session) => {
      seen = session;
      return session.turn(async () => 'helped');
    });
    parentOf(both);
    const { id, outcome } = agents.get(both.one)!.get('alpha')!.start('x', { userId: 'u-1', conversationId: 'c-1' });
    await settle(both.one.clock);
    expect(await outcome).toMatchObject({ status: 'completed', result: { status: 'completed', result: 'helped' } });
    expect(seen).toMatchObject({ rootId: id, parentId: id, workflow: 'alpha', userId: 'u-1', conversationId: 'c-1' });
    expect(seen!.path).toEqual([id, seen!.id]);
  });

  test('is terminated with it, before its next call, and the receipt of all processes names it; a sibling is not touched (I1, I7, S10)', async () => {
    const both = await twoProcesses();
    const { one, two } = both;
    const go = deferred();
    const started: string[] = [];
    define(two, 'helper', (session, input) =>
      session.turn(async (turn) => {
        await turn.tool('wait', {}, () => go.promise, { effect: false });
        await turn.tool('send', {}, () => void started.push(String(input)));
        return 'sent';
      }),
    );
    parentOf(both);
    const start = agents.get(one)!.get('alpha')!.start;
    const [stopped, other] = [start('stopped'), start('other')];
    await settle(one.clock);
    const receipt = await one.runtime.stop({ session: stopped.id, reason: 'runaway', by: 'ann' });
    expect(receipt.stages.fenced).toBeDefined();
    go.resolve();
    await settle(one.clock);
    expect(started).toEqual(['other']);
    expect((await stopped.outcome).status).toBe('terminated');
    expect((await other.outcome).status).toBe('completed');
    const [told] = await one.runtime.receipts();
    expect(told!.stages.done).toBeDefined();
    expect(told!.sessions.map((session) => [session.agent, session.state]).sort()).toEqual([
      ['alpha', 'stopped'],
      ['helper', 'stopped'],
    ]);
  });

  test('ends for who asked once its end outlives its process: a store that does not write it is asked again (S6, S10)', async () => {
    const both = await twoProcesses();
    const { one, two } = both;
    define(two, 'helper', (session) => session.turn(async () => 'helped'));
    parentOf(both);
    let isAway = false;
    const { flush } = two.store;
    two.store.flush = async () => {
      if (isAway) throw new Error('nobody there');
      return flush.call(two.store);
    };
    const run = agents.get(one)!.get('alpha')!.start('x');
    isAway = true;
    await settle(one.clock);
    expect(two.runtime.sessions()).toEqual([]);
    expect(one.runtime.session(run.id)?.calls.map(({ name }) => name)).toEqual(['ask']);
    isAway = false;
    await settle(one.clock, 250);
    expect(await run.outcome).toMatchObject({ status: 'completed' });
  });

  test('is reached by the switches of everybody above it, also where it works for somebody else (S2)', async () => {
    const { one, two } = await twoProcesses();
    const turns: number[] = [];
    const next = deferred();
    const helper = two.runtime.agent('helper', async (session) => {
      await session.turn(async (turn) => void turns.push(turn.number));
      await next.promise;
      await session.turn(async (turn) => void turns.push(turn.number));
    });
    define(one, 'alpha', (session) =>
      session.turn((turn) =>
        turn.tool(
          'ask',
          {},
          async () => {
            const parent = await two.runtime.accept((await session.carry()).env);
            return helper.run(undefined, { parent, userId: 'u-other' });
          },
          { delegates: true },
        ),
      ),
    );
    void agents.get(one)!.get('alpha')!.run(undefined, { userId: 'u-1' });
    await settle(one.clock);
    one.source.engage('killswitch.user', 'u-1', { reason: 'r', by: 'ann' });
    await settle(one.clock);
    next.resolve();
    await settle(one.clock);
    expect(turns).toEqual([1]);
    one.source.release('killswitch.user', 'u-1');
    await settle(one.clock);
    expect(turns).toEqual([1, 2]);
  });

  describe.each([
    ['feature', 'killswitch.feature.beta', undefined],
    ['user', 'killswitch.user', 'u-1'],
  ] as const)('under a detached one is reached by a stop of a %s that it left', (_tier, flag, target) => {
    /** `beta` of u-1 has `mid` of u-2, which detaches `alpha`, which asks for `helper`: and both above it have ended by then. */
    const detached = async () => {
      const both = await twoProcesses();
      const { one, two } = both;
      const turns: number[] = [];
      const next = deferred();
      const helper = async (session: Session): Promise<void> => {
        if (session.turnNumber < 1) await session.turn(async (turn) => void turns.push(turn.number));
        await next.promise;
        await session.turn(async (turn) => void turns.push(turn.number));
      };
      define(two, 'helper', helper);
      parentOf(both);
      const alpha = agents.get(one)!.get('alpha')!;
      const mid = one.runtime.agent('mid', (session) =>
        session.turn(async (turn) => turn.detach(alpha, undefined, { reason: 'goes on by itself', owner: 'ann' })),
      );
      const beta = one.runtime.agent('beta', (session) => session.turn((turn) => turn.spawn(mid, undefined, { userId: 'u-2' })));
      expect(await Promise.all([beta.run(undefined, { userId: 'u-1' }), settle(one.clock)])).toMatchObject([
        { status: 'completed' },
        undefined,
      ]);
      expect(turns).toEqual([1]);
      return { ...both, helper, turns, next };
    };

    test('and the receipt names it (S2, R15, I1, S10)', async () => {
      const { one, two, turns, next } = await detached();
      one.source.engage(flag, target, { reason: 'r', by: 'ann' });
      await settle(one.clock);
      next.resolve();
      await settle(one.clock);
      expect(turns).toEqual([1]);
      expect(two.runtime.sessions()).toMatchObject([{ agent: 'helper', decision: { action: 'pause' } }]);
      const [receipt] = await one.runtime.receipts();
      expect(receipt!.stages.fenced).toBeDefined();
      expect(receipt!.sessions.map(({ agent, state }) => [agent, state]).sort()).toEqual([
        ['alpha', 'paused'],
        ['helper', 'paused'],
      ]);
      one.source.release(flag, target);
      await settle(one.clock);
      expect(turns).toEqual([1, 2]);
    });

    test('also when another process has taken it up (S7, R15)', async () => {
      const { one, two, helper, turns, next } = await detached();
      const three = await world({ pathKeys, store: one.store.share(), clock: one.clock, source: one.source as never });
      define(three, 'helper', helper);
      two.store.reopen();
      await settle(one.clock);
      one.source.engage(flag, target, { reason: 'r', by: 'ann' });
      await settle(one.clock);
      next.resolve();
      await settle(one.clock);
      const paused = three.runtime.sessions().filter(({ state }) => state === 'paused');
      expect(paused).toMatchObject([{ agent: 'helper', decision: { action: 'pause' } }]);
      expect(turns).toEqual([1]);
    });
  });

  test('is one for one call: asked for again it is the same, and answers what it came to (I9)', async () => {
    const both = await twoProcesses();
    let runs = 0;
    define(both.two, 'helper', (session) => session.turn(async () => ++runs));
    define(both.one, 'alpha', (session) =>
      session.turn((turn) =>
        turn.tool(
          'ask',
          {},
          async () => {
            const { headers } = await session.carry();
            const first = await ask(both.two, headers, undefined);
            return [first, await ask(both.two, (await session.carry()).headers, undefined)];
          },
          { delegates: true },
        ),
      ),
    );
    const outcome = agents.get(both.one)!.get('alpha')!.run(undefined);
    await settle(both.one.clock);
    expect(await outcome).toMatchObject({ status: 'completed', result: [{ result: 1 }, { result: 1 }] });
    expect(runs).toBe(1);
  });

  test('rests with its parent: a graph in two processes comes to rest, says so, and goes on (S8, I14)', async () => {
    const both = await twoProcesses();
    const { one, two } = both;
    const next = deferred();
    define(two, 'helper', async (session) => {
      await session.turn(async () => {});
      await next.promise;
      return session.turn(async () => 'second');
    });
    parentOf(both);
    const { id, outcome } = agents.get(one)!.get('alpha')!.start('x');
    await settle(one.clock);
    one.source.engage('killswitch.global', undefined, { reason: 'r', by: 'ann' });
    await settle(one.clock);
    next.resolve();
    await settle(one.clock);
    expect(one.runtime.session(id)?.state).toBe('paused');
    const [told] = await one.runtime.receipts();
    expect(told!.sessions.map(({ agent, state }) => [agent, state]).sort()).toEqual([
      ['alpha', 'paused'],
      ['helper', 'paused'],
    ]);
    expect(told!.stages.done).toBeDefined();
    one.source.release('killswitch.global');
    await settle(one.clock);
    expect(await outcome).toMatchObject({ status: 'completed', result: { result: 'second' } });
  });

  test('is asked for again after a park, although the body that asked for it had gone on meanwhile and failed (S4, S8)', async () => {
    const both = await twoProcesses();
    const { one, two } = both;
    const next = deferred();
    const again = deferred();
    const failed: unknown[] = [];
    const helper = async (session: Session) => {
      if (session.turnNumber < 1) await session.turn(async () => {});
      await next.promise;
      return session.turn(async () => 'helped');
    };
    const alpha = (at: TestWorld) => (session: Session, input: unknown) =>
      session.turn((turn) =>
        turn.tool(
          'ask',
          input,
          async () => {
            const answer = await ask(at, (await session.carry()).headers, input);
            if (answer.status !== 'paused') return answer;
            await again.promise;
            return session.carry().catch((error: unknown) => {
              failed.push(error);
              throw error;
            });
          },
          { delegates: true },
        ),
      );
    define(two, 'helper', helper);
    define(one, 'alpha', alpha(two));
    const { id } = agents.get(one)!.get('alpha')!.start('x');
    await settle(one.clock);
    const parked = [one.runtime.park(), two.runtime.park()];
    next.resolve();
    await settle(one.clock, 1_000);
    await Promise.all(parked);
    again.resolve();
    await settle(one.clock);
    expect(failed).toMatchObject([{ code: 'session_ended' }]);
    const four = await two.restart({ pathKeys });
    define(four, 'helper', helper);
    const three = await one.restart({ pathKeys });
    const ended = three.runtime.settled(id);
    define(three, 'alpha', alpha(four));
    await settle(one.clock);
    await expect(ended).resolves.toMatchObject({ status: 'completed', result: { result: 'helped' } });
  });

  test('rests again with its parent after both were parked (S8)', async () => {
    const both = await twoProcesses();
    const { one, two } = both;
    const next = deferred();
    define(two, 'helper', async (session) => {
      if (session.turnNumber < 1) await session.turn(async () => {});
      await next.promise;
      return session.turn(async () => 'second');
    });
    parentOf(both);
    const { id } = agents.get(one)!.get('alpha')!.start('x');
    await settle(one.clock);
    const child = two.runtime.sessions().find((session) => session.agent === 'helper')!.id;
    await two.runtime.stop({ session: child, action: 'pause', reason: 'a look', by: 'ann' });
    one.source.engage('killswitch.global', undefined, { reason: 'r', by: 'ann' });
    next.resolve();
    await settle(one.clock, 60_000);
    expect([one.runtime.session(id)?.state, two.runtime.session(child)?.state]).toEqual(['parked', 'parked']);
    one.source.release('killswitch.global');
    await settle(one.clock);
    expect([one.runtime.session(id)?.state, two.runtime.session(child)?.state]).toEqual(['paused', 'parked']);
    await two.runtime.resume(child);
    await settle(one.clock);
    expect(one.runtime.session(id)).toBeUndefined();
  });

  test('held alone keeps its parent waiting in place, however long (S8)', async () => {
    const both = await twoProcesses();
    const { one, two } = both;
    const next = deferred();
    define(two, 'helper', async (session) => {
      await session.turn(async () => {});
      await next.promise;
      return session.turn(async () => 'second');
    });
    parentOf(both);
    const { id, outcome } = agents.get(one)!.get('alpha')!.start('x');
    await settle(one.clock);
    const child = two.runtime.sessions().find((session) => session.agent === 'helper' && session.state === 'running')!;
    await two.runtime.stop({ session: child.id, action: 'pause', reason: 'a look', by: 'ann' });
    next.resolve();
    await settle(one.clock, 60_000);
    expect(one.runtime.session(id)?.state).toBe('paused');
    expect(two.runtime.session(child.id)?.state).toBe('parked');
    await two.runtime.resume(child.id);
    await settle(one.clock);
    expect(await outcome).toMatchObject({ status: 'completed', result: { status: 'completed', result: 'second' } });
  });

  test.each([
    ['nobody knows', 'root_unknown'],
    ['has settled', 'root_settled'],
  ])('is refused under a root that %s, and the refusal is told (S6)', async (_, code) => {
    const { one, two } = await twoProcesses();
    const refused: string[] = [];
    two.runtime.subscribe((event) => {
      if (event.type === 'refused') refused.push(event.code);
    });
    let headers: object = {};
    define(one, 'alpha', async (session) => {
      headers = (await session.carry()).headers;
    });
    const outcome = agents.get(one)!.get('alpha')!.run(undefined);
    await settle(one.clock);
    await outcome;
    const where = code === 'root_settled' ? two : await world({ pathKeys });
    where.runtime.subscribe((event) => {
      if (event.type === 'refused' && where !== two) refused.push(event.code);
    });
    await expect(where.runtime.accept(headers)).rejects.toMatchObject({ code });
    expect(refused).toEqual([code]);
  });

  test.each([
    ['the path is good no more', 'path_expired'],
    ['the root has ended', 'root_settled'],
    ['the store has lost the root', 'root_unknown'],
  ] as const)('is refused where it was accepted and %s when it begins, and that is told once (S6)', async (_, code) => {
    const { one, two } = await twoProcesses();
    const refused: string[] = [];
    two.runtime.subscribe((event) => {
      if (event.type === 'refused') refused.push(event.code);
    });
    define(two, 'helper', async () => 'not begun');
    const ended = deferred();
    let headers: object = {};
    define(one, 'alpha', async (session) => {
      headers = (await session.carry()).headers;
      await ended.promise;
    });
    agents.get(one)!.get('alpha')!.start(undefined);
    await settle(one.clock);
    const parent = await two.runtime.accept(headers);
    if (code === 'path_expired') await one.clock.advance(600_001);
    if (code === 'root_settled') ended.resolve();
    if (code === 'root_unknown') two.store.lineage.register = async () => ({ status: 'refused', code });
    await settle(one.clock);
    await expect(agents.get(two)!.get('helper')!.run('x', { parent })).rejects.toMatchObject({ code });
    await settle(one.clock);
    expect(refused).toEqual([code]);
    const entries = (await two.store.audit!.chains()).flatMap(({ lines }) => lines.map((line) => JSON.parse(line)));
    expect(entries.filter(({ type }) => type === 'refused')).toMatchObject([{ code }]);
  });

  test('is not kept by the call that carried it there: who has ended is let go of', async () => {
    const both = await twoProcesses();
    define(both.two, 'helper', (session) => session.turn(async () => 1));
    const carried: WeakRef<Session>[] = [];
    define(both.one, 'alpha', (session) =>
      session.turn((turn) =>
        turn.tool(
          'ask',
          {},
          async () => {
            carried.push(new WeakRef(session));
            return ask(both.two, (await session.carry()).headers, 'x');
          },
          { delegates: true },
        ),
      ),
    );
    const done: string[] = [];
    for (let i = 0; i < 20; i++) {
      const run = agents.get(both.one)!.get('alpha')!.start('x').outcome;
      await settle(both.one.clock);
      done.push((await run).status);
    }
    expect(done).toEqual(done.map(() => 'completed'));
    await settle(both.one.clock, 60_000);
    setFlagsFromString('--expose_gc');
    const collect = runInNewContext('gc') as () => void;
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setImmediate(resolve));
      collect();
    }
    // One or another may be on the stack of the last turn of the event loop.
    expect(carried.filter((one) => one.deref() !== undefined).length).toBeLessThan(5);
  });

  test('is refused where its path is none, is signed by a stranger, or is missing', async () => {
    const { one, two } = await twoProcesses();
    const stranger = await world({ pathKeys: pathKeysFromEnv({ OFFSWITCH_PATH_KEYS: newPathKey() }) });
    let headers: Readonly<Record<string, string>> = {};
    const go = deferred();
    define(one, 'alpha', async (session) => {
      headers = (await session.carry()).headers;
      await go.promise;
    });
    void agents.get(one)!.get('alpha')!.run(undefined);
    await settle(one.clock);
    await expect(stranger.runtime.accept(headers)).rejects.toMatchObject({ code: 'path_forged' });
    await expect(two.runtime.accept({ baggage: 'offswitch.path=x' })).rejects.toMatchObject({ code: 'path_malformed' });
    await expect(two.runtime.accept({})).rejects.toMatchObject({ code: 'path_missing' });
    await expect((await world({ pathKeys: [] })).runtime.accept(headers)).rejects.toMatchObject({ code: 'path_keys_missing' });
    await one.clock.advance(11 * 60_000);
    await expect(two.runtime.accept(headers)).rejects.toMatchObject({ code: 'path_expired' });
  });
});

describe('a process that dies', () => {
  test('leaves what it ran to a living one, and the call that waited for it finds it there (S7, I9)', async () => {
    const both = await twoProcesses();
    const { one, two } = both;
    const three = await world({ pathKeys, store: one.store.share(), clock: one.clock, source: one.source as never });
    const done: string[] = [];
    const body =
      (gate: Promise<unknown>) =>
      async (session: Session): Promise<unknown> => {
        const { turnNumber } = session;
        if (turnNumber < 1) await session.turn(async (turn) => turn.tool('one', {}, () => void done.push('one')));
        await gate;
        await session.turn(async (turn) => turn.tool('two', {}, () => void done.push('two')));
        return 'helped';
      };
    define(two, 'helper', body(new Promise(() => {})));
    define(three, 'helper', body(Promise.resolve()));
    const failed = deferred();
    define(one, 'alpha', (session) =>
      session.turn((turn) =>
        turn.tool(
          'ask',
          {},
          async () => {
            const lost = ask(two, (await session.carry()).headers, undefined);
            await Promise.race([lost, failed.promise]);
            return ask(three, (await session.carry()).headers, undefined);
          },
          { delegates: true },
        ),
      ),
    );
    const outcome = agents.get(one)!.get('alpha')!.run(undefined);
    await settle(one.clock);
    expect(done).toEqual(['one']);
    two.store.reopen();
    failed.resolve();
    await settle(one.clock);
    expect(await outcome).toMatchObject({ status: 'completed', result: { status: 'completed', result: 'helped' } });
    expect(done).toEqual(['one', 'two']);
  });

  test('leaves what it had registered, or claimed then, and of which nothing is written, to the next that is asked (S7, I14)', async () => {
    const both = await twoProcesses();
    const { one, two } = both;
    const more = { pathKeys, clock: one.clock, source: one.source as never };
    const three = await world({ ...more, store: one.store.share() });
    const four = await world({ ...more, store: one.store.share() });
    for (const where of [two, three, four]) define(where, 'helper', (session) => session.turn(async () => 'helped'));
    const { register } = three.store.lineage;
    three.store.lineage.register = async (of) => {
      await register(of);
      three.store.reopen();
      return new Promise(() => {});
    };
    const { claim } = four.store;
    four.store.claim = (session, epoch) => {
      claim.call(four.store, session, epoch);
      four.store.reopen();
      return false;
    };
    define(one, 'alpha', (session) =>
      session.turn((turn) =>
        turn.tool(
          'ask',
          {},
          async () => {
            const { headers } = await session.carry();
            void ask(three, headers, undefined);
            await settle(one.clock);
            await expect(ask(four, headers, undefined)).rejects.toMatchObject({ code: 'session_elsewhere' });
            return ask(two, headers, undefined);
          },
          { delegates: true },
        ),
      ),
    );
    const outcome = agents.get(one)!.get('alpha')!.run(undefined);
    await settle(one.clock, 500);
    expect(await outcome).toMatchObject({ status: 'completed', result: { status: 'completed', result: 'helped' } });
  });

  test('leaves it to a living one also where the store could not say at first what it left (I13, I14)', async () => {
    const { one, two } = await twoProcesses();
    const done: string[] = [];
    const body = (where: string, gate: Promise<unknown>) => async (session: Session) => {
      await gate;
      return session.turn(async () => void done.push(where));
    };
    define(one, 'alpha', body('one', Promise.resolve()));
    define(two, 'alpha', body('two', new Promise(() => {})));
    void agents.get(two)!.get('alpha')!.run('x');
    await settle(one.clock);
    const { adopt } = one.store.lineage;
    one.store.lineage.adopt = () => Promise.reject(new Error('no answer in time'));
    two.store.reopen();
    await settle(one.clock);
    one.store.lineage.adopt = adopt;
    await settle(one.clock, 2_000);
    expect(done).toEqual(['one']);
  });

  test('leaves what it had itself taken up from one that had died before (S7, I14)', async () => {
    const both = await twoProcesses();
    const { one, two } = both;
    const more = { pathKeys, clock: one.clock, source: one.source as never };
    const three = await world({ ...more, store: one.store.share() });
    const four = await world({ ...more, store: one.store.share() });
    const done: string[] = [];
    const dead = new Promise(() => {});
    const body =
      (where: string, gate: Promise<unknown>) =>
      async (session: Session): Promise<unknown> => {
        if (session.turnNumber < 1) await session.turn(async (turn) => turn.tool('one', {}, () => void done.push(where)));
        await gate;
        await session.turn(async (turn) => turn.tool('two', {}, () => void done.push(where)));
        return where;
      };
    define(two, 'helper', body('two', dead));
    parentOf(both);
    void agents.get(one)!.get('alpha')!.run('x');
    await settle(one.clock);
    define(three, 'helper', body('three', dead));
    two.store.reopen();
    await settle(one.clock);
    define(four, 'helper', body('four', Promise.resolve()));
    three.store.reopen();
    await settle(one.clock);
    expect(done).toEqual(['two', 'four']);
  });

  test('is told to whoever waits for it where it was not taken up: another process was first (I9)', async () => {
    const both = await twoProcesses();
    const { one, two } = both;
    const more = { pathKeys, clock: one.clock, source: one.source as never };
    const others = [await world({ ...more, store: one.store.share() }), await world({ ...more, store: one.store.share() })];
    const go = deferred();
    const never = new Promise(() => {});
    define(two, 'helper', (session) => session.turn(() => never));
    for (const other of others) define(other, 'helper', (session) => session.turn(async () => 'helped'));
    let asked: Promise<PromiseSettledResult<Outcome>[]> | undefined;
    define(one, 'alpha', (session) =>
      session.turn((turn) =>
        turn.tool(
          'ask',
          {},
          async () => {
            void ask(two, (await session.carry()).headers, undefined);
            await go.promise;
            const { headers } = await session.carry();
            asked = Promise.allSettled(others.map((other) => ask(other, headers, undefined)));
            await asked;
          },
          { delegates: true },
        ),
      ),
    );
    const outcome = agents.get(one)!.get('alpha')!.run('x');
    await settle(one.clock);
    go.resolve();
    two.store.reopen();
    await settle(one.clock);
    expect((await outcome).status).toBe('completed');
    const answers = (await asked!).map((one) => (one.status === 'fulfilled' ? one.value.status : one.reason.code));
    expect(answers.sort()).toEqual(['completed', 'session_elsewhere']);
  });

  test('leaves a session to a process where its children run: a stop of it reaches it and them (I1, S2)', async () => {
    const both = await twoProcesses();
    const { one, two } = both;
    const started: string[] = [];
    const go = deferred();
    const body =
      (name: string) =>
      async (session: Session): Promise<void> => {
        await session.turn(async (turn) => turn.tool('begin', {}, () => void started.push(`${name} begins`)));
        await go.promise;
        await session.turn(async (turn) => turn.tool('go on', {}, () => void started.push(`${name} goes on`)));
      };
    define(two, 'helper', body('helper'));
    parentOf(both);
    const { id } = agents.get(one)!.get('alpha')!.start('x');
    await settle(one.clock);
    define(two, 'alpha', body('alpha'));
    one.store.reopen();
    await settle(one.clock);
    expect(started).toEqual(['helper begins', 'alpha begins']);
    await two.runtime.stop({ session: id, reason: 'runaway', by: 'ann' });
    go.resolve();
    await settle(one.clock);
    expect(started).toEqual(['helper begins', 'alpha begins']);
    expect(two.runtime.sessions().map(({ state }) => state)).toEqual([]);
  });
});

test('no call starts after a pause is done: one of a session whose sub-agent in another process is terminated under it (I1, S8)', async () => {
  const both = await twoProcesses();
  const { one, two } = both;
  const next = deferred();
  const did: string[] = [];
  define(two, 'helper', async (session) => {
    await session.turn(async () => {});
    await next.promise;
    return session.turn(async () => 'second');
  });
  define(one, 'alpha', (session, input) =>
    session.turn(async (turn) => {
      const { status } = await turn.tool('ask', input, async () => ask(two, (await session.carry()).headers, input), {
        delegates: true,
      });
      await turn.tool('send', {}, () => did.push(status));
    }),
  );
  const { id } = agents.get(one)!.get('alpha')!.start('x');
  const end = one.runtime.settled(id);
  await settle(one.clock);
  one.source.engage('killswitch.global', undefined, { reason: 'r', by: 'ann' });
  await settle(one.clock);
  next.resolve();
  await settle(one.clock);
  expect(one.runtime.session(id)?.state).toBe('paused');
  const receipt = async () => (await one.runtime.receipts()).find(({ stop }) => stop.tier === 'global')!;
  expect((await receipt()).stages.done).toBeDefined();
  const child = two.runtime.sessions().find((session) => session.agent === 'helper')!.id;
  await two.runtime.stop({ session: child, reason: 'odd', by: 'ann' });
  await settle(one.clock, 1_000);
  expect((await receipt()).stages.done).toBeDefined();
  expect(did).toEqual([]);
  one.source.release('killswitch.global');
  await settle(one.clock, 1_000);
  expect(did).toEqual(['terminated']);
  expect(await end).toMatchObject({ status: 'completed' });
});
