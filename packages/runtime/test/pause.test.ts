import type { Session } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { deferred, settle, world } from './world.ts';

/** Three turns, each with one effect; what ran is what the outside saw. */
const threeTurns =
  (ran: string[], gates: Promise<void>[] = []) =>
  async (session: Session, input: string) => {
    let state = (session.state as { done: number } | undefined) ?? { done: 0 };
    while (state.done < 3) {
      const current = state;
      state = await session.turn(async (turn) => {
        await turn.tool('work', { n: current.done }, async ({ n }) => {
          await gates[n];
          ran.push(`${input}${n}`);
          return n;
        });
        return { done: current.done + 1 };
      });
    }
    return `${input} done`;
  };

describe('a run that nothing stops', () => {
  test('completes with its result', async () => {
    const { runtime } = await world();
    const ran: string[] = [];
    const agent = runtime.agent('alpha', threeTurns(ran));
    expect(await agent.run('a')).toMatchObject({ status: 'completed', result: 'a done' });
    expect(ran).toEqual(['a0', 'a1', 'a2']);
    expect(runtime.sessions()).toEqual([]);
  });
});

describe.each([
  ['global', 'killswitch.global', undefined],
  ['feature', 'killswitch.feature.alpha', undefined],
  ['user', 'killswitch.user', 'u-1'],
])('an engaged %s switch', (_, key, target) => {
  test('lets the turn in progress finish, holds the next, and goes on in place when released (S1, S7)', async () => {
    const { runtime, source, clock } = await world();
    const ran: string[] = [];
    const gate = deferred();
    const outcome = runtime.agent('alpha', threeTurns(ran, [gate.promise])).run('a', { userId: 'u-1' });
    await settle(clock);
    source.engage(key, target);
    await settle(clock);
    gate.resolve();
    await settle(clock);
    expect(ran).toEqual(['a0']);
    expect(runtime.sessions()).toMatchObject([{ state: 'paused', checkpointTurn: 1 }]);
    source.release(key, target);
    await settle(clock);
    expect(await outcome).toMatchObject({ status: 'completed' });
    expect(ran).toEqual(['a0', 'a1', 'a2']);
  });

  test('parks it after parkAfterMs, and a release resumes it from the checkpoint without repeating a turn (S7)', async () => {
    const { runtime, source, clock } = await world();
    const ran: string[] = [];
    const gate = deferred();
    const { id, outcome } = runtime.agent('alpha', threeTurns(ran, [gate.promise])).start('a', { userId: 'u-1' });
    await settle(clock);
    source.engage(key, target, { reason: 'too hot' });
    gate.resolve();
    await settle(clock, 6_000);
    expect(await outcome).toMatchObject({ status: 'paused', checkpointTurn: 1, decision: { reason: 'too hot' } });
    const end = runtime.settled(id);
    source.release(key, target);
    await settle(clock);
    expect(await end).toMatchObject({ status: 'completed', result: 'a done' });
    expect(ran).toEqual(['a0', 'a1', 'a2']);
  });

  test('is still in force after a crash and restart, and nothing runs (S4, I5)', async () => {
    const first = await world();
    const ran: string[] = [];
    const gate = deferred();
    first.runtime.agent('alpha', threeTurns(ran, [gate.promise])).start('a', { userId: 'u-1' });
    await settle(first.clock);
    first.source.engage(key, target);
    gate.resolve();
    await settle(first.clock);
    first.source.lose();
    const second = await first.restart();
    second.runtime.agent('alpha', threeTurns(ran));
    await settle(second.clock);
    expect(ran).toEqual(['a0']);
    expect(second.runtime.sessions()).toMatchObject([{ state: 'parked' }]);
    first.source.recover();
    first.source.release(key, target);
    await settle(second.clock);
    expect(ran).toEqual(['a0', 'a1', 'a2']);
  });
});

describe('a new session under an engaged global switch', () => {
  test('is born paused: none of its code runs before the release (I2)', async () => {
    const { runtime, source, clock } = await world();
    source.engage('killswitch.global');
    await settle(clock);
    let isEntered = false;
    const outcome = runtime
      .agent('alpha', async () => {
        isEntered = true;
      })
      .run(undefined);
    await settle(clock);
    expect(isEntered).toBe(false);
    source.release('killswitch.global');
    await settle(clock);
    expect((await outcome).status).toBe('completed');
  });
});

describe('stops of two tiers', () => {
  test.each([
    [['killswitch.global'], ['killswitch.user', 'u-1']],
    [['killswitch.user', 'u-1'], ['killswitch.global']],
  ])('released in either order hold until both are gone (S1)', async (first, second) => {
    const { runtime, source, clock } = await world();
    source.engage('killswitch.global');
    source.engage('killswitch.user', 'u-1');
    await settle(clock);
    let isDone = false;
    runtime
      .agent('alpha', async () => {
        isDone = true;
      })
      .start(undefined, { userId: 'u-1' });
    await settle(clock);
    source.release(first[0]!, first[1]);
    await settle(clock);
    expect(isDone).toBe(false);
    source.release(second[0]!, second[1]);
    await settle(clock);
    expect(isDone).toBe(true);
  });
});
