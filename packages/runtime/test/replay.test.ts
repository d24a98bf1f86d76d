import type { Session, Turn } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { deferred, settle, world } from './world.ts';

describe('an agent that never looks at its checkpoint', () => {
  // Its code begins at the beginning in every life; what it had done must not be done again.
  const define = (here: Awaited<ReturnType<typeof world>>, did: string[], gate: Promise<void>) =>
    here.runtime.agent('alpha', async (session: Session) => {
      let total = 0;
      for (const n of [1, 2, 3]) {
        try {
          await session.turn(async (turn) => {
            total += await turn.tool('add', { n }, ({ n }) => {
              did.push(`add ${n}`);
              return n;
            });
            if (n === 2) throw new Error('stumbled');
          });
        } catch {
          did.push('stumbled');
        }
        if (n === 2) await gate;
      }
      return total;
    });

  test('is replayed after a crash: completed turns answer from the journal, failed ones fail again, nothing is done twice (S7, I9)', async () => {
    const first = await world();
    const did: string[] = [];
    define(first, did, new Promise(() => {})).start(undefined);
    await settle(first.clock);
    expect(did).toEqual(['add 1', 'add 2', 'stumbled']);
    const second = await first.restart();
    const { id } = second.runtime.sessions()[0]!;
    const end = second.runtime.settled(id);
    define(second, did, Promise.resolve());
    await settle(second.clock);
    expect(await end).toMatchObject({ status: 'completed', result: 6 });
    expect(did).toEqual(['add 1', 'add 2', 'stumbled', 'stumbled', 'add 3']);
  });

  test('is replayed after a park in the same process', async () => {
    const { runtime, source, clock } = await world();
    const did: string[] = [];
    const gate = deferred();
    const { id } = define({ runtime } as never, did, gate.promise).start(undefined);
    const end = runtime.settled(id);
    await settle(clock);
    source.engage('killswitch.global');
    gate.resolve();
    await settle(clock, 6_000);
    expect(runtime.session(id)?.state).toBe('parked');
    source.release('killswitch.global');
    await settle(clock);
    expect(await end).toMatchObject({ status: 'completed', result: 6 });
    expect(did.filter((one) => one.startsWith('add'))).toEqual(['add 1', 'add 2', 'add 3']);
  });

  test('of one turn, killed between its checkpoint and its end, does not run that turn again', async () => {
    const first = await world();
    const did: string[] = [];
    const one = (here: typeof first, isStuck: boolean) =>
      here.runtime.agent('alpha', async (session) => {
        const got = await session.turn((turn) => turn.tool('send', {}, () => void did.push('sent')));
        if (isStuck) await new Promise(() => {});
        return got;
      });
    one(first, true).start(undefined);
    await settle(first.clock);
    expect(first.runtime.sessions()).toMatchObject([{ checkpointTurn: 1 }]);
    const second = await first.restart();
    const end = second.runtime.settled(second.runtime.sessions()[0]!.id);
    one(second, false);
    await settle(second.clock);
    expect((await end).status).toBe('completed');
    expect(did).toEqual(['sent']);
  });
});

describe('a replayed session that is terminated before it has come to where it was interrupted', () => {
  test.each([
    ['while it is being ended', 'stopping'],
    ['once it has ended', 'terminated'],
  ] as const)('is told of with what was under way there, %s (S10)', async (_, state) => {
    const first = await world();
    const pay = (session: Session) => session.turn((turn) => turn.tool('pay', {}, () => new Promise(() => {})));
    const look = (turn: Turn) => turn.tool('look', {}, () => 1, { effect: false });
    const { id } = first.runtime
      .agent('alpha', async (session) => {
        await session.turn(look);
        await pay(session);
      })
      .start(undefined);
    await settle(first.clock);
    const second = await first.restart();
    second.runtime.agent('alpha', async (session) => {
      await session.turn(async (turn) => {
        await look(turn);
        // What its first life had not done.
        await (state === 'stopping' ? turn.tool('count', {}, () => new Promise(() => {})) : new Promise(() => {}));
      });
      await pay(session);
    });
    await settle(second.clock);
    expect(second.runtime.session(id)).toMatchObject({ turn: 1, checkpointTurn: 1 });
    await second.runtime.stop({ session: id, reason: 'odd', by: 'ann' });
    await settle(second.clock);
    const [receipt] = await second.runtime.receipts();
    const { calls, state: told } = receipt!.sessions[0]!;
    const outcomes = Object.fromEntries(calls.map(({ name, outcome }) => [name, outcome]));
    expect([told, outcomes]).toEqual(
      state === 'stopping'
        ? ['unconfirmed', { look: 'completed', count: 'in-flight', pay: 'unknown' }]
        : ['stopped', { look: 'completed', pay: 'unknown' }],
    );
    expect(receipt!.residue).toContain(`${id} t2-1 pay: outcome unknown`);
    await settle(second.clock, 20_000);
    const [last] = await second.runtime.receipts();
    expect(last!.sessions).toMatchObject([{ state: 'stopped' }]);
    expect(new Set(last!.sessions[0]!.calls.map(({ name }) => name))).toEqual(new Set(Object.keys(outcomes)));
  });
});

test('a session whose turn waits for a person ends after that person has said, also where its code has gone on (I14)', async () => {
  const first = await world();
  const [hang, giveUp] = [deferred(), deferred()];
  let isAgain = false;
  const code = async (session: Session) => {
    const work = session.turn(async (turn) => {
      if (!isAgain) await turn.tool('send', {}, () => hang.promise, { effect: true });
    });
    await Promise.race([work, giveUp.promise]);
  };
  const { id } = first.runtime.agent('alpha', code).start(undefined);
  await settle(first.clock);
  isAgain = true;
  const { runtime, clock } = await first.restart();
  runtime.agent('alpha', code);
  await settle(clock, 1_000);
  let status: string | undefined;
  void runtime.settled(id).then((end) => {
    status = end.status;
  });
  giveUp.resolve();
  await settle(clock, 1_000);
  await runtime.resolve(id, 't1-1', 'did-not', { by: 'ann' });
  await settle(clock, 60_000);
  expect(status).toBe('completed');
});

test('a run whose code fails inside a turn that an adapter left open asks about the effect that it did not make again (S7)', async () => {
  const first = await world();
  const hang = deferred();
  let isAgain = false;
  const code = async (session: Session) => {
    const turn = await session.beginTurn();
    if (isAgain) throw new Error('the model answers 500');
    await turn.tool('send', {}, () => hang.promise, { effect: true });
  };
  const { id } = first.runtime.agent('alpha', code).start(undefined);
  await settle(first.clock);
  isAgain = true;
  const { runtime, clock } = await first.restart();
  let status: string | undefined;
  runtime.agent('alpha', code);
  void runtime.settled(id).then((end) => {
    status = end.status;
  });
  await settle(clock, 1_000);
  expect(status).toBeUndefined();
  await runtime.resolve(id, 't1-1', 'did-not', { by: 'ann' });
  await settle(clock, 1_000);
  expect(status).toBe('failed');
});
