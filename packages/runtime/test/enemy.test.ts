// enemy.test.ts: code, values, clocks, stores and sources at their worst: none of them lifts a stop, repeats an effect, or takes
// the process down (S9, I9, I13, I14).

import { memoryStore, RuntimeError, type Session, type StateStore } from '@offswitch/runtime';
import { describe, expect, test, vi } from 'vitest';
import { deferred, settle, world } from './world.ts';

const day = 86_400_000;
const quiet = () => void vi.spyOn(console, 'error').mockImplementation(() => {});

describe('an agent that races its calls against a time of its own', () => {
  test('has a turn that waits for what it left behind, and a stop reaches it there (S2, S7)', async () => {
    const { runtime, clock } = await world();
    const gate = deferred();
    const sent: string[] = [];
    const child = runtime.agent('child', (session: Session) =>
      session.turn(async (turn) => {
        await gate.promise;
        await turn.tool('send', {}, () => void sent.push('child'));
      }),
    );
    const { id, outcome } = runtime
      .agent('alpha', async (session: Session) => {
        await session.turn(async (turn) => {
          const wait = new Promise<void>((resolve) => void clock.setTimeout(resolve, 10));
          try {
            await Promise.race([turn.spawn(child, undefined), wait]);
            await Promise.race([turn.tool('slow', {}, () => gate.promise, { effect: false }), Promise.resolve()]);
          } finally {
            void turn.tool('forked', {}, () => gate.promise, { effect: false }).catch(() => {});
          }
        });
        await session.turn((turn) => turn.tool('send', {}, () => void sent.push('alpha')));
      })
      .start(undefined);
    await settle(clock, 100);
    expect(runtime.session(id)).toMatchObject({ state: 'running', checkpointTurn: 0 });
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    gate.resolve();
    await settle(clock, 1_000);
    expect((await outcome).status).toBe('terminated');
    expect(sent).toEqual([]);
    expect(runtime.sessions()).toEqual([]);
  });

  test('and throws in its finally fails, with its turn ended and nothing left open', async () => {
    const { runtime, clock } = await world();
    const outcome = runtime.run('alpha', (session) =>
      session.turn(async (turn) => {
        try {
          await turn.tool('bad', {}, () => Promise.reject(new Error('first')), { effect: false });
        } finally {
          // biome-ignore lint/correctness/noUnsafeFinally: a hostile agent is what is tested
          throw new Error('second');
        }
      }),
    );
    await settle(clock);
    expect(await outcome).toMatchObject({ status: 'failed', error: { message: 'second' } });
    expect(runtime.sessions()).toEqual([]);
  });
});

describe('arguments', () => {
  test('that are changed after the call are recognised by what they were when it was made (S7, I9)', async () => {
    const first = await world();
    let sends = 0;
    const define = (here: typeof first, isStuck: boolean) =>
      here.runtime.agent('alpha', (session: Session) =>
        session.turn(async (turn) => {
          const args: Record<string, unknown> = { to: 'ann', deep: { list: [1, 2] } };
          const sent = turn.tool('send', args, async () => ++sends);
          args.to = 'bob';
          (args.deep as { list: number[] }).list.push(3);
          await sent;
          if (isStuck) await new Promise(() => {});
        }),
      );
    const { id } = define(first, true).start(undefined);
    await settle(first.clock);
    const second = await first.restart();
    const end = second.runtime.settled(id);
    define(second, false);
    await settle(second.clock);
    expect((await end).status).toBe('completed');
    expect(sends).toBe(1);
  });

  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  test.each<[string, () => unknown]>([
    [
      'have a getter that throws',
      () => ({
        get now(): never {
          throw new Error('got');
        },
      }),
    ],
    [
      'are a proxy that throws',
      () =>
        new Proxy(
          {},
          {
            ownKeys: () => {
              throw new Error('trap');
            },
          },
        ),
    ],
    [
      'have a toJSON that throws',
      () => ({
        toJSON: () => {
          throw new Error('json');
        },
      }),
    ],
    ['are cyclic', () => cyclic],
    ['hold a BigInt', () => ({ n: 1n })],
  ])('that %s are an error of that call, which is never made; the turn goes on', async (_, make) => {
    const { runtime, clock } = await world();
    let made = 0;
    const outcome = runtime.run('alpha', (session) =>
      session.turn(async (turn) => {
        const caught = await Promise.resolve()
          .then(() => turn.tool('send', make(), () => void made++))
          .then(
            () => 'nothing',
            () => 'caught',
          );
        await turn.tool('after', {}, () => 1);
        return caught;
      }),
    );
    await settle(clock);
    expect(await outcome).toMatchObject({ status: 'completed', result: 'caught' });
    expect(made).toBe(0);
  });

  test('of ten megabytes, and names that are members of every object, are calls like any other', async () => {
    const { runtime, clock } = await world({ breakers: { alpha: { toolFailures: 2, repeats: 9 } } });
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '', '\n', 'ü'.repeat(1_000)];
    const outcome = runtime.run('alpha', (session) =>
      session.turn(async (turn) => {
        const text = 'x'.repeat(10_000_000);
        const ends: unknown[] = [await turn.tool('huge', { text }, (args) => args.text.length)];
        for (const name of names)
          ends.push(
            await Promise.resolve()
              .then(() => turn.tool(name, { ['__proto__']: 1, name }, () => name))
              .catch((error) => error.code),
          );
        return ends;
      }),
    );
    await settle(clock);
    expect(await outcome).toMatchObject({
      status: 'completed',
      result: [10_000_000, ...names.map((name) => (name === '' ? 'invalid_option' : name))],
    });
    expect(runtime.stops()).toEqual([]);
  });
});

describe('a result that is no plain data', () => {
  class Money {
    readonly amount = 7;
  }
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  test.each<[string, unknown]>([
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['a BigInt', 10n],
    ['a cycle', cyclic],
    ['an instance of a class', new Money()],
    ['nothing', undefined],
    ['a date', new Date(0)],
    ['a map', new Map([[1, 2]])],
    [
      'a getter that throws',
      Object.defineProperty({}, 'x', {
        enumerable: true,
        get: () => {
          throw new Error('got');
        },
      }),
    ],
    ['not a number', Number.NaN],
  ])('(%s) is recorded as having happened, and the effect is not repeated after a crash (I9)', async (_, value) => {
    const first = await world();
    let sends = 0;
    const define = (here: typeof first, isStuck: boolean) =>
      here.runtime.agent('alpha', (session: Session) =>
        session.turn(async (turn) => {
          const send = () =>
            turn.tool('send', {}, () => {
              sends++;
              return value;
            });
          const how = await Promise.resolve()
            .then(send)
            .then(
              () => 'given',
              (error) => error.code,
            );
          if (isStuck) await new Promise(() => {});
          return how;
        }),
      );
    const { id } = define(first, true).start(undefined);
    await settle(first.clock);
    expect(sends).toBe(1);
    const second = await first.restart();
    const end = second.runtime.settled(id);
    define(second, false);
    await settle(second.clock);
    expect((await end).status).toBe('completed');
    expect(sends).toBe(1);
  });
});

describe('a state that is a function or a symbol', () => {
  test.each([
    ['function', () => 1],
    ['symbol', Symbol('s')],
  ] as const)('(%s) fails its turn instead of being lost in a crash (S7)', async (what, state) => {
    const { runtime, clock } = await world();
    const agent = runtime.agent('alpha', (session: Session) => session.turn(async (): Promise<unknown> => state));
    const end = agent.run(undefined);
    await settle(clock);
    expect(await end).toMatchObject({ status: 'failed', error: { code: 'not_serialisable' } });
    expect(String(((await end) as { error: unknown }).error)).toContain(`is a ${what}`);
  });
});

describe('a wall clock that jumps', () => {
  test.each([day, -day, 400 * day, -400 * day])(
    'by %i ms lifts no stop, holds nobody for ever, and repeats nothing (I13, I14)',
    async (ms) => {
      const here = await world({ parkAfterMs: 500, breakers: { alpha: { actions: 100 } } });
      const sent: string[] = [];
      const define = (one: typeof here) =>
        one.runtime.agent('alpha', async (session: Session) => {
          while (session.turnNumber < 5)
            await session.turn(async (turn) => {
              await turn.tool('send', { n: turn.number }, (_, { idempotencyKey }) => void sent.push(idempotencyKey));
              await new Promise<void>((resolve) => void one.clock.setTimeout(resolve, 20));
            });
        });
      const { id } = define(here).start(undefined);
      await here.clock.advance(30);
      here.clock.jump(ms);
      here.source.engage('killswitch.global');
      await here.clock.advance(100);
      const before = sent.length;
      here.clock.jump(-2 * ms);
      await settle(here.clock, 2_000);
      expect(sent).toHaveLength(before);
      expect(here.runtime.session(id)?.state).toBe('parked');
      const second = await here.restart();
      const end = second.runtime.settled(id);
      define(second);
      await settle(second.clock, 100);
      expect(sent).toHaveLength(before);
      second.source.release('killswitch.global');
      await settle(second.clock, 1_000);
      expect((await end).status).toBe('completed');
      expect(sent).toHaveLength(5);
      expect(new Set(sent).size).toBe(5);
    },
  );
});

describe('a store that fails at one thing', () => {
  const broken: Record<string, (store: StateStore) => void> = {};
  const rejecting = ['mark', 'flush', 'stops', 'resolve', 'writeReceipt', 'receipts', 'keepReadings', 'writeDocument'] as const;
  for (const name of rejecting) {
    broken[`${name}, with a promise`] = (store) => void Object.assign(store, { [name]: () => Promise.reject(new Error('EIO')) });
    broken[`${name}, at once`] = (store) =>
      void Object.assign(store, {
        [name]: () => {
          throw new Error('EIO');
        },
      });
  }
  const refuse = (): never => {
    throw new RuntimeError('store_failed', 'EIO');
  };
  broken.append = (store) => void Object.assign(store, { append: refuse });
  broken.claim = (store) => void Object.assign(store, { claim: refuse });
  broken.forget = (store) => void Object.assign(store, { forget: refuse });

  test.each(Object.entries(broken))(
    '(%s) lifts no stop, takes nothing down, and when it is well again all ends, each effect once (I13, I14)',
    async (_, breakIt) => {
      quiet();
      const durable = Object.assign(memoryStore(), { volatile: false });
      const { runtime, store, source, clock } = await world({ parkAfterMs: 500, effectDeadlineMs: 100, store: durable });
      const whole = { ...store };
      const sent: string[] = [];
      const agent = runtime.agent('alpha', async (session: Session, name: string) => {
        while (session.turnNumber < 4)
          await session.turn(async (turn) => {
            await turn.tool('send', { n: turn.number }, () => void sent.push(`${name}.${turn.number}`));
            await new Promise<void>((resolve) => void clock.setTimeout(resolve, 50));
          });
      });
      const one = agent.start('one');
      const two = agent.start('two');
      const three = agent.start('three');
      const ends = [runtime.settled(one.id), runtime.settled(two.id)];
      await clock.advance(60);
      breakIt(store);
      source.engage('killswitch.global');
      await clock.advance(60);
      const before = sent.length;
      void runtime.stop({ session: three.id, reason: 'r', by: 'ann' }).catch(() => {});
      await settle(clock, 3_000);
      expect(sent).toHaveLength(before);
      source.release('killswitch.global');
      await settle(clock, 300);
      Object.assign(store, whole);
      await settle(clock, 5_000);
      for (let i = 0; i < 20 && runtime.sessions().length > 0; i++) await settle(clock, 1_000);
      expect((await Promise.all(ends)).map((end) => end.status)).toEqual(['completed', 'completed']);
      expect((await three.outcome).status).toMatch(/terminated|paused/);
      expect(runtime.sessions()).toEqual([]);
      expect(sent.filter((name) => !name.startsWith('three')).sort()).toEqual(
        ['one', 'two'].flatMap((name) => [1, 2, 3, 4].map((n) => `${name}.${n}`)),
      );
      expect(new Set(sent).size).toBe(sent.length);
      await runtime.close();
      vi.restoreAllMocks();
    },
  );
});

describe('an intent that the store refuses', () => {
  test.each([true, 'idempotent', false] as const)(
    'is not sent, however long it takes, and is made once when it is taken (effect: %s; I9, I13)',
    async (effect) => {
      const { runtime, store, clock } = await world();
      const { append } = store;
      let isFull = true;
      store.append = (root, record) => {
        if (isFull && record.t === 'call') throw new RuntimeError('store_failed', 'ENOSPC');
        append(root, record);
      };
      let sends = 0;
      const outcome = runtime.run('alpha', (session) => session.turn((turn) => turn.tool('send', {}, () => ++sends, { effect })));
      await settle(clock, 3_000);
      expect(sends).toBe(0);
      isFull = false;
      await settle(clock, 3_000);
      expect(await outcome).toMatchObject({ status: 'completed', result: 1 });
      expect(sends).toBe(1);
    },
  );
});

describe('a source that flaps', () => {
  test('a thousand times leaves what it said last, no timer, and no turn begun under a pause (S1, S3, I10)', async () => {
    const { runtime, source, clock } = await world();
    let turns = 0;
    let isPaused = false;
    const under: number[] = [];
    const { id } = runtime
      .agent('alpha', async (session: Session) => {
        for (let n = 0; n < 10_000; n++)
          await session.turn(async () => {
            turns++;
            if (isPaused) under.push(n);
            await new Promise<void>((resolve) => void clock.setTimeout(resolve, 1));
          });
      })
      .start(undefined);
    for (let i = 0; i < 1_000; i++) {
      isPaused = false;
      source.release('killswitch.global');
      if (i % 3 === 0) await clock.advance(2);
      if (i % 7 === 0) source.lose();
      source.engage('killswitch.global');
      if (i % 7 === 0) source.recover();
      if (i % 5 !== 0) continue;
      await clock.advance(3);
      isPaused = true;
      await clock.advance(3);
      isPaused = false;
    }
    await settle(clock);
    expect(under).toEqual([]);
    expect(turns).toBeGreaterThan(1);
    expect(runtime.session(id)?.decision).toMatchObject({ action: 'pause', tier: 'global' });
    expect(runtime.stops()).toHaveLength(1);
    source.release('killswitch.global');
    await settle(clock);
    expect(runtime.stops()).toEqual([]);
    expect(runtime.session(id)?.state).toBe('running');
    await runtime.close();
    // The agent's own.
    await clock.advance(10);
    expect(clock.pending).toBe(0);
  });
});
