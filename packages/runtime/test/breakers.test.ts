// What breakers promise: an automatic pause that is latched, says which breaker it was, and that only a person ends.

import type { Runtime, RuntimeEvent, RuntimeOptions, Session, Thresholds } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { settle, type Workflows, world } from './world.ts';

const tripOf = (runtime: Runtime<Workflows>) => runtime.stops().find((stop) => stop.cause === 'breaker');

/** Turns without end, each with one call. */
const loop = (ran: number[], call: (session: Session, n: number) => Promise<unknown>) => async (session: Session) => {
  for (let n = 1; n <= 100; n++) {
    await call(session, n);
    ran.push(n);
  }
  return 'done';
};

/** What each breaker counts, in an agent that passes a threshold of 3 at its fourth step. */
const kinds: Record<
  'turns' | 'actions' | 'repeats' | 'tool-failures',
  { readonly thresholds: Thresholds; readonly step: (session: Session, n: number) => Promise<unknown> }
> = {
  turns: { thresholds: { turns: 3 }, step: (session) => session.turn(async () => {}) },
  actions: { thresholds: { actions: 3 }, step: (session, n) => session.turn((turn) => turn.tool('send', { n }, () => n)) },
  repeats: {
    thresholds: { repeats: 3 },
    step: (session) => session.turn((turn) => turn.tool('look', { at: 'the same' }, () => 1, { effect: false })),
  },
  'tool-failures': {
    thresholds: { toolFailures: 3 },
    step: (session, n) =>
      session.turn((turn) =>
        turn.tool('flaky', { n }, () => Promise.reject(new Error('503')), { effect: false }).catch(() => undefined),
      ),
  },
};

describe.each(Object.entries(kinds))('the breaker of %s', (breaker, { thresholds, step }) => {
  test('pauses the session when its threshold is passed, latched and with a cause of its own', async () => {
    const { runtime, clock } = await world({ breakers: { alpha: thresholds } });
    const events: RuntimeEvent[] = [];
    runtime.subscribe((event) => void (event.type === 'breaker' && events.push(event)));
    const ran: number[] = [];
    const { id } = runtime.agent('alpha', loop(ran, step)).start(undefined);
    await settle(clock);
    // A failure is known when the call has ended, everything else before it is made.
    expect(ran).toEqual(breaker === 'tool-failures' ? [1, 2, 3, 4] : [1, 2, 3]);
    expect(runtime.session(id)).toMatchObject({
      state: 'paused',
      decision: { action: 'pause', cause: 'breaker', tier: 'instance', by: 'breaker' },
    });
    expect(tripOf(runtime)).toMatchObject({ cause: 'breaker', breaker, action: 'pause', subject: { sessionId: id } });
    expect(runtime.status().stops).toMatchObject([{ breaker }]);
    expect(events).toEqual([{ type: 'breaker', session: id, breaker, value: 4, limit: 3, tripped: true }]);
  });

  test('does not reset itself, neither in a day nor by a restart (S4)', async () => {
    const first = await world({ breakers: { alpha: thresholds } });
    // Listened to, so that what the dead one says of its closed store is not printed.
    first.runtime.subscribe(() => {});
    const ran: number[] = [];
    const { id } = first.runtime.agent('alpha', loop(ran, step)).start(undefined);
    await settle(first.clock);
    await first.clock.advance(86_400_000);
    expect(first.runtime.session(id)?.state).toBe('parked');
    const before = ran.length;
    const second = await first.restart();
    second.runtime.agent('alpha', loop(ran, step));
    await settle(second.clock, 20_000);
    expect(ran).toHaveLength(before);
    expect(second.runtime.session(id)).toMatchObject({ state: 'parked', decision: { cause: 'breaker' } });
    expect(tripOf(second.runtime)).toMatchObject({ breaker });
  });

  test('released by the id of its stop goes on by what the release allows, then trips again', async () => {
    const { runtime, clock } = await world({ breakers: { alpha: thresholds } });
    const ran: number[] = [];
    const { id } = runtime.agent('alpha', loop(ran, step)).start(undefined);
    await settle(clock);
    const before = ran.length;
    const trip = tripOf(runtime)!;
    expect(await runtime.release({ stop: trip.id, reason: 'looked at it', by: 'ann', allowance: 2 })).toMatchObject([
      { id: trip.id },
    ]);
    await settle(clock);
    expect(ran.length).toBeGreaterThan(before);
    expect(ran.length).toBeLessThan(12);
    expect(runtime.session(id)).toMatchObject({ state: 'paused', decision: { cause: 'breaker' } });
    expect(tripOf(runtime)!.id).not.toBe(trip.id);
    await expect(runtime.release({ stop: trip.id, reason: 'again', by: 'ann' })).rejects.toThrow(/unknown_stop/);
  });

  test('that is not declared reports once and stops nobody', async () => {
    const { runtime, clock } = await world();
    const events: RuntimeEvent[] = [];
    runtime.subscribe((event) => void (event.type === 'breaker' && events.push(event)));
    const ran: number[] = [];
    const { outcome } = runtime
      .agent('alpha', async (session) => {
        for (let n = 1; n <= 250; n++) await step(session, n);
        ran.push(1);
      })
      .start(undefined);
    await settle(clock, 1_000);
    expect((await outcome).status).toBe('completed');
    expect(events.filter((event) => event.type === 'breaker' && event.breaker === breaker)).toMatchObject([{ tripped: false }]);
    expect(runtime.stops()).toEqual([]);
  });
});

describe('the run of failures of a tool', () => {
  test('is broken by a success, and counted per tool', async () => {
    const { runtime, clock } = await world({ breakers: { alpha: { toolFailures: 2 } } });
    const { outcome } = runtime
      .agent('alpha', async (session) => {
        for (let n = 1; n <= 12; n++) {
          const fails = n % 3 !== 0;
          await session.turn((turn) =>
            turn
              .tool('flaky', { n }, () => (fails ? Promise.reject(new Error('503')) : 1), { effect: false })
              .catch(() => undefined),
          );
          await session.turn((turn) => turn.tool('steady', { n }, () => 1, { effect: false }));
        }
      })
      .start(undefined);
    await settle(clock);
    expect((await outcome).status).toBe('completed');
    expect(runtime.stops()).toEqual([]);
  });
});

describe('the cap on cost', () => {
  const model = (session: Session, calls: string[], costMicros: number, maxCostMicros: number) =>
    session.turn((turn) =>
      turn.model(
        'm',
        async () => {
          calls.push(session.agent);
          return costMicros;
        },
        (cost) => ({ costMicros: cost }),
        { maxCostMicros },
      ),
    );

  test('is held before the call: the one that does not fit is not made, and the root pauses', async () => {
    const { runtime, clock } = await world({ breakers: { alpha: { costMicros: 1_000 } } });
    const calls: string[] = [];
    const { id } = runtime
      .agent('alpha', async (session) => {
        for (let n = 0; n < 5; n++) await model(session, calls, 300, 400);
      })
      .start(undefined);
    await settle(clock);
    // 300 + 300 spent, 400 reserved: exactly the cap. After it 900 are spent, and 400 more do not fit.
    expect(calls).toHaveLength(3);
    expect(runtime.session(id)).toMatchObject({ state: 'paused', costMicros: 900, decision: { cause: 'breaker' } });
    expect(tripOf(runtime)).toMatchObject({ breaker: 'cost' });
  });

  test('is one for the whole graph: children spend of it too, at the same time, and the root pauses', async () => {
    const { runtime, clock } = await world({ breakers: { alpha: { costMicros: 1_000 } } });
    const calls: string[] = [];
    const child = runtime.agent('child', async (session: Session, _n: number) => {
      await model(session, calls, 400, 400);
    });
    const { id } = runtime
      .agent('alpha', (session) =>
        session.turn(async (turn) => {
          await Promise.all([1, 2, 3, 4].map((n) => turn.spawn(child, n)));
        }),
      )
      .start(undefined);
    await settle(clock);
    expect(calls).toHaveLength(2);
    expect(tripOf(runtime)).toMatchObject({ breaker: 'cost', subject: { sessionId: id } });
    const spent = runtime.sessions().reduce((sum, one) => sum + one.costMicros, 0);
    expect(spent).toBeLessThanOrEqual(1_000);
    expect(runtime.session(id)?.state).toBe('paused');
  });

  test('reserves the dearest call so far where none says what it costs at most', async () => {
    const { runtime, clock } = await world({ breakers: { alpha: { costMicros: 1_000 } } });
    let calls = 0;
    runtime
      .agent('alpha', async (session) => {
        for (let n = 0; n < 5; n++)
          await session.turn((turn) =>
            turn.model(
              'm',
              async () => ++calls,
              () => ({ costMicros: 400 }),
            ),
          );
      })
      .start(undefined);
    await settle(clock);
    expect(calls).toBe(2);
  });

  test.each(['in place', 'parked', 'taken in after a crash'])(
    'is raised for good by the allowance of a release: the session was %s',
    async (how) => {
      let here = await world({ breakers: { alpha: { costMicros: 1_000 } } });
      const calls: string[] = [];
      const define = () =>
        here.runtime.agent('alpha', async (session: Session) => {
          while (session.turnNumber < 6) await model(session, calls, 400, 400);
        });
      const { id } = define().start(undefined);
      await settle(here.clock);
      expect(calls).toHaveLength(2);
      if (how === 'parked') await settle(here.clock, 10_000);
      if (how === 'taken in after a crash') {
        here = await here.restart();
        define();
        await settle(here.clock);
      }
      expect(here.runtime.session(id)?.state).toBe(how === 'in place' ? 'paused' : 'parked');
      await here.runtime.release({ stop: tripOf(here.runtime)!.id, reason: 'worth it', by: 'ann', allowance: 600 });
      await settle(here.clock);
      expect(calls).toHaveLength(4);
      expect(tripOf(here.runtime)).toMatchObject({ breaker: 'cost' });
      const end = here.runtime.settled(id);
      await here.runtime.release({ stop: tripOf(here.runtime)!.id, reason: 'worth it', by: 'ann' });
      await settle(here.clock);
      expect((await end).status).toBe('completed');
      expect(calls).toHaveLength(6);
    },
  );
});

describe('a tripped breaker', () => {
  test('holds the calls of a turn that never ends, in the session and in its children', async () => {
    const { runtime, clock } = await world({ breakers: { alpha: { actions: 5 } } });
    const ran: string[] = [];
    const child = runtime.agent('child', (session: Session) =>
      session.turn(async (turn) => {
        for (let n = 0; n < 100; n++) await turn.tool('look', { n }, () => void ran.push('look'), { effect: false });
      }),
    );
    const { id } = runtime
      .agent('alpha', (session) =>
        session.turn(async (turn) => {
          for (let n = 0; n < 100; n++) await turn.tool('send', { n }, () => void ran.push('send'));
          await turn.spawn(child, undefined);
        }),
      )
      .start(undefined);
    await settle(clock);
    expect(ran).toEqual(Array(5).fill('send'));
    expect(runtime.session(id)).toMatchObject({ state: 'paused', decision: { cause: 'breaker' } });
    const end = runtime.settled(id);
    await runtime.release({ stop: tripOf(runtime)!.id, reason: 'r', by: 'ann', allowance: 1_000 });
    await settle(clock);
    expect((await end).status).toBe('completed');
    expect(ran).toHaveLength(200);
  });

  test('is charged for what the children do: a parent whose children loop is looping', async () => {
    const { runtime, clock } = await world({ breakers: { '*': { actions: 4 } } });
    const ran: number[] = [];
    const child = runtime.agent('child', (session: Session, n: number) =>
      session.turn((turn) => turn.tool('send', { n }, () => void ran.push(n))),
    );
    const { id } = runtime
      .agent('alpha', async (session) => {
        for (let n = 1; n <= 10; n++) await session.turn((turn) => turn.spawn(child, n));
      })
      .start(undefined);
    await settle(clock);
    expect(ran).toEqual([1, 2, 3, 4]);
    expect(tripOf(runtime)).toMatchObject({ breaker: 'actions', subject: { sessionId: id } });
  });

  test('is released with all others of its kind and workflow in one act, and those of another workflow stay', async () => {
    const { runtime, clock } = await world({ breakers: { '*': { turns: 2 } } });
    const body = async (session: Session): Promise<void> => {
      for (let n = 0; n < 4; n++) await session.turn(async () => {});
    };
    const alpha = runtime.agent('alpha', body);
    const beta = runtime.agent('beta', body);
    const alphas = Array.from({ length: 20 }, () => alpha.start(undefined));
    const betas = Array.from({ length: 3 }, () => beta.start(undefined));
    await settle(clock);
    expect(runtime.stops()).toHaveLength(23);
    const ends = alphas.map(({ id }) => runtime.settled(id));
    const released = await runtime.release({ breaker: 'turns', workflow: 'alpha', reason: 'a batch', by: 'ann', allowance: 10 });
    expect(released).toHaveLength(20);
    await settle(clock, 1_000);
    expect((await Promise.all(ends)).every((end) => end.status === 'completed')).toBe(true);
    expect(runtime.sessions().map((one) => one.id)).toEqual(betas.map(({ id }) => id));
    expect(runtime.stops()).toHaveLength(3);
  });

  test('is not released without a reason, a person, or with a nonsensical allowance', async () => {
    const { runtime, clock } = await world({ breakers: { alpha: { turns: 1 } } });
    runtime
      .agent('alpha', async (session) => {
        for (let n = 0; n < 4; n++) await session.turn(async () => {});
      })
      .start(undefined);
    await settle(clock);
    const stop = tripOf(runtime)!.id;
    for (const wrong of [
      { reason: ' ', by: 'ann' },
      { reason: 'r', by: '' },
      { reason: 'r', by: 'ann', allowance: 0 },
      { reason: 'r', by: 'ann', allowance: -5 },
      { reason: 'r', by: 'ann', allowance: 1.5 },
      { reason: 'r', by: 'ann', allowance: Number.POSITIVE_INFINITY },
    ])
      await expect(runtime.release({ stop, ...wrong })).rejects.toThrow(/invalid_option/);
    await expect(runtime.release({ breaker: 'coffee' as never, reason: 'r', by: 'ann' })).rejects.toThrow(/invalid_option/);
    await expect(runtime.release({ reason: 'r', by: 'ann' })).rejects.toThrow(/invalid_option/);
    expect(tripOf(runtime)!.id).toBe(stop);
  });

  test('does not hide a wider stop, nor is it released with it (S1)', async () => {
    const { runtime, source, clock } = await world({ breakers: { alpha: { turns: 1 } } });
    const { id } = runtime
      .agent('alpha', async (session) => {
        for (let n = 0; n < 4; n++) await session.turn(async () => {});
      })
      .start(undefined);
    await settle(clock);
    source.engage('killswitch.global');
    await settle(clock);
    expect(runtime.session(id)?.decision).toMatchObject({ tier: 'global', cause: 'switch' });
    source.release('killswitch.global');
    await settle(clock);
    expect(runtime.session(id)?.decision).toMatchObject({ tier: 'instance', cause: 'breaker' });
  });
});

describe('the limiter of calls', () => {
  test('slows calls down to its rate, over all sessions of the workflow, and is no stop', async () => {
    const { runtime, clock } = await world({ breakers: { alpha: { callsPerMinute: 60 } } });
    const at: number[] = [];
    const agent = runtime.agent('alpha', (session: Session, who: string) =>
      session.turn(async (turn) => {
        for (let n = 0; n < 6; n++) await turn.tool('look', { who, n }, () => void at.push(clock.monotonic()), { effect: false });
      }),
    );
    const runs = [agent.run('a'), agent.run('b')];
    const start = clock.monotonic();
    await clock.advance(0);
    expect(at).toHaveLength(6);
    expect(runtime.stops()).toEqual([]);
    expect(runtime.sessions().map((one) => one.state)).toEqual(['running', 'running']);
    for (let s = 0; s < 10; s++) await clock.advance(1_000);
    expect((await Promise.all(runs)).map((one) => one.status)).toEqual(['completed', 'completed']);
    expect(at).toHaveLength(12);
    // A burst of a tenth of the rate, then one a second.
    expect(Math.max(...at) - start).toBeGreaterThanOrEqual(5_900);
  });

  test('leaves other workflows alone, and a call that waits for its token is not made after a terminate (S9)', async () => {
    const { runtime, clock } = await world({ breakers: { alpha: { callsPerMinute: 1 } } });
    const ran: string[] = [];
    const body = (session: Session): Promise<void> =>
      session.turn(async (turn) => {
        for (let n = 0; n < 3; n++) await turn.tool('look', { n }, () => void ran.push(session.agent), { effect: false });
      });
    const slow = runtime.agent('alpha', body).start(undefined);
    const quick = runtime.agent('beta', body).run(undefined);
    await settle(clock);
    expect((await quick).status).toBe('completed');
    expect(ran.filter((one) => one === 'alpha')).toHaveLength(1);
    await runtime.stop({ session: slow.id, reason: 'r', by: 'ann' });
    await settle(clock, 300_000);
    expect(ran.filter((one) => one === 'alpha')).toHaveLength(1);
    expect((await slow.outcome).status).toBe('terminated');
  });
});

describe('a table of thresholds', () => {
  test.each([
    [{ gamma: { turns: 1 } }, /"gamma" is not declared/],
    [{ alpha: { turn: 1 } }, /"turn" is no threshold/],
    [{ alpha: { turns: 0 } }, /positive integer/],
    [{ alpha: { turns: -1 } }, /positive integer/],
    [{ alpha: { turns: 1.5 } }, /positive integer/],
    [{ alpha: { turns: Number.NaN } }, /positive integer/],
    [{ alpha: { turns: Number.POSITIVE_INFINITY } }, /positive integer/],
    [{ alpha: { costMicros: '5' } }, /positive integer/],
    [{ '*': { callsPerMinute: 0 } }, /positive integer/],
  ])('that makes no sense is refused at the start: %j', async (breakers, message) => {
    await expect(world({ breakers: breakers as never })).rejects.toThrow(message);
  });

  test('for a workflow stands instead of the one for all, and is not added to it', async () => {
    const { runtime, clock } = await world({ breakers: { '*': { turns: 1 }, alpha: { turns: 3 } } });
    const body = async (session: Session): Promise<void> => {
      for (let n = 0; n < 3; n++) await session.turn(async () => {});
    };
    const first = runtime.agent('alpha', body).run(undefined);
    runtime.agent('beta', body).start(undefined);
    await settle(clock);
    expect((await first).status).toBe('completed');
    expect(runtime.stops()).toMatchObject([{ breaker: 'turns' }]);
    expect(runtime.stops()[0]!.subject.sessionId).toBe(runtime.sessions()[0]!.id);
  });
});

describe('a table of breakers', () => {
  test.each([[null], [undefined], [7], ['turns']])(
    'that gives a workflow %j is refused with a code, the workflow and the way out',
    async (thresholds) => {
      const table = { alpha: thresholds } as never;
      await expect(world({ breakers: table })).rejects.toMatchObject({
        code: 'invalid_option',
        message: expect.stringMatching(/alpha has no thresholds .*leave the workflow out/),
      });
    },
  );
});

describe('a threshold of N', () => {
  test.each(['turns', 'actions', 'repeats', 'tool-failures'] as const)('of %s lets N pass and trips at N + 1', async (kind) => {
    const { thresholds, step } = kinds[kind];
    const { runtime, clock } = await world({ breakers: { alpha: thresholds } });
    const values: (readonly [number, number])[] = [];
    runtime.subscribe((event) => {
      if (event.type === 'breaker') values.push([event.limit, event.value]);
    });
    runtime.agent('alpha', loop([], step)).start(undefined);
    await settle(clock);
    expect(values).toEqual([[3, 4]]);
    await runtime.close();
  });
});

describe('a release that names no allowance, in another process than the session', () => {
  /** How often it acted before, and after. */
  async function releasedElsewhere(
    breakers: NonNullable<RuntimeOptions<Workflows>['breakers']>,
    once: (session: Session, act: () => number) => Promise<unknown>,
  ) {
    const one = await world({ breakers });
    const other = await world({ breakers, store: one.store.share(), clock: one.clock, source: one.source as never });
    let acts = 0;
    one.runtime
      .agent('alpha', async (session: Session) => {
        for (let n = 0; n < 100; n++) await once(session, () => ++acts);
      })
      .start(undefined);
    await settle(one.clock, 6_000);
    const before = acts;
    await other.runtime.release({ stop: tripOf(other.runtime)!.id, reason: 'fine', by: 'ann' });
    await settle(one.clock, 9_000);
    return [before, acts - before];
  }
  const turns = (session: Session, act: () => number) => session.turn((turn) => turn.tool('look', {}, act, { effect: false }));
  const costs = (session: Session, act: () => number) =>
    session.turn((turn) =>
      turn.model(
        'm',
        async () => act(),
        () => ({ costMicros: 100 }),
        { maxCostMicros: 100 },
      ),
    );

  test('allows the turns of its workflow once more (I8)', async () => {
    expect(await releasedElsewhere({ '*': { turns: 50 }, alpha: { turns: 2 } }, turns)).toEqual([2, 2]);
  });

  test('allows the costs of its workflow once more, whatever others are allowed (I8)', async () => {
    expect(await releasedElsewhere({ '*': { costMicros: 5_000 }, alpha: { costMicros: 200 } }, costs)).toEqual([2, 2]);
    expect(await releasedElsewhere({ alpha: { costMicros: 200 } }, costs)).toEqual([2, 2]);
  });
});

test('two who resume at once what two stops hold are both told that it goes on (S10)', async () => {
  const { runtime, clock } = await world({ breakers: { alpha: { turns: 1, actions: 1 } } });
  const { id } = runtime
    .agent('alpha', async (session) => {
      for (let n = 0; n < 9; n++) await session.turn(async () => {});
    })
    .start(undefined);
  await settle(clock, 500);
  await runtime.stop({ session: id, reason: 'r', by: 'ann', action: 'pause' });
  await settle(clock, 500);
  expect(runtime.stops()).toHaveLength(2);
  const both = [runtime.resume(id, { by: 'ann', reason: 'x' }), runtime.resume(id, { by: 'ben', reason: 'y' })];
  expect(await Promise.allSettled(both)).toMatchObject([{ status: 'fulfilled' }, { status: 'fulfilled' }]);
});
