// A spawn that asked for the pause of its child as a value, and the child that goes on without being waited for.

import type { KillSwitches } from '@offswitch/core';
import { type PausedChild, RuntimeError, type Session, type SpawnOutcome, type Turn } from '@offswitch/runtime';
import { memorySource } from '@offswitch/testing';
import { describe, expect, test } from 'vitest';
import { deferred, settle, switches, type TestWorld, world } from './world.ts';

const ifHeld = { ifHeld: 'value' } as const;

/** A parent that spawns one child in its first turn, notes what it got, and may take more turns. */
async function family(
  first: TestWorld,
  options: { readonly turns?: number; readonly readsState?: boolean; readonly spawn?: { readonly userId?: string } } = {},
) {
  const log: unknown[] = [];
  const gate = deferred();
  const define = ({ runtime }: TestWorld) => {
    const child = runtime.agent('child', async (session: Session) => {
      await session.turn(() => gate.promise);
      await session.turn(async () => void log.push('child went on'));
      return 'of the child';
    });
    return runtime.agent('alpha', async (session: Session) => {
      if (options.readsState !== false) void session.state;
      const one = (number: number) =>
        session.turn(async (turn) => {
          if (number === 1) log.push(await turn.spawn(child, 'topic', { ...options.spawn, ...ifHeld }));
          await turn.tool('note', { number }, () => void log.push(`turn ${number}`));
          return number;
        });
      const from = options.readsState === false ? 0 : session.turnNumber;
      for (let number = from + 1; number <= (options.turns ?? 1); number++) await one(number);
      log.push('parent done');
      return 'of the parent';
    });
  };
  const agent = define(first);
  const { id } = agent.start(undefined);
  await settle(first.clock);
  const childId = first.runtime.sessions().find((one) => one.agent === 'child')!.id;
  const hold = (where: TestWorld = first) => where.runtime.stop({ session: childId, reason: 'look', by: 'ann', action: 'pause' });
  return { log, gate, define, id, childId, hold };
}

describe('a spawn that asks for the pause as a value', () => {
  test('resolves to it when the child alone is held, and the parent goes on (S8)', async () => {
    const first = await world();
    const { log, gate, id, childId, hold } = await family(first, { turns: 2 });
    const receipt = await hold();
    expect(log).toEqual([]);
    gate.resolve();
    await settle(first.clock);
    expect(log).toMatchObject([
      {
        status: 'paused',
        session: childId,
        decision: { action: 'pause', cause: 'operator', reason: 'look', stopId: receipt.id },
      },
      'turn 1',
      'turn 2',
      'parent done',
    ]);
    expect((log[0] as PausedChild).notice).toBe((log[0] as PausedChild).decision.notice);
    expect(first.runtime.session(childId)?.state).toBe('paused');
    expect(first.runtime.session(id)?.state).toBe('paused');
  });

  test('resolves at once when the child is born held (S8, I2)', async () => {
    const first = await world();
    first.source.engage('killswitch.user', 'u-2');
    const { log, childId } = await family(first, { spawn: { userId: 'u-2' } });
    expect(log).toMatchObject([{ status: 'paused', session: childId, decision: { tier: 'user' } }, 'turn 1', 'parent done']);
  });

  test('resolves when what the child waits on is held alone (S8)', async () => {
    const first = await world();
    const grandchild = first.runtime.agent('grandchild', (session: Session) => session.turn(async () => 'deep'));
    const child = first.runtime.agent('child', (session: Session) =>
      session.turn(async (turn) => (await turn.spawn(grandchild, undefined, { userId: 'u-2' })).status),
    );
    first.source.engage('killswitch.user', 'u-2');
    const got: unknown[] = [];
    const { id } = first.runtime
      .agent('alpha', (session: Session) =>
        session.turn(async (turn) => void got.push(await turn.spawn(child, undefined, ifHeld))),
      )
      .start(undefined);
    await settle(first.clock);
    expect(got).toMatchObject([{ status: 'paused', decision: { tier: 'user' } }]);
    const end = first.runtime.settled(id);
    first.source.release('killswitch.user', 'u-2');
    await settle(first.clock);
    expect((await end).status).toBe('completed');
  });

  test('resolves to the end when nothing holds the child (S8)', async () => {
    const first = await world();
    const { log, gate, id } = await family(first);
    const end = first.runtime.settled(id);
    gate.resolve();
    await settle(first.clock);
    expect(log).toMatchObject(['child went on', { status: 'completed', result: 'of the child' }, 'turn 1', 'parent done']);
    expect((await end).status).toBe('completed');
  });

  test('is never settled by a stop over both: both rest, park, and go on (S8, I14)', async () => {
    const first = await world();
    const { log, gate, id, childId } = await family(first);
    first.source.engage('killswitch.global');
    await settle(first.clock);
    gate.resolve();
    await settle(first.clock);
    expect(first.runtime.session(childId)?.state).toBe('paused');
    expect(first.runtime.session(id)?.state).toBe('paused');
    await settle(first.clock, 60_000);
    expect(first.runtime.session(id)?.state).toBe('parked');
    expect(log).toEqual([]);
    const end = first.runtime.settled(id);
    first.source.release('killswitch.global');
    await settle(first.clock);
    expect(log).toMatchObject(['child went on', { status: 'completed' }, 'turn 1', 'parent done']);
    expect((await end).status).toBe('completed');
  });

  test.each([
    ['in place', 0],
    ['after a park', 60_000],
  ])('resolves when a stop over both is released and the child’s own is not, %s (S1, S8, I14)', async (_, restMs) => {
    const first = await world();
    const { log, gate, id, childId, hold } = await family(first);
    first.source.engage('killswitch.global');
    await settle(first.clock);
    await hold();
    gate.resolve();
    await settle(first.clock, restMs);
    expect(log).toEqual([]);
    expect(first.runtime.session(id)?.state).toBe(restMs === 0 ? 'paused' : 'parked');
    first.source.release('killswitch.global');
    await settle(first.clock);
    expect(log).toMatchObject([{ status: 'paused', session: childId }, 'turn 1', 'parent done']);
    const end = first.runtime.settled(id);
    await first.runtime.resume(childId);
    await settle(first.clock);
    expect((await end).status).toBe('completed');
    expect(log.filter((one) => one === 'child went on')).toHaveLength(1);
  });

  test.each([
    ['waits out a hold that is over in time', 29_000, 'completed'],
    ['takes a hold that lasts for a pause', 31_000, 'paused'],
  ])('%s (S5, S8)', async (_, afterMs, status) => {
    const source = memorySource(switches as KillSwitches, { now: () => 0 });
    source.fail('killswitch.user', { state: 'unknown', cause: 'error', message: 'no answer' });
    const first = await world({ source });
    const { log, gate } = await family(first, { spawn: { userId: 'u-2' } });
    gate.resolve();
    await first.clock.advance(afterMs);
    expect(log).toHaveLength(status === 'paused' ? 3 : 0);
    source.fail('killswitch.user', undefined);
    await settle(first.clock, 10_000);
    expect(log.find((one) => typeof one === 'object')).toMatchObject({ status });
  });

  test('resolves when the child waits for a person (S7, S8)', async () => {
    const first = await world();
    const hangs = new Promise<void>(() => {});
    const got: unknown[] = [];
    const define = ({ runtime }: TestWorld) => {
      const child = runtime.agent('child', (session: Session) => session.turn((turn) => turn.tool('send', {}, () => hangs)));
      return runtime.agent('alpha', (session: Session) =>
        session.turn(async (turn) => void got.push(await turn.spawn(child, undefined, ifHeld))),
      );
    };
    const { id } = define(first).start(undefined);
    await settle(first.clock);
    const second = await first.restart();
    const end = second.runtime.settled(id);
    define(second);
    await settle(second.clock);
    expect(got).toMatchObject([{ status: 'paused', decision: { action: 'pause' } }]);
    const [child] = second.runtime.sessions().filter((one) => one.agent === 'child');
    await second.runtime.resolve(child!.id, child!.unknownCalls[0]!.id, 'happened');
    await settle(second.clock);
    expect((await end).status).toBe('completed');
  });

  test('is refused where the parent ends with a call, and a child could not go on (S8)', async () => {
    const { runtime, clock } = await world();
    const { currentCall } = await import('@offswitch/runtime');
    const child = runtime.agent('child', async () => {});
    const errors: unknown[] = [];
    runtime
      .agent('alpha', (session: Session) =>
        session.turn((turn) =>
          turn.tool(
            'delegate',
            {},
            async () => {
              const inline = currentCall()!.child('inner');
              await inline.turn((inner) => inner.spawn(child, undefined, ifHeld)).catch((error) => errors.push(error));
            },
            { delegates: true },
          ),
        ),
      )
      .start(undefined);
    await settle(clock);
    expect(errors).toMatchObject([{ code: 'invalid_option' }]);
  });

  test('changes the type of no other spawn', () => {
    const types = (turn: Turn, agent: Parameters<Turn['spawn']>[0]) => {
      const plain: Promise<SpawnOutcome<unknown>> = turn.spawn(agent, 1);
      const waits: Promise<SpawnOutcome<unknown>> = turn.spawn(agent, 1, { ifHeld: 'wait' });
      // @ts-expect-error: a pause is no outcome that a spawn without `ifHeld: 'value'` knows
      const asked: Promise<SpawnOutcome<unknown>> = turn.spawn(agent, 1, ifHeld);
      return [plain, waits, asked];
    };
    expect(types).toBeTypeOf('function');
  });
});

describe('a child whose spawn was answered with its pause', () => {
  test('goes on in place when released, tells that spawn nothing, and ends before its parent does (S8, I3)', async () => {
    const first = await world();
    const { log, gate, id, childId, hold } = await family(first);
    await hold();
    gate.resolve();
    await settle(first.clock);
    const ends: string[] = [];
    void first.runtime.settled(id).then((end) => ends.push(`parent ${end.status}`));
    void first.runtime.settled(childId).then((end) => ends.push(`child ${end.status}`));
    await settle(first.clock);
    expect(ends).toEqual([]);
    await first.runtime.resume(childId);
    await settle(first.clock);
    expect(ends).toEqual(['child completed', 'parent completed']);
    expect(log).toMatchObject([{ status: 'paused' }, 'turn 1', 'parent done', 'child went on']);
    expect(first.runtime.sessions()).toEqual([]);
  });

  test('keeps a parent that failed from ending before it (I3)', async () => {
    const first = await world();
    first.source.engage('killswitch.user', 'u-2');
    const child = first.runtime.agent('child', async (session: Session) => void (await session.turn(async () => {})));
    const { id } = first.runtime
      .agent('alpha', async (session: Session) => {
        await session.turn((turn) => turn.spawn(child, undefined, { userId: 'u-2', ...ifHeld }));
        throw new Error('no');
      })
      .start(undefined);
    const end = first.runtime.settled(id);
    await settle(first.clock);
    expect(first.runtime.session(id)?.state).toBe('paused');
    first.source.release('killswitch.user', 'u-2');
    await settle(first.clock);
    expect(await end).toMatchObject({ status: 'failed' });
  });

  test('keeps its parent from being at rest while it runs (S8)', async () => {
    const first = await world();
    const second = deferred();
    const child = first.runtime.agent('child', (session: Session) => session.turn(() => second.promise));
    first.source.engage('killswitch.user', 'u-2');
    const { id } = first.runtime
      .agent('alpha', (session: Session) =>
        session.turn(async (turn) => void (await turn.spawn(child, undefined, { userId: 'u-2', ...ifHeld }))),
      )
      .start(undefined);
    await settle(first.clock);
    expect(first.runtime.session(id)?.state).toBe('paused');
    first.source.release('killswitch.user', 'u-2');
    await settle(first.clock);
    first.source.engage('killswitch.global');
    await settle(first.clock, 60_000);
    expect(first.runtime.session(id)?.state).toBe('running');
    const end = first.runtime.settled(id);
    second.resolve();
    await settle(first.clock);
    expect((await end).status).toBe('completed');
  });

  test('is parked with its graph, and goes on with it when released (S8, I14)', async () => {
    const first = await world();
    const { log, gate, id, childId, hold } = await family(first, { turns: 2 });
    await hold();
    gate.resolve();
    await settle(first.clock, 6_000);
    expect(first.runtime.session(id)?.state).toBe('parked');
    expect(first.runtime.session(childId)?.state).toBe('parked');
    const ends = [first.runtime.settled(id), first.runtime.settled(childId)];
    await first.runtime.resume(childId);
    await settle(first.clock);
    expect(await Promise.all(ends)).toMatchObject([
      { status: 'completed', result: 'of the parent' },
      { status: 'completed', result: 'of the child' },
    ]);
    expect(log.filter((one) => one === 'child went on')).toHaveLength(1);
    expect(log.filter((one) => one === 'turn 1')).toHaveLength(1);
    expect(first.runtime.sessions()).toEqual([]);
  });

  test('goes on after its claim was refused by the store, and its parent does not end before (I13, I14)', async () => {
    const first = await world();
    const { gate, id, childId, hold } = await family(first);
    await hold();
    gate.resolve();
    await settle(first.clock, 6_000);
    const { claim } = first.store;
    let refusals = 3;
    first.store.claim = (session, epoch) => {
      if (session === childId && refusals-- > 0) throw new Error('EIO');
      return claim(session, epoch);
    };
    const ends: string[] = [];
    void first.runtime.settled(id).then(() => ends.push('parent'));
    void first.runtime.settled(childId).then(() => ends.push('child'));
    await first.runtime.resume(childId);
    await settle(first.clock, 3_000);
    expect(refusals).toBeLessThan(0);
    expect(ends).toEqual(['child', 'parent']);
  });

  test('stays parked with its graph until its agent is defined (I14)', async () => {
    const first = await world();
    const { gate, id, hold, childId } = await family(first);
    await hold();
    gate.resolve();
    await settle(first.clock);
    const second = await first.restart();
    const end = second.runtime.settled(id);
    for (const { id: stop } of second.runtime.stops()) await second.runtime.release({ stop, by: 'ann', reason: 'seen' });
    second.runtime.agent('alpha', async () => 'of the parent');
    await settle(second.clock, 10_000);
    expect(second.runtime.session(id)?.state).toBe('parked');
    second.runtime.agent('child', async () => 'of the child');
    await settle(second.clock);
    expect((await end).status).toBe('completed');
    expect(second.runtime.session(childId)).toBeUndefined();
  });

  test.each([
    ['in the turn of the spawn', true, 0],
    ['after that turn was completed', true, 1],
    ['after that turn, by an agent that is replayed', false, 1],
  ])('is revived after a crash %s, and the spawn answers the same (S7, S8, I9)', async (_, readsState, turnsDone) => {
    const first = await world();
    const log: unknown[] = [];
    const got: unknown[] = [];
    const hangs = new Promise<void>(() => {});
    let mayEnd = false;
    const define = ({ runtime }: TestWorld) => {
      const child = runtime.agent('child', async (session: Session) => {
        await session.turn(async () => void log.push('child'));
        return 'of the child';
      });
      return runtime.agent('alpha', async (session: Session) => {
        const from = readsState ? session.turnNumber : 0;
        for (let number = from + 1; number <= 2; number++)
          await session.turn(async (turn) => {
            if (number === 1) got.push(await turn.spawn(child, undefined, { userId: 'u-2', ...ifHeld }));
            await turn.tool('note', { number }, () => void log.push(`turn ${number}`));
            if (!mayEnd && number === turnsDone + 1) await hangs;
            return number;
          });
        return 'of the parent';
      });
    };
    first.source.engage('killswitch.user', 'u-2');
    const { id } = define(first).start(undefined);
    await settle(first.clock);
    mayEnd = true;
    const second = await first.restart();
    const childId = second.runtime.sessions().find((one) => one.agent === 'child')!.id;
    const ends: string[] = [];
    void second.runtime.settled(id).then((end) => ends.push(`parent ${end.status}`));
    void second.runtime.settled(childId).then((end) => ends.push(`child ${end.status}`));
    define(second);
    await settle(second.clock);
    expect(ends).toEqual([]);
    for (const one of got) expect(one).toEqual(got[0]);
    expect(got).toHaveLength(readsState && turnsDone === 1 ? 1 : 2);
    second.source.release('killswitch.user', 'u-2');
    await settle(second.clock);
    expect(ends).toEqual(['child completed', 'parent completed']);
    expect(log).toEqual(['turn 1', 'turn 2', 'child']);
  });

  test('is reached by a terminate of its parent, and marked before it (S2, S6, I3)', async () => {
    const first = await world();
    const running = deferred();
    const order: string[] = [];
    const child = first.runtime.agent('child', (session: Session) => session.turn(() => running.promise));
    first.source.engage('killswitch.user', 'u-2');
    const { id } = first.runtime
      .agent('alpha', (session: Session) =>
        session.turn(async (turn) => {
          await turn.spawn(child, undefined, { userId: 'u-2', ...ifHeld });
          await turn.tool('read', {}, () => new Promise(() => {}), { effect: false });
        }),
      )
      .start(undefined);
    await settle(first.clock);
    first.source.release('killswitch.user', 'u-2');
    await settle(first.clock);
    const childId = first.runtime.sessions().find((one) => one.agent === 'child')!.id;
    void first.runtime.settled(childId).then((end) => order.push(`child ${end.status}`));
    void first.runtime.settled(id).then((end) => order.push(`parent ${end.status}`));
    await first.runtime.stop({ session: id, reason: 'enough', by: 'ann' });
    await settle(first.clock);
    expect(order).toEqual(['child terminated', 'parent terminated']);
    const [receipt] = (await first.runtime.receipts()).filter((one) => one.stop.cause === 'operator');
    expect(receipt!.sessions).toMatchObject([{ state: 'stopped' }, { state: 'stopped' }]);
    expect(receipt!.stages.done).toBeDefined();
  });

  test('keeps its parent from being marked while an effect of it is in flight (I3)', async () => {
    const first = await world({ effectDeadlineMs: 1_000 });
    const child = first.runtime.agent('child', (session: Session) =>
      session.turn((turn) => turn.tool('send', {}, () => new Promise<void>(() => {}))),
    );
    first.source.engage('killswitch.user', 'u-2');
    const { id } = first.runtime
      .agent('alpha', (session: Session) =>
        session.turn(async (turn) => void (await turn.spawn(child, undefined, { userId: 'u-2', ...ifHeld }))),
      )
      .start(undefined);
    await settle(first.clock);
    first.source.release('killswitch.user', 'u-2');
    await settle(first.clock);
    const end = first.runtime.settled(id);
    await first.runtime.stop({ session: id, reason: 'enough', by: 'ann' });
    await settle(first.clock, 500);
    expect(first.runtime.session(id)?.state).toBe('stopping');
    await settle(first.clock, 1_000);
    expect((await end).status).toBe('terminated');
  });

  test('has its work taken up in a restart of its parent, whose spawn is answered with the pause again (S6, S8)', async () => {
    const first = await world();
    const got: PausedChild[] = [];
    const log: string[] = [];
    let hangs: Promise<void> = new Promise(() => {});
    const child = first.runtime.agent('child', async (session: Session) => {
      await session.turn(async (turn) => void (await turn.tool('prepare', {}, () => void log.push('prepared'))));
      await session.turn(async () => void log.push('child went on'));
    });
    const agent = first.runtime.agent('alpha', (session: Session) =>
      session.turn(async (turn) => {
        got.push((await turn.spawn(child, undefined, ifHeld)) as PausedChild);
        await turn.tool('note', {}, () => void log.push('noted'));
        await hangs;
      }),
    );
    const stopChild = first.runtime.subscribe((event) => {
      if (event.type !== 'session') return;
      const view = first.runtime.session(event.session);
      if (view?.agent !== 'child' || first.runtime.stops().length > 0) return;
      void first.runtime.stop({ session: view.id, reason: 'look', by: 'ann', action: 'pause' });
    });
    const { id } = agent.start(undefined);
    await settle(first.clock);
    stopChild();
    expect(got).toMatchObject([{ status: 'paused' }]);
    await first.runtime.stop({ session: id, reason: 'enough', by: 'ann' });
    await settle(first.clock);
    hangs = Promise.resolve();
    const again = agent.start(undefined, { restartOf: id });
    const end = first.runtime.settled(again.id);
    await settle(first.clock);
    expect((await end).status).toBe('completed');
    expect(got).toHaveLength(2);
    expect(got[1]).toMatchObject({ status: 'paused', decision: got[0]!.decision });
    expect(got[1]!.session).not.toBe(got[0]!.session);
    expect(log.toSorted()).toEqual(['child went on', 'noted', 'prepared']);
  });
});

test.each([false, true])(
  'what goes on without a call does so after a crash too, also where the store refuses once to take down that it does (S8, I14) (refused: %s)',
  async (isRefusing) => {
    const first = await world();
    const gate = deferred();
    const more = deferred();
    const did: string[] = [];
    const define = ({ runtime }: TestWorld) => {
      const child = runtime.agent('child', async (session: Session) => {
        void session.state;
        await session.turn(() => gate.promise);
        await session.turn(async () => void did.push('child went on'));
      });
      return runtime.agent('alpha', async (session: Session) => {
        void session.state;
        for (let n = session.turnNumber + 1; n <= 2; n++)
          await session.turn(async (turn) => {
            if (n === 1) did.push(((await turn.spawn(child, undefined, { ifHeld: 'value' })) as { status: string }).status);
            else await more.promise;
          });
      });
    };
    const { id } = define(first).start(undefined);
    await settle(first.clock);
    const childId = first.runtime.sessions().find((one) => one.agent === 'child')!.id;
    const { append } = first.store;
    let refused = 0;
    first.store.append = (root, record) => {
      if (isRefusing && record.t === 'end' && refused++ === 0) throw new RuntimeError('store_failed', 'ENOSPC');
      append.call(first.store, root, record);
    };
    const pause = await first.runtime.stop({ session: childId, reason: 'look', by: 'ann', action: 'pause' });
    gate.resolve();
    await settle(first.clock, 1000);
    expect(did).toEqual(['paused']);
    const second = await first.restart();
    define(second);
    await settle(second.clock, 500);
    const ended: string[] = [];
    void second.runtime.settled(childId).then((one) => ended.push(`child ${one.status}`));
    void second.runtime.settled(id).then((one) => ended.push(`root ${one.status}`));
    await second.runtime.release({ stop: pause.stop.id, reason: 'ok', by: 'ann' });
    await settle(second.clock, 2000);
    expect(did).toEqual(['paused', 'child went on']);
    more.resolve();
    await settle(second.clock, 2000);
    expect(ended).toEqual(['child completed', 'root completed']);
  },
);
