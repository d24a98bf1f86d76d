import type { Session, ToolContext } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { settle, type TestWorld, world } from './world.ts';

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
