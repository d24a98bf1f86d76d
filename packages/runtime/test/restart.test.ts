import type { Session, ToolContext } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { deferred, settle, type TestWorld, world } from './world.ts';

/** One turn done, then a turn with a letter sent, a child that sent one too, and a tool that never returns. */
function define({ runtime }: TestWorld, sent: string[], stuck: { is: boolean }) {
  const send = (text: string) => (_: unknown, context: ToolContext) => {
    sent.push(`${text} ${context.idempotencyKey}`);
    return text;
  };
  const hang = () => (stuck.is ? new Promise(() => {}) : 'looked');
  const helper = runtime.agent('helper', (session) =>
    session.turn(async (turn) => {
      await turn.tool('send', { n: 3 }, send('third'));
      return turn.tool('look', {}, hang, { effect: false });
    }),
  );
  return runtime.agent('alpha', async (session: Session, input: string) => {
    if (session.turnNumber === 0) await session.turn((turn) => turn.tool('send', { n: 1 }, send('first')));
    await session.turn(async (turn) => {
      await turn.tool('send', { n: 2 }, send('second'));
      await turn.spawn(helper, undefined);
    });
    return input;
  });
}

describe('a run that takes up the work of a terminated one (S6)', () => {
  test.each([false, true])(
    'goes on from its checkpoint and sends nothing again, sub-agents included (after a restart of the process: %s)',
    async (restarts) => {
      let here = await world();
      const sent: string[] = [];
      const stuck = { is: true };
      let agent = define(here, sent, stuck);
      const { id, outcome } = agent.start('done', { userId: 'u-1' });
      await settle(here.clock);
      await here.runtime.stop({ session: id, reason: 'looks wrong', by: 'ann' });
      await settle(here.clock);
      expect((await outcome).status).toBe('terminated');
      expect(sent).toHaveLength(3);
      const before = [...sent];
      stuck.is = false;
      if (restarts) {
        here = await here.restart();
        agent = define(here, sent, stuck);
      }
      const again = agent.start('done', { userId: 'u-1', restartOf: id });
      expect(again.id).not.toBe(id);
      await settle(here.clock);
      expect(await again.outcome).toMatchObject({ status: 'completed' });
      expect(sent).toEqual(before);
    },
  );

  test('keeps the key scope of the first run for what it does anew', async () => {
    const here = await world();
    const keys: string[] = [];
    let isStuck = true;
    const agent = here.runtime.agent('alpha', (session) =>
      session.turn(async (turn) => {
        await turn.tool('wait', {}, () => (isStuck ? new Promise(() => {}) : 'ok'), { effect: false });
        await turn.tool('send', {}, (_, context) => void keys.push(context.idempotencyKey));
      }),
    );
    const first = agent.start(undefined);
    await settle(here.clock);
    await here.runtime.stop({ session: first.id, reason: 'r', by: 'ann' });
    await settle(here.clock);
    isStuck = false;
    const second = agent.start(undefined, { restartOf: first.id });
    await settle(here.clock);
    expect((await second.outcome).status).toBe('completed');
    expect(keys[0]!.startsWith(`${first.id}/1/send`)).toBe(true);
  });

  test('of a session that runs, that nobody knows or that was another agent’s is refused', async () => {
    const here = await world();
    const agent = here.runtime.agent('alpha', (session) => session.turn(() => new Promise(() => {})));
    const other = here.runtime.agent('beta', async () => {});
    const { id } = agent.start(undefined);
    await settle(here.clock);
    expect(() => agent.start(undefined, { restartOf: id })).toThrow(/has not ended/);
    expect(() => agent.start(undefined, { restartOf: 's-nobody' })).toThrow(/unknown_session/);
    await here.runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(here.clock);
    expect(() => other.start(undefined, { restartOf: id })).toThrow(/was a run of "alpha"/);
  });
});

describe('a restart finds what it takes up, whatever ended meanwhile', () => {
  test('of a terminated sub-agent whose graph goes on sends nothing again, its own sub-agents included (S6, I9)', async () => {
    const { runtime, clock } = await world();
    const sent: string[] = [];
    let isStuck = true;
    const helper = runtime.agent('helper', (session: Session) =>
      session.turn(async (turn) => {
        await turn.tool('send', { n: 1 }, (_: unknown, context: ToolContext) => void sent.push(context.idempotencyKey));
        await turn.tool('look', {}, () => (isStuck ? new Promise(() => {}) : 'ok'), { effect: false });
      }),
    );
    const beta = runtime.agent('beta', (session: Session) =>
      session.turn(async (turn) => void (await turn.spawn(helper, undefined))),
    );
    const alpha = runtime.agent('alpha', async (session: Session) => {
      await session.turn(async (turn) => void (await turn.spawn(beta, undefined)));
      await session.turn(() => new Promise(() => {}));
    });
    alpha.start(undefined);
    await settle(clock);
    expect(sent).toHaveLength(1);
    const { id } = runtime.sessions().find((one) => one.agent === 'beta')!;
    await runtime.stop({ session: id, reason: 'odd', by: 'ann' });
    await settle(clock);
    isStuck = false;
    const again = beta.start(undefined, { restartOf: id });
    await settle(clock);
    expect(await again.outcome).toMatchObject({ status: 'completed' });
    expect(sent).toHaveLength(1);
  });

  test.each([false, true])(
    'that waits while 200 others are terminated sends nothing again (S6, I9) (others: %s)',
    async (many) => {
      const { runtime, clock, source } = await world();
      const sent: string[] = [];
      let isStuck = true;
      const helper = runtime.agent('helper', (session: Session) =>
        session.turn(async (turn) => {
          await turn.tool('send', { n: 1 }, (_: unknown, context: ToolContext) => void sent.push(context.idempotencyKey));
          await turn.tool('look', {}, () => (isStuck ? new Promise(() => {}) : 'ok'), { effect: false });
        }),
      );
      const beta = runtime.agent('beta', (session: Session) =>
        session.turn(async (turn) => void (await turn.spawn(helper, undefined))),
      );
      const alpha = runtime.agent('alpha', (session: Session) => session.turn(() => new Promise(() => {})));
      const { id } = beta.start(undefined);
      await settle(clock);
      expect(sent).toHaveLength(1);
      await runtime.stop({ session: id, reason: 'odd', by: 'ann' });
      await settle(clock);
      isStuck = false;
      source.engage('killswitch.feature.beta');
      await settle(clock);
      const again = beta.start(undefined, { restartOf: id });
      const end = runtime.settled(again.id);
      await settle(clock);
      for (let i = 0; many && i < 200; i++) {
        const other = alpha.start(undefined);
        await runtime.stop({ session: other.id, reason: 'odd', by: 'ann' });
      }
      await settle(clock);
      source.release('killswitch.feature.beta');
      await settle(clock);
      expect(await end).toMatchObject({ status: 'completed' });
      expect(sent).toHaveLength(1);
    },
  );
});

test.each([0, 220])(
  'a restart goes on after a crash and sends nothing again, beside %s others that were terminated (S6, I9)',
  async (many) => {
    const first = await world();
    first.runtime.subscribe(() => {});
    const sent: string[] = [];
    let isStuck = true;
    const define = ({ runtime }: typeof first) => {
      const helper = runtime.agent('helper', (session: Session) =>
        session.turn(async (turn) => {
          await turn.tool('send', { n: 1 }, () => void sent.push('x'));
          await turn.tool('look', {}, () => (isStuck ? new Promise(() => {}) : 'ok'), { effect: false });
        }),
      );
      return {
        beta: runtime.agent('beta', (session: Session) =>
          session.turn(async (turn) => void (await turn.spawn(helper, undefined))),
        ),
        alpha: runtime.agent('alpha', (session: Session) => session.turn(() => new Promise(() => {}))),
      };
    };
    const { beta, alpha } = define(first);
    const { id } = beta.start(undefined);
    await settle(first.clock);
    await first.runtime.stop({ session: id, reason: 'odd', by: 'ann' });
    await settle(first.clock);
    isStuck = false;
    first.source.engage('killswitch.feature.beta');
    await settle(first.clock);
    const again = beta.start(undefined, { restartOf: id });
    await settle(first.clock);
    for (let i = 0; i < many; i++) {
      const other = alpha.start(undefined);
      await first.runtime.stop({ session: other.id, reason: 'odd', by: 'ann' });
    }
    await settle(first.clock);
    const second = await first.restart();
    second.runtime.subscribe(() => {});
    define(second);
    const end = second.runtime.settled(again.id);
    await settle(first.clock);
    first.source.release('killswitch.feature.beta');
    await settle(first.clock, 6_000);
    expect(await end).toMatchObject({ status: 'completed' });
    expect(sent).toHaveLength(1);
  },
);

test('a restart that dies between the birth of a sub-agent that goes on without a call and the answer of its spawn brings it back (S6, S8, I14)', async () => {
  const first = await world();
  const did: string[] = [];
  const more = deferred();
  const gate = deferred();
  const define = ({ runtime }: TestWorld) => {
    const child = runtime.agent('child', async (session: Session) => {
      await session.turn(() => gate.promise);
      await session.turn(async () => void did.push('child went on'));
    });
    return runtime.agent('alpha', (session: Session) =>
      session.turn(async (turn) => {
        did.push(((await turn.spawn(child, undefined, { ifHeld: 'value' })) as { status: string }).status);
        await more.promise;
      }),
    );
  };
  const agent = define(first);
  const { id } = agent.start(undefined);
  await settle(first.clock);
  const childId = first.runtime.sessions().find((one) => one.agent === 'child')!.id;
  await first.runtime.stop({ session: childId, reason: 'look', by: 'ann', action: 'pause' });
  gate.resolve();
  await settle(first.clock);
  expect(did).toEqual(['paused']);
  await first.runtime.stop({ session: id, reason: 'enough', by: 'ann' });
  await settle(first.clock);
  const { append } = first.store;
  let isDead = false;
  let births = 0;
  first.store.append = (root, record) => {
    if (record.t === 'session') births++;
    if (births === 2 && record.t === 'end') isDead = true;
    if (!isDead) append.call(first.store, root, record);
  };
  agent.start(undefined, { restartOf: id });
  await settle(first.clock);
  expect([births, isDead]).toEqual([2, true]);
  did.length = 0;
  const second = await first.restart();
  define(second);
  more.resolve();
  await settle(second.clock, 500);
  const states = second.runtime.sessions().map((one) => `${one.agent} ${one.state}`);
  await settle(second.clock, 2000);
  expect([did, states]).toEqual([['paused', 'child went on'], []]);
});
