// What a turn promises about the calls made in it, and about the sessions that they start.

import type { Session, Turn } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { deferred, settle, world } from './world.ts';

const reads = { effect: false } as const;

describe('a turn under a pause', () => {
  test('makes no second model call, while its tools go on (S9)', async () => {
    const { runtime, source, clock } = await world();
    const ran: string[] = [];
    const gate = deferred();
    const { outcome } = runtime
      .agent('alpha', (session) =>
        session.turn(async (turn) => {
          await turn.model('m', async () => ran.push('model 1'));
          await gate.promise;
          await turn.tool('send', {}, () => ran.push('tool'));
          await turn.model('m', async () => ran.push('model 2'));
        }),
      )
      .start(undefined);
    await settle(clock);
    source.engage('killswitch.global');
    await settle(clock);
    gate.resolve();
    await settle(clock);
    expect(ran).toEqual(['model 1', 'tool']);
    source.release('killswitch.global');
    await settle(clock);
    expect((await outcome).status).toBe('completed');
    expect(ran).toEqual(['model 1', 'tool', 'model 2']);
  });
});

describe('a call', () => {
  test('with a key used before in its turn is an error, and in the next turn is not', async () => {
    const { runtime } = await world();
    const outcome = await runtime
      .agent('alpha', async (session) => {
        const call = (turn: Turn) => turn.tool('look', {}, () => 1, { ...reads, key: 'k' });
        await session.turn(call);
        return session.turn(async (turn) => {
          await call(turn);
          return Promise.resolve()
            .then(() => call(turn))
            .then(String, (error) => error.code);
        });
      })
      .run(undefined);
    expect(outcome).toMatchObject({ status: 'completed', result: 'duplicate_call_key' });
  });

  test('of a turn that was kept is refused after the turn, and after the session', async () => {
    const { runtime } = await world();
    let kept!: Turn;
    let code: unknown;
    const late = () =>
      Promise.resolve()
        .then(() => kept.tool('look', {}, () => 1))
        .then(String, (error) => error.code);
    await runtime
      .agent('alpha', async (session) => {
        await session.turn(async (turn) => {
          kept = turn;
        });
        code = await late();
      })
      .run(undefined);
    expect(code).toBe('turn_ended');
    expect(await late()).toMatch(/turn_ended|session_ended/);
  });

  test.each([undefined, null, 7, 'words'])('whose tool throws %s fails with just that', async (thrown) => {
    const { runtime } = await world();
    let caught: unknown = 'nothing';
    const outcome = await runtime
      .agent('alpha', (session) =>
        session.turn(async (turn) => {
          await turn
            .tool('odd', {}, () => {
              throw thrown;
            })
            .catch((error) => {
              caught = error;
            });
        }),
      )
      .run(undefined);
    expect(outcome.status).toBe('completed');
    expect(caught).toBe(thrown);
  });

  test('that is refused for its options fails, and the turn does not wait for it', async () => {
    const { runtime } = await world();
    const outcome = runtime
      .agent('alpha', (session) => session.turn((turn) => turn.tool('buy', {}, () => 1, { maxCostMicros: -1 })))
      .run(undefined);
    expect(await outcome).toMatchObject({ status: 'failed', error: { code: 'invalid_option' } });
  });

  test('that returns after a terminate is recorded late and not delivered (S9, S10)', async () => {
    const { runtime, clock } = await world({ effectDeadlineMs: 1_000 });
    const gate = deferred<string>();
    let got = false;
    const { id } = runtime
      .agent('alpha', (session) =>
        session.turn(async (turn) => {
          await turn.tool('send', {}, () => gate.promise);
          got = true;
        }),
      )
      .start(undefined);
    await settle(clock);
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock, 2_000);
    gate.resolve('sent');
    await settle(clock);
    expect(got).toBe(false);
    const [receipt] = await runtime.receipts();
    expect(receipt!.sessions[0]!.calls).toMatchObject([{ name: 'send', outcome: 'late' }]);
  });
});

describe('a session started inside a session', () => {
  test('is its child, whichever way it was started (S2)', async () => {
    const { runtime } = await world();
    const paths: (readonly string[])[] = [];
    const child = runtime.agent('child', async (session: Session) => void paths.push(session.path));
    const { id, outcome } = runtime
      .agent('alpha', async (session) => {
        await child.run(undefined);
        await session.turn(() => child.run(undefined));
      })
      .start(undefined);
    await outcome;
    expect(paths.map((path) => [path.length, path[0]])).toEqual([
      [2, id],
      [2, id],
    ]);
  });

  test.each(['alpha', 'beta'])('is detached only where the workflow declares it (%s)', async (workflow) => {
    const { runtime, source, clock } = await world();
    const gate = deferred();
    const child = runtime.agent('child', async (session: Session) => {
      await session.turn(() => gate.promise);
      await session.turn(async () => {});
    });
    let detached: string | undefined;
    const { id, outcome } = runtime
      .agent(workflow, (session) =>
        session.turn(async (turn) => {
          detached = turn.detach(child, undefined, { reason: 'a nightly job', owner: 'ann' });
          await turn.tool('wait', {}, () => new Promise(() => {}), reads);
        }),
      )
      .start(undefined);
    await settle(clock);
    if (workflow === 'alpha') {
      expect(await outcome).toMatchObject({ status: 'failed', error: { code: 'detach_not_declared' } });
      return;
    }
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock);
    expect(runtime.session(detached!)?.state).toBe('running');
    source.engage('killswitch.feature.beta');
    await settle(clock);
    gate.resolve();
    await settle(clock);
    expect(runtime.session(detached!)).toMatchObject({ state: 'paused', decision: { tier: 'feature' } });
  });

  test('is born stopped: of 10,000 spawned under a terminate none runs (I2)', async () => {
    const { runtime, clock } = await world();
    let ran = 0;
    const child = runtime.agent('child', async () => void ran++);
    const gate = deferred();
    const { id, outcome } = runtime
      .agent('alpha', (session) =>
        session.turn(async (turn) => {
          await gate.promise;
          await Promise.all(Array.from({ length: 10_000 }, (_, n) => turn.spawn(child as never, n as never)));
        }),
      )
      .start(undefined);
    await settle(clock);
    const stopped = runtime.stop({ session: id, reason: 'r', by: 'ann' });
    gate.resolve();
    await stopped;
    await settle(clock);
    expect((await outcome).status).toBe('terminated');
    expect(ran).toBe(0);
  });
});

describe('an effect of unknown outcome after a crash', () => {
  const interrupted = async (probe?: () => Promise<'happened' | 'did-not'>) => {
    const first = await world();
    let sent = 0;
    const define = (here: typeof first, stuck: boolean) =>
      here.runtime.agent('alpha', (session) =>
        session.turn((turn) =>
          turn.tool('send', {}, () => (++sent && stuck ? new Promise(() => {}) : 1), probe ? { probe } : {}),
        ),
      );
    const { id } = define(first, true).start(undefined);
    await settle(first.clock);
    const second = await first.restart();
    const end = second.runtime.settled(id);
    define(second, false);
    await settle(second.clock);
    return { ...second, id, end, sent: () => sent };
  };

  test.each([
    ['happened', 1],
    ['did-not', 2],
  ] as const)('is asked of its probe: %s (S7, I9)', async (verdict, times) => {
    const { end, sent } = await interrupted(async () => verdict);
    expect((await end).status).toBe('completed');
    expect(sent()).toBe(times);
  });

  test('is a person’s to tell, once (S7, I9)', async () => {
    const { runtime, clock, id, end, sent } = await interrupted();
    const [call] = runtime.session(id)!.unknownCalls;
    await runtime.resolve(id, call!.id, 'happened', { by: 'ann' });
    await expect(runtime.resolve(id, call!.id, 'did-not')).rejects.toThrow(/unknown_call|unknown_session|session_ended/);
    await settle(clock);
    expect((await end).status).toBe('completed');
    expect(sent()).toBe(1);
  });
});

describe('a spawn that is refused', () => {
  test('rejects with the reason and does not hold its turn for ever', async () => {
    const { runtime, clock } = await world();
    const child = runtime.agent('child', async () => {});
    const outcome = runtime
      .agent('alpha', (session) => session.turn((turn) => turn.spawn(child, undefined, { userId: '' })))
      .run(undefined);
    await settle(clock);
    expect(await outcome).toMatchObject({ status: 'failed', error: { code: 'invalid_id' } });
  });
});
