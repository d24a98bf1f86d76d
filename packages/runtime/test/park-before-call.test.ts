// park-before-call.test.ts: what waited at the gate and was parked there was never made: nobody is asked about it, and going on
// writes it down as if for the first time, so that a crash after that repeats nothing (S7, I9).

import type { Session } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { deferred, settle, world } from './world.ts';

const tripped = { breakers: { alpha: { actions: 1 } } } as const;

describe('a call that a tripped breaker held until its graph was parked', () => {
  test.each([true, 'idempotent'] as const)('is made when it is released, and no person is asked (effect: %s)', async (effect) => {
    const { runtime, clock } = await world(tripped);
    const sent: number[] = [];
    const { id } = runtime
      .agent('alpha', (session: Session) =>
        session.turn(async (turn) => {
          for (const n of [1, 2, 3]) await turn.tool('send', { n }, () => void sent.push(n), { effect });
        }),
      )
      .start(undefined);
    await settle(clock, 10_000);
    expect(runtime.session(id)).toMatchObject({ state: 'parked', unknownCalls: [] });
    const end = runtime.settled(id);
    await runtime.release({ breaker: 'actions', reason: 'r', by: 'ann', allowance: 5 });
    await settle(clock);
    expect((await end).status).toBe('completed');
    expect(sent).toEqual([1, 2, 3]);
  });

  test('starts its child once, also when a crash comes after it went on', async () => {
    let here = await world(tripped);
    const sent: string[] = [];
    let isFirst = true;
    const define = () => {
      const mine = here;
      const child = mine.runtime.agent('child', (session: Session) =>
        session.turn((turn) => turn.tool('send', {}, (_, { idempotencyKey }) => void sent.push(idempotencyKey))),
      );
      return mine.runtime.agent('alpha', (session: Session) =>
        session.turn(async (turn) => {
          await turn.tool('one', {}, () => 1);
          void turn.tool('two', {}, () => 2);
          await turn.spawn(child, undefined);
          if (isFirst) await new Promise(() => {});
        }),
      );
    };
    const { id } = define().start(undefined);
    await settle(here.clock, 10_000);
    expect(here.runtime.session(id)?.state).toBe('parked');
    await here.runtime.release({ breaker: 'actions', reason: 'r', by: 'ann', allowance: 9 });
    await settle(here.clock);
    expect(sent).toHaveLength(1);
    isFirst = false;
    here = await here.restart();
    const end = here.runtime.settled(id);
    define();
    await settle(here.clock);
    expect((await end).status).toBe('completed');
    expect(sent).toHaveLength(1);
  });
});

describe('a second model call whose reply is in the journal', () => {
  test('is not asked again because its turn was parked before it came to it', async () => {
    const first = await world({ parkAfterMs: 1_000, breakers: { alpha: { turns: 2 } } });
    let asked = 0;
    const define = (here: typeof first, between: Promise<void>, after: Promise<void>) =>
      here.runtime.agent('alpha', (session: Session) =>
        session.turn(async (turn) => {
          await turn.model('m', async () => ++asked, undefined, { key: 'a' });
          await between;
          await turn.model('m', async () => ++asked, undefined, { key: 'b' });
          await after;
        }),
      );
    const { id } = define(first, Promise.resolve(), new Promise(() => {})).start(undefined);
    await settle(first.clock);
    expect(asked).toBe(2);
    const second = await first.restart();
    const between = deferred();
    define(second, between.promise, Promise.resolve());
    await settle(second.clock);
    second.source.engage('killswitch.global');
    await settle(second.clock);
    between.resolve();
    await settle(second.clock, 10_000);
    expect(second.runtime.session(id)?.state).toBe('parked');
    const end = second.runtime.settled(id);
    second.source.release('killswitch.global');
    await settle(second.clock);
    expect((await end).status).toBe('completed');
    expect(asked).toBe(2);
  });
});
