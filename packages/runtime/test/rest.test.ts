// What rests, and what lets it go on: a graph at rest is never stuck (I14).

import type { Session } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { deferred, settle, world } from './world.ts';

describe('a parked graph', () => {
  test('goes on although its release came in the moment of parking (I14)', async () => {
    const { runtime, source, clock } = await world({ parkAfterMs: 10 });
    // Many sessions, so that the paced wake of the last ones comes after the park timer.
    const agent = runtime.agent('alpha', async (session: Session) => {
      await session.turn(async () => {});
      return 'done';
    });
    source.engage('killswitch.global');
    await settle(clock);
    const runs = Array.from({ length: 200 }, () => agent.start(undefined));
    const ends = runs.map(({ id }) => runtime.settled(id));
    await clock.advance(9);
    source.release('killswitch.global');
    await settle(clock, 2_000);
    expect(runtime.sessions()).toEqual([]);
    expect((await Promise.all(ends)).every((end) => end.status === 'completed')).toBe(true);
  });

  test('of an unnamed run goes on in the process that started it (I14)', async () => {
    const { runtime, source, clock } = await world();
    const gate = deferred();
    let turns = 0;
    const outcome = runtime.run('alpha', async (session) => {
      while (session.turnNumber < 2)
        await session.turn(async () => {
          turns++;
          await gate.promise;
        });
      return 'done';
    });
    await settle(clock);
    source.engage('killswitch.global');
    gate.resolve();
    await settle(clock, 6_000);
    const paused = await outcome;
    expect(paused.status).toBe('paused');
    const end = runtime.settled(paused.session);
    source.release('killswitch.global');
    await settle(clock);
    expect(await end).toMatchObject({ status: 'completed', result: 'done' });
    expect(turns).toBe(2);
  });

  test('whose child alone was held goes on when the child is terminated, which is a value for the parent (S8, I14)', async () => {
    const { runtime, clock } = await world();
    const gate = deferred();
    const child = runtime.agent('child', async (session: Session) => {
      await session.turn(() => gate.promise);
      await session.turn(async () => {});
    });
    let got: unknown;
    const { id } = runtime
      .agent('alpha', (session: Session) =>
        session.turn(async (turn) => {
          got = await turn.spawn(child, undefined);
          return 'went on';
        }),
      )
      .start(undefined);
    await settle(clock);
    const held = runtime.sessions().find((one) => one.agent === 'child')!.id;
    await runtime.stop({ session: held, reason: 'look', by: 'ann', action: 'pause' });
    gate.resolve();
    await settle(clock, 6_000);
    expect(runtime.session(id)?.state).toBe('parked');
    const end = runtime.settled(id);
    await runtime.stop({ session: held, reason: 'enough', by: 'ann' });
    await settle(clock);
    expect(await end).toMatchObject({ status: 'completed', result: 'went on' });
    expect(got).toMatchObject({ status: 'terminated', session: held });
  });

  test('goes on when the store that refused its claim is well again (I13, I14)', async () => {
    const { runtime, source, store, clock } = await world();
    const agent = runtime.agent('alpha', async (session: Session) => {
      await session.turn(async () => {});
      return 'done';
    });
    source.engage('killswitch.global');
    const { id } = agent.start(undefined);
    await settle(clock, 6_000);
    const end = runtime.settled(id);
    const { claim } = store;
    let refusals = 3;
    store.claim = (session, epoch) => {
      if (refusals-- > 0) throw new Error('EIO');
      return claim(session, epoch);
    };
    source.release('killswitch.global');
    await settle(clock, 5_000);
    expect((await end).status).toBe('completed');
  });

  test('that is terminated while the store refuses its claim takes nothing down, and is marked later (I13)', async () => {
    const { runtime, source, store, clock } = await world();
    const agent = runtime.agent('alpha', async (session: Session) => {
      await session.turn(async () => {});
    });
    source.engage('killswitch.global');
    const { id } = agent.start(undefined);
    await settle(clock, 6_000);
    const end = runtime.settled(id);
    const { claim } = store;
    let refusals = 3;
    store.claim = (session, epoch) => {
      if (refusals-- > 0) throw new Error('EIO');
      return claim(session, epoch);
    };
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock, 5_000);
    expect((await end).status).toBe('terminated');
  });

  test('is called stopped in the receipt before the stop is called done (S10)', async () => {
    const { runtime, source, clock } = await world();
    const agent = runtime.agent('alpha', async (session: Session) => {
      await session.turn(async () => {});
    });
    source.engage('killswitch.global');
    const { id } = agent.start(undefined);
    await settle(clock, 6_000);
    const wrong: unknown[] = [];
    runtime.subscribe((event) => {
      if (event.type !== 'stage' || event.stage !== 'done' || !event.stop.includes('operator')) return;
      const view = runtime.session(id);
      if (view && view.state !== 'terminated') wrong.push(view.state);
    });
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock);
    expect(wrong).toEqual([]);
    const [receipt] = (await runtime.receipts()).filter((one) => one.stop.cause === 'operator');
    expect(receipt!.sessions).toMatchObject([{ session: id, state: 'stopped' }]);
    expect(receipt!.stages.done).toBeDefined();
  });
});

describe('a session held in place', () => {
  test('goes on when the store that refused its claim is well again (I13, I14)', async () => {
    const { runtime, source, store, clock } = await world();
    const agent = runtime.agent('alpha', async (session: Session) => {
      await session.turn(async () => {});
      return 'done';
    });
    source.engage('killswitch.global');
    const { outcome } = agent.start(undefined);
    await settle(clock, 1_000);
    const { claim } = store;
    let refusals = 3;
    store.claim = (session, epoch) => {
      if (refusals-- > 0) throw new Error('EIO');
      return claim(session, epoch);
    };
    source.release('killswitch.global');
    await settle(clock, 3_000);
    expect((await outcome).status).toBe('completed');
  });

  test('that waits for a person claims no epoch with every change of a flapping source', async () => {
    const first = await world();
    const never = new Promise<void>(() => {});
    const body = (session: Session): Promise<void> =>
      session.turn(async (turn) => {
        await turn.tool('send', {}, () => never);
      });
    first.runtime.agent('alpha', body).start(undefined);
    await settle(first.clock);
    const second = await first.restart({ parkAfterMs: 1e9 });
    let claims = 0;
    const { claim } = second.store;
    second.store.claim = (session, epoch) => {
      claims++;
      return claim(session, epoch);
    };
    second.runtime.agent('alpha', body);
    await settle(second.clock);
    const before = claims;
    for (let i = 0; i < 50; i++) {
      second.source.engage('killswitch.user', 'somebody-else');
      await second.clock.advance(10);
      second.source.release('killswitch.user', 'somebody-else');
      await second.clock.advance(10);
    }
    expect(claims - before).toBe(0);
  });

  test('by two tiers goes on only when both are released, in either order (S1)', async () => {
    for (const order of [
      ['killswitch.global', 'killswitch.user'],
      ['killswitch.user', 'killswitch.global'],
    ]) {
      const second = await world();
      second.source.engage('killswitch.global');
      second.source.engage('killswitch.user', 'u-1');
      let entered = false;
      const end = second.runtime
        .agent('alpha', async () => {
          entered = true;
        })
        .run(undefined, { userId: 'u-1' });
      await settle(second.clock);
      const target = (key: string): string | undefined => (key === 'killswitch.user' ? 'u-1' : undefined);
      second.source.release(order[0]!, target(order[0]!));
      await settle(second.clock);
      expect(entered).toBe(false);
      second.source.release(order[1]!, target(order[1]!));
      await settle(second.clock);
      expect((await end).status).toBe('completed');
    }
  });

  test('survives a clock that jumps a day either way, and parks by the monotonic one (S4)', async () => {
    const { runtime, source, clock } = await world();
    const agent = runtime.agent('alpha', async (session: Session) => {
      await session.turn(async () => {});
    });
    source.engage('killswitch.global');
    const { id, outcome } = agent.start(undefined);
    await settle(clock, 1_000);
    clock.jump(86_400_000);
    await settle(clock, 100);
    expect(runtime.session(id)?.state).toBe('paused');
    clock.jump(-2 * 86_400_000);
    await settle(clock, 5_000);
    expect((await outcome).status).toBe('paused');
    const end = runtime.settled(id);
    source.release('killswitch.global');
    await settle(clock);
    expect((await end).status).toBe('completed');
  });
});
