// After a crash or a park the turn runs again: what had ended answers from the journal, and an effect that nobody can
// place rests its session until a person says what became of it (S7, I9).

import { type MemoryStore, memoryStore, type Session } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { deferred, settle, world } from './world.ts';

describe('a call that was aborted because its runtime was closed', () => {
  test.each([['delegates', { delegates: true }] as const, ['idempotent', { effect: 'idempotent' }] as const])(
    'is no failure of the agent: it is made again by the next one (%s, S7)',
    async (_, options) => {
      const first = await world();
      let asked = 0;
      const body = (session: Session): Promise<string> =>
        session.turn((turn) =>
          turn.tool(
            'ask',
            {},
            (_, { signal }) =>
              ++asked > 1
                ? 'answered'
                : new Promise<string>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
            options,
          ),
        );
      const { id } = first.runtime.agent('alpha', body).start(undefined);
      await settle(first.clock);
      await first.runtime.close();
      const second = await first.restart();
      const end = second.runtime.settled(id);
      second.runtime.agent('alpha', body);
      await settle(second.clock);
      expect(await end).toMatchObject({ status: 'completed', result: 'answered' });
    },
  );
});

describe('an effect whose outcome is unknown after a crash', () => {
  test('is not sent again by an agent whose rerun turn fails before it and that retries in a new turn', async () => {
    const first = await world();
    let sends = 0;
    let isDown = false;
    const body = async (session: Session): Promise<string> => {
      for (;;) {
        try {
          await session.turn(async (turn) => {
            if (isDown) {
              isDown = false;
              throw new Error('the network is down');
            }
            await turn.tool('send', { to: 'x' }, () => {
              sends++;
              return new Promise<void>(() => {});
            });
          });
          return 'done';
        } catch {
          // Tries again, as agents do.
        }
      }
    };
    const { id } = first.runtime.agent('alpha', body).start(undefined);
    await settle(first.clock);
    expect(sends).toBe(1);
    isDown = true;
    const second = await first.restart();
    second.runtime.agent('alpha', body);
    await settle(second.clock);
    expect(sends).toBe(1);
    expect(second.runtime.session(id)).toMatchObject({ state: 'paused', unknownCalls: [{ name: 'send' }] });
  });

  test.each([
    ['happened', 1],
    ['did-not', 2],
  ] as const)('made again with other arguments rests, and is sent only if the person says it %s', async (verdict, times) => {
    const first = await world();
    const sent: unknown[] = [];
    let attempt = 0;
    const gates = [new Promise<void>(() => {}), Promise.resolve()];
    const body = async (session: Session): Promise<unknown> => {
      const n = attempt++;
      return session.turn((turn) =>
        turn.tool('send', { attempt: n }, async (args) => {
          sent.push(args);
          await gates[n];
          return 'sent';
        }),
      );
    };
    const { id } = first.runtime.agent('alpha', body).start(undefined);
    await settle(first.clock);
    const second = await first.restart({ parkAfterMs: 1e9 });
    second.runtime.agent('alpha', body);
    const end = second.runtime.settled(id);
    await settle(second.clock);
    expect(sent).toHaveLength(1);
    const asked = second.runtime.session(id)!.unknownCalls;
    expect(asked.length).toBeGreaterThan(0);
    for (let round = 0; round < 4; round++) {
      for (const call of second.runtime.session(id)?.unknownCalls ?? [])
        await second.runtime.resolve(id, call.id, verdict, { by: 'ann' });
      await settle(second.clock);
    }
    expect((await end).status).toBe('completed');
    expect(sent).toHaveLength(times);
  });

  test('rests for a person when its probe never answers, or throws (I14)', async () => {
    for (const probe of [
      () => new Promise<'happened'>(() => {}),
      () => Promise.reject(new Error('no')),
      () => {
        throw new Error('at once');
      },
      () => Promise.resolve('perhaps' as 'happened'),
    ]) {
      const first = await world();
      let sends = 0;
      const body = (session: Session): Promise<unknown> =>
        session.turn((turn) =>
          turn.tool(
            'send',
            {},
            () => {
              sends++;
              return new Promise(() => {});
            },
            { probe },
          ),
        );
      const { id } = first.runtime.agent('alpha', body).start(undefined);
      await settle(first.clock);
      const second = await first.restart({ parkAfterMs: 1e9 });
      const end = second.runtime.settled(id);
      second.runtime.agent('alpha', body);
      await settle(second.clock, 60_000);
      expect(second.runtime.session(id)).toMatchObject({ state: 'paused', unknownCalls: [{ name: 'send' }] });
      await second.runtime.resolve(id, second.runtime.session(id)!.unknownCalls[0]!.id, 'happened', { value: 'yes' });
      await settle(second.clock);
      expect(await end).toMatchObject({ status: 'completed', result: 'yes' });
      expect(sends).toBe(1);
    }
  });

  test('is settled once; the second word, a call nobody asks about and a wrong word are refused', async () => {
    const first = await world();
    const body = (session: Session): Promise<unknown> =>
      session.turn((turn) => turn.tool('send', {}, () => new Promise(() => {})));
    const { id } = first.runtime.agent('alpha', body).start(undefined);
    await settle(first.clock);
    const { runtime, clock } = await first.restart({ parkAfterMs: 1e9 });
    runtime.agent('alpha', body);
    await settle(clock);
    await expect(runtime.resolve(id, 't9-9', 'happened')).rejects.toMatchObject({ code: 'unknown_call' });
    await expect(runtime.resolve(id, 't1-1', 'perhaps' as never)).rejects.toMatchObject({ code: 'invalid_option' });
    await expect(runtime.resolve('s-nobody', 't1-1', 'happened')).rejects.toMatchObject({ code: 'unknown_session' });
    await Promise.all([
      runtime.resolve(id, 't1-1', 'happened'),
      expect(runtime.resolve(id, 't1-1', 'did-not')).rejects.toMatchObject({ code: 'unknown_call' }),
    ]);
  });
});

/** A memory store whose intents must be flushed, as on a disk, and whose flush waits. */
function slowStore(flush: () => Promise<void>): MemoryStore {
  return { ...memoryStore(), volatile: false, flush } as MemoryStore;
}

describe('a call that was written down and not sent', () => {
  test('is no unknown effect after a park: its body was never entered (I9, I14)', async () => {
    let flushes = 0;
    const gate = deferred();
    const store = slowStore(() => (++flushes === 1 ? gate.promise : Promise.resolve()));
    const { runtime, clock } = await world({ store, breakers: { alpha: { repeats: 2 } }, parkAfterMs: 1_000 });
    let sends = 0;
    const { id } = runtime
      .agent('alpha', (session: Session) =>
        session.turn(async (turn) => {
          const send = turn.tool('send', {}, () => ++sends);
          // Trips a breaker while the intent of the send is on its way to the disk.
          for (let i = 0; i < 3; i++) void turn.tool('look', {}, () => i, { effect: false });
          return send;
        }),
      )
      .start(undefined);
    await settle(clock);
    expect(runtime.stops().map((stop) => stop.breaker)).toEqual(['repeats']);
    gate.resolve();
    await settle(clock, 3_000);
    expect(runtime.session(id)).toMatchObject({ state: 'parked', unknownCalls: [] });
    const end = runtime.settled(id);
    await runtime.release({ breaker: 'repeats', reason: 'fine', by: 'ann', allowance: 10 });
    await settle(clock);
    expect(await end).toMatchObject({ status: 'completed' });
    expect(sends).toBe(1);
  });
});

describe('a checkpoint', () => {
  test('is what the turn returned, whatever the interrupted turn after it did to the same object (S7)', async () => {
    const { runtime, clock, source } = await world();
    const gate = deferred();
    const seen: number[][] = [];
    const body = async (session: Session): Promise<number[]> => {
      const state = (session.state as number[] | undefined) ?? [];
      while (state.length < 2) {
        await session.turn(async (turn) => {
          seen.push([...state]);
          state.push(turn.number);
          // The second model call of a turn waits at a boundary, with the object changed already.
          await turn.model('m', async () => 1);
          if (turn.number === 2) await gate.promise;
          await turn.model('m', async () => 2);
          return state;
        });
      }
      return state;
    };
    const { id } = runtime.agent('alpha', body).start(undefined);
    await settle(clock);
    source.engage('killswitch.global');
    await settle(clock);
    gate.resolve();
    await settle(clock, 6_000);
    expect(runtime.session(id)).toMatchObject({ state: 'parked', checkpointTurn: 1 });
    const end = runtime.settled(id);
    source.release('killswitch.global');
    await settle(clock);
    expect(await end).toMatchObject({ result: [1, 2] });
    expect(seen).toEqual([[], [1], [1]]);
  });

  test('that cannot be written fails its turn, and its effects are not done again after a park (S7, I9)', async () => {
    const { runtime, clock, source } = await world();
    const sent: string[] = [];
    let caught: unknown;
    const gate = deferred();
    const body = async (session: Session): Promise<string> => {
      await session
        .turn(async (turn) => {
          await turn.tool('send', { n: 1 }, () => void sent.push('one'));
          return { big: 1n };
        })
        .catch((error: unknown) => {
          caught = error;
        });
      await session.turn(async (turn) => {
        await turn.tool('send', { n: 2 }, async () => {
          await gate.promise;
          sent.push('two');
        });
      });
      await session.turn(async () => {});
      return 'done';
    };
    const { id } = runtime.agent('alpha', body).start(undefined);
    await settle(clock);
    expect(caught).toMatchObject({ code: 'not_serialisable' });
    source.engage('killswitch.global');
    await settle(clock);
    gate.resolve();
    await settle(clock, 6_000);
    const end = runtime.settled(id);
    source.release('killswitch.global');
    await settle(clock);
    expect((await end).status).toBe('completed');
    expect(sent).toEqual(['one', 'two']);
  });
});

describe('an answer from the journal', () => {
  test('is what the model and the tool answered, whatever the agent did to the objects since (S7)', async () => {
    const { runtime, clock, source } = await world();
    const gate = deferred();
    let lives = 0;
    const got: unknown[] = [];
    const body = async (session: Session): Promise<void> => {
      const life = ++lives;
      await session.turn(async (turn) => {
        const reply = await turn.model('m', async () => ({ words: ['a'] }));
        const result = await turn.tool('t', {}, () => ({ rows: [1] }));
        got.push(JSON.parse(JSON.stringify([reply, result])));
        reply.words.push('changed');
        result.rows.pop();
        if (life === 1) await gate.promise;
        await turn.model('m', async () => ({ words: ['b'] }));
      });
    };
    const { id } = runtime.agent('alpha', body).start(undefined);
    await settle(clock);
    source.engage('killswitch.global');
    await settle(clock);
    gate.resolve();
    await settle(clock, 6_000);
    expect(runtime.session(id)?.state).toBe('parked');
    source.release('killswitch.global');
    await settle(clock);
    expect(lives).toBe(2);
    expect(got).toEqual([
      [{ words: ['a'] }, { rows: [1] }],
      [{ words: ['a'] }, { rows: [1] }],
    ]);
  });

  test('serves a child found again by its spawn; it is not started twice, and its own calls are not repeated (S7)', async () => {
    const first = await world();
    const did: string[] = [];
    const define = (here: Awaited<ReturnType<typeof world>>, gate: Promise<void>) => {
      const child = here.runtime.agent('child', async (session: Session, name: string) =>
        session.turn(async (turn) => {
          await turn.tool('write', { name }, () => void did.push(`write ${name}`));
          await turn.tool('wait', {}, () => gate, { effect: false });
          return name;
        }),
      );
      return here.runtime.agent('alpha', (session: Session) =>
        session.turn(async (turn) => {
          const plan = await turn.model('planner', async () => {
            did.push('plan');
            return ['a', 'b'];
          });
          const ends = await Promise.all(plan.map((name) => turn.spawn(child, name)));
          return ends.map((end) => end.status);
        }),
      );
    };
    const { id } = define(first, new Promise(() => {})).start(undefined);
    await settle(first.clock);
    const second = await first.restart();
    const end = second.runtime.settled(id);
    define(second, Promise.resolve());
    await settle(second.clock);
    expect(await end).toMatchObject({ status: 'completed', result: ['completed', 'completed'] });
    expect(did.sort()).toEqual(['plan', 'write a', 'write b']);
  });
});

describe('ten processes that find the same interrupted session', () => {
  test('resume it once: one claims its epoch, the others leave it alone (I6)', async () => {
    const first = await world();
    first.runtime.agent('alpha', (session: Session) => session.turn(() => new Promise(() => {}))).start(undefined);
    await settle(first.clock);
    let entered = 0;
    const one = first.store.reopen();
    const stores = [one, ...Array.from({ length: 9 }, () => one.share())];
    const worlds = await Promise.all(stores.map((store) => world({ store, clock: first.clock, source: first.source as never })));
    for (const { runtime } of worlds) {
      runtime.agent('alpha', async (session: Session) => {
        entered++;
        await session.turn(() => new Promise(() => {}));
      });
    }
    await settle(first.clock);
    expect(entered).toBe(1);
    expect(worlds.map(({ runtime }) => runtime.sessions()[0]!.state).sort()).toEqual([...Array(9).fill('elsewhere'), 'running']);
  });
});
