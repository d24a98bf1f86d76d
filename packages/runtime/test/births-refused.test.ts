// A store that refuses for a while what says that there is a session: its birth, or the intent of the call that starts it.

import { currentCall, type JournalRecord, RuntimeError, type Session, type ToolContext } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { settle, type TestWorld, world } from './world.ts';

/** Refuses what `isMeant` of a store; returns the way to let it through. */
function refusing({ store }: TestWorld, isMeant: (record: JournalRecord) => boolean): () => void {
  const { append } = store;
  store.append = (root, record) => {
    if (isMeant(record)) throw new RuntimeError('store_failed', 'ENOSPC');
    append(root, record);
  };
  return () => void Object.assign(store, { append });
}

/** An agent that pays and then has more to do, begun in three ways; each payment with its key. */
function define({ runtime }: TestWorld, how: string, paid: string[]) {
  const pay = async (session: Session) => {
    await session.turn((turn) => turn.tool('pay', {}, (_, context: ToolContext) => void paid.push(context.idempotencyKey)));
    await session.turn(() => new Promise(() => {}));
  };
  if (how === 'a root') return runtime.agent('alpha', pay);
  const payer = runtime.agent('payer', pay);
  return runtime.agent('alpha', (session: Session) =>
    session.turn(async (turn) => {
      if (how === 'a sub-agent') return void (await turn.spawn(payer, undefined));
      const inside = async () => {
        const call = currentCall()!;
        const child = call.child('payer');
        await call.runAs(child, () => pay(child));
      };
      await turn.tool('ask', {}, inside, { delegates: true });
    }),
  );
}

describe('a session whose birth the store refuses', () => {
  test.each(['a root', 'a sub-agent', 'a session inside a call'])(
    '(%s) does nothing before it is taken, and is known to the next process with what it did (I9, S7)',
    async (how) => {
      const first = await world();
      const refused = how === 'a root' ? 'alpha' : 'payer';
      const letThrough = refusing(first, (record) => record.t === 'session' && record.agent === refused);
      const paid: string[] = [];
      define(first, how, paid).start(undefined);
      await settle(first.clock, 3_000);
      expect(paid).toEqual([]);
      letThrough();
      await settle(first.clock, 3_000);
      expect(paid).toHaveLength(1);
      const known = first.runtime.sessions().map(({ id }) => id);
      const second = await first.restart();
      define(second, how, paid);
      await settle(second.clock, 3_000);
      expect(paid).toHaveLength(1);
      expect(second.runtime.sessions().map(({ id }) => id)).toEqual(known);
    },
  );

  test('and which takes up a sub-agent’s end from the run before is told it once it is taken: no crash makes it again (S6, I9)', async () => {
    const first = await world();
    const paid: string[] = [];
    const stuck = { is: true };
    const defined = ({ runtime }: TestWorld) => {
      const payer = runtime.agent('payer', (session) =>
        session.turn((turn) => turn.tool('pay', {}, (_, context: ToolContext) => void paid.push(context.idempotencyKey))),
      );
      return runtime.agent('alpha', (session: Session) =>
        session.turn(async (turn) => {
          await turn.spawn(payer, undefined);
          await turn.tool('look', {}, () => (stuck.is ? new Promise(() => {}) : 1), { effect: false });
          await turn.tool('wait', {}, () => new Promise(() => {}), { effect: false });
        }),
      );
    };
    const agent = defined(first);
    const { id } = agent.start(undefined);
    await settle(first.clock);
    await first.runtime.stop({ session: id, reason: 'odd', by: 'ann' });
    await settle(first.clock);
    stuck.is = false;
    const letThrough = refusing(first, (record) => record.t === 'session' && record.agent === 'payer');
    const again = agent.start(undefined, { restartOf: id });
    await settle(first.clock, 3_000);
    const calls = () => first.runtime.session(again.id)?.calls;
    expect(calls()).toMatchObject([{ name: 'payer' }]);
    letThrough();
    await settle(first.clock, 3_000);
    expect(calls()).toMatchObject([{ name: 'wait' }]);
    const second = await first.restart();
    defined(second);
    await settle(second.clock, 3_000);
    expect(second.runtime.sessions().map((one) => one.agent)).toContain('payer');
    expect(paid).toHaveLength(1);
  });
});

describe('a spawn whose intent the store refuses', () => {
  test('starts its sub-agent once it is taken, and finds that one again after a crash (I9, S7)', async () => {
    const first = await world();
    const letThrough = refusing(first, (record) => record.t === 'call' && record.kind === 'spawn');
    const paid: string[] = [];
    define(first, 'a sub-agent', paid).start(undefined);
    await settle(first.clock, 3_000);
    expect(paid).toEqual([]);
    letThrough();
    await settle(first.clock, 3_000);
    const second = await first.restart();
    define(second, 'a sub-agent', paid);
    await settle(second.clock, 3_000);
    expect(paid).toHaveLength(1);
    expect(second.runtime.sessions()).toHaveLength(2);
  });
});

describe('a run whose birth the store refuses while it is held', () => {
  const isRun = (record: JournalRecord): boolean => record.t === 'session' && record.agent === 'alpha';

  test.each([
    ['a switch that was thrown before', 0],
    ['a switch that was thrown before, and parked', 6_000],
    ['an operator’s pause of that one', 6_000],
  ] as const)('by %s is written down once there is room, and goes on after a restart (S4, I14)', async (how, ms) => {
    const first = await world();
    const letThrough = refusing(first, isRun);
    const paid: string[] = [];
    const isOne = how === 'an operator’s pause of that one';
    if (!isOne) first.source.engage('killswitch.global');
    await settle(first.clock);
    const { id } = define(first, 'a root', paid).start(undefined);
    await settle(first.clock);
    if (isOne) await first.runtime.stop({ session: id, reason: 'odd', by: 'ann', action: 'pause' });
    await settle(first.clock, ms);
    letThrough();
    await settle(first.clock, 1_000);
    const second = await first.restart();
    define(second, 'a root', paid);
    expect(second.runtime.sessions().map((one) => one.id)).toEqual([id]);
    expect(paid).toEqual([]);
    if (isOne) await second.runtime.resume(id);
    else second.source.release('killswitch.global');
    await settle(second.clock, 6_000);
    expect(paid).toHaveLength(1);
  });

  test('is named by a park as what a restart would forget, until the store takes it (S7, I14)', async () => {
    const { runtime, source, clock, ...rest } = await world();
    const letThrough = refusing({ runtime, source, clock, ...rest }, isRun);
    source.engage('killswitch.global');
    await settle(clock);
    const { id } = define({ runtime, source, clock, ...rest }, 'a root', []).start(undefined);
    await settle(clock, 6_000);
    expect(runtime.session(id)?.state).toBe('parked');
    const early = runtime.park({ withinMs: 1_000 });
    await settle(clock, 2_000);
    expect(await early).toEqual([id]);
    const late = runtime.park({ withinMs: 60_000 });
    await settle(clock, 2_000);
    letThrough();
    await settle(clock, 2_000);
    expect(await late).toEqual([]);
  });

  test.each([
    ['where it is held', 0],
    ['where it is parked', 6_000],
  ])('and which is terminated %s is not written down any more: a restart finds nothing that goes on (S6)', async (_, ms) => {
    const first = await world();
    const { append } = first.store;
    first.store.append = () => {
      throw new RuntimeError('store_failed', 'ENOSPC');
    };
    first.source.engage('killswitch.global');
    await settle(first.clock);
    const { id } = define(first, 'a root', []).start(undefined);
    await settle(first.clock, ms);
    await first.runtime.stop({ session: id, reason: 'odd', by: 'ann' });
    await settle(first.clock, 1_000);
    expect(first.runtime.sessions()).toEqual([]);
    const written: JournalRecord[] = [];
    first.store.append = (root, record) => {
      written.push(record);
      append(root, record);
    };
    await settle(first.clock, 1_000);
    expect(written).toEqual([]);
  });

  test('although nothing else is wrong is told to wait for the store, and not for others or for a person (S10)', async () => {
    const first = await world();
    refusing(first, isRun);
    const { outcome } = define(first, 'a root', []).start(undefined);
    await settle(first.clock, 8_000);
    expect(await outcome).toMatchObject({
      status: 'paused',
      notice: 'This assistant waits, and goes on by itself.',
      decision: { reason: expect.stringContaining('for the store'), effect: 'Rests at its checkpoint, and goes on by itself.' },
    });
  });
});
