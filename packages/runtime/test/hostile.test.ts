// Code that does not cooperate: agents that catch, retry, keep what they were handed and go on after the end; tools that
// never return, throw anything, or return after the stop.

import { currentCall, type Session, type Turn } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { deferred, settle, world } from './world.ts';

describe('an agent whose session was terminated', () => {
  test('starts no new root from code that is still running in it (S2, S9)', async () => {
    const { runtime, clock } = await world({ effectDeadlineMs: 100 });
    const gate = deferred();
    let entered = 0;
    const other = runtime.agent('beta', async () => {
      entered++;
    });
    const { id, outcome } = runtime
      .agent('alpha', (session: Session) =>
        session.turn(async (turn) => {
          await turn.tool('slow', {}, async () => {
            await gate.promise;
            // The session is over by now; whoever runs this is still its code.
            void other.run(undefined).catch(() => {});
            void runtime.run('beta', async () => void entered++).catch(() => {});
          });
        }),
      )
      .start(undefined);
    await settle(clock);
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock, 500);
    expect((await outcome).status).toBe('terminated');
    gate.resolve();
    await settle(clock);
    expect(entered).toBe(0);
    expect(runtime.sessions()).toEqual([]);
  });

  test('cannot fill its receipt with calls that were never made (S10)', async () => {
    const { runtime, clock } = await world({ effectDeadlineMs: 1_000 });
    const hold = deferred();
    let kept: Turn | undefined;
    let sent = 0;
    const { id } = runtime
      .agent('alpha', (session: Session) =>
        session.turn(async (turn) => {
          kept = turn;
          await turn.tool('slow', {}, () => hold.promise);
        }),
      )
      .start(undefined);
    await settle(clock);
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock);
    for (let i = 0; i < 100; i++) void kept!.tool('more', { i }, () => void sent++).catch(() => {});
    for (let i = 0; i < 10; i++) void kept!.model('m', async () => void sent++).catch(() => {});
    await settle(clock, 2_000);
    const [receipt] = await runtime.receipts();
    expect(sent).toBe(0);
    expect(receipt!.sessions[0]!.calls.map((call) => call.name)).toEqual(['slow']);
  });

  test('is marked although an undeclared tool with an agent inside it never returns (S8, I3)', async () => {
    const { runtime, clock } = await world({ effectDeadlineMs: 100 });
    const { id, outcome } = runtime
      .agent('alpha', (session: Session) =>
        session.turn(async (turn) => {
          await turn.tool('helper', {}, async () => {
            const call = currentCall()!;
            const child = call.child('helper');
            await call.ready(child);
            await call.runAs(child, async () => {
              const inner = await child.beginTurn();
              await inner.tool('send', {}, () => new Promise(() => {}));
            });
          });
        }),
      )
      .start(undefined);
    await settle(clock);
    expect(runtime.sessions()).toHaveLength(2);
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock, 2_000);
    expect(runtime.sessions()).toEqual([]);
    expect((await outcome).status).toBe('terminated');
    const [receipt] = await runtime.receipts();
    expect(receipt!.stages.done).toBeDefined();
    expect(receipt!.sessions.map((one) => one.state)).toEqual(['stopped', 'stopped']);
  });

  test('never learns what its tool returned after the stop; the receipt does (S9, I9)', async () => {
    const { runtime, clock } = await world({ effectDeadlineMs: 100 });
    const gate = deferred<string>();
    const seen: unknown[] = [];
    const { id } = runtime
      .agent('alpha', (session: Session) =>
        session.turn(async (turn) => {
          try {
            seen.push(await turn.tool('send', {}, () => gate.promise));
          } catch (error) {
            seen.push(error);
          } finally {
            seen.push('finally');
          }
        }),
      )
      .start(undefined);
    await settle(clock);
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock, 500);
    gate.resolve('sent');
    await settle(clock, 500);
    expect(seen).toEqual([]);
    const [receipt] = await runtime.receipts();
    expect(receipt!.sessions[0]!.calls).toMatchObject([{ name: 'send', outcome: 'late' }]);
  });
});

describe('a run started inside a session', () => {
  test('without a name is a child of it, stopped with it (S2)', async () => {
    const { runtime, clock } = await world();
    const gate = deferred();
    const { id, outcome } = runtime
      .agent('alpha', (session: Session) =>
        session.turn(async () => {
          await runtime.run('beta', (inner) => inner.turn(() => gate.promise));
        }),
      )
      .start(undefined);
    await settle(clock);
    expect(runtime.sessions().map((one) => [one.workflow, one.path.length])).toEqual([
      ['alpha', 1],
      ['beta', 2],
    ]);
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock);
    expect((await outcome).status).toBe('terminated');
    expect(runtime.sessions()).toEqual([]);
  });

  test('that has ended is refused by name, and is no root of its own (S2, S9)', async () => {
    const { runtime, clock } = await world();
    const later = deferred();
    let error: unknown;
    const other = runtime.agent('beta', async () => {});
    const outcome = await runtime
      .agent('alpha', async () => {
        void later.promise.then(() => other.run(undefined)).catch((caught) => (error = caught));
      })
      .run(undefined);
    expect(outcome.status).toBe('completed');
    later.resolve();
    await settle(clock);
    expect(error).toMatchObject({ code: 'session_ended' });
  });
});

describe('a turn', () => {
  test('is not checkpointed while a call started by nobody who waits for it is under way (S7)', async () => {
    const { runtime, clock, restart } = await world();
    const gate = deferred();
    let sends = 0;
    const body = async (session: Session): Promise<void> => {
      while (session.turnNumber < 2) {
        await session.turn(async (turn) => {
          const first = turn.tool('look', { n: turn.number }, async () => 1, { effect: false });
          void first.then(() =>
            turn.tool('send', { n: turn.number }, () => {
              sends++;
              return gate.promise;
            }),
          );
          await first;
        });
      }
    };
    const { id } = runtime.agent('alpha', body).start(undefined);
    await settle(clock);
    // The send is under way: its turn has not ended.
    expect(runtime.session(id)).toMatchObject({ checkpointTurn: 0, calls: [{ name: 'send' }] });
    const second = await restart();
    second.runtime.agent('alpha', body);
    await settle(clock);
    expect(sends).toBe(1);
    expect(second.runtime.session(id)?.unknownCalls).toMatchObject([{ name: 'send' }]);
  });

  test('cannot be used after its end, nor two at a time; each is an error that names it', async () => {
    const { runtime } = await world();
    const codes: unknown[] = [];
    const code = (error: unknown): void => void codes.push((error as { code?: unknown }).code);
    await runtime
      .agent('alpha', async (session: Session) => {
        let kept: Turn | undefined;
        await session.turn(async (turn) => {
          kept = turn;
          await session.turn(async () => {}).catch(code);
        });
        await Promise.resolve(kept!.tool('late', {}, () => codes.push('ran'))).catch(code);
      })
      .run(undefined)
      .catch(code);
    expect(codes.every((one) => one === 'turn_ended')).toBe(true);
    expect(codes.length).toBeGreaterThan(0);
  });

  test('with a call that throws what is no error ends, and says what was thrown', async () => {
    const { runtime, clock } = await world();
    for (const thrown of [undefined, null, 0, 'words', { an: 'object' }, Object.create(null)]) {
      const session = runtime.run('alpha', (one) =>
        one.turn(async (turn) => {
          const caught: unknown[] = [];
          await turn
            .tool('bad', {}, () => {
              throw thrown;
            })
            .catch((error: unknown) => caught.push(error));
          await turn.tool('bad', {}, () => Promise.reject(thrown)).catch((error: unknown) => caught.push(error));
          return caught.length;
        }),
      );
      await settle(clock, 10);
      expect(await session).toMatchObject({ status: 'completed', result: 2 });
    }
  });

  test('ends although what measures its model call throws, or its tool answers an object that only looks like a promise', async () => {
    const { runtime, clock } = await world();
    const evil = {
      // biome-ignore lint/suspicious/noThenProperty: a hostile thenable is what is tested
      get then(): never {
        throw new Error('evil');
      },
    };
    const caught: string[] = [];
    const outcome = runtime.run('alpha', (session) =>
      session.turn(async (turn) => {
        const bad = (): never => {
          throw new Error('usage');
        };
        const note = (error: Error): void => void caught.push(error.message);
        await new Promise<void>((resolve) => resolve(turn.model('m', (() => 'plain') as never, bad as never) as never)).catch(
          note,
        );
        await turn.model('m', async () => 'later', bad as never).catch(note);
        await new Promise<void>((resolve) => resolve(turn.tool('t', {}, () => evil) as never)).catch(note);
      }),
    );
    await settle(clock);
    expect(await outcome).toMatchObject({ status: 'completed' });
    expect(caught).toEqual(['usage', 'usage', 'evil']);
  });
});

describe('closing while agents run', () => {
  test('delivers nothing more, leaves no timer and no listener, and loses no checkpoint', async () => {
    const { runtime, clock, source, restart } = await world({ breakers: { '*': { callsPerMinute: 1 } } });
    const gate = deferred();
    const seen: string[] = [];
    const body = async (session: Session): Promise<string> => {
      while (session.turnNumber < 2)
        await session.turn(async (turn) => {
          await turn.tool('slow', { n: turn.number }, () => gate.promise, { effect: false });
          seen.push(`turn ${turn.number}`);
        });
      return 'done';
    };
    const agent = runtime.agent('alpha', body);
    const runs = [agent.start(undefined), agent.start(undefined), agent.start(undefined)];
    await settle(clock);
    const parking = runtime.park({ withinMs: 60_000 });
    await runtime.close();
    gate.resolve();
    await settle(clock);
    expect(seen).toEqual([]);
    expect((await Promise.all(runs.map((run) => run.outcome))).map((one) => one.status)).toEqual(['paused', 'paused', 'paused']);
    expect(clock.pending).toBe(0);
    expect(source.listenerCount).toBe(0);
    await parking;
    const { memorySource } = await import('@offswitch/testing');
    const { switches } = await import('./world.ts');
    const second = await restart({ source: memorySource(switches as never, { now: clock.now }) as never, breakers: {} });
    second.runtime.agent('alpha', body);
    const ends = runs.map((run) => second.runtime.settled(run.id));
    await settle(clock);
    expect((await Promise.all(ends)).map((one) => one.status)).toEqual(['completed', 'completed', 'completed']);
  });
});

describe('ten thousand sub-agents', () => {
  test('spawned while the root is paused are born paused, and all go on when it is released (I2, I14)', async () => {
    const { runtime, source, clock } = await world({ parkAfterMs: 1e9 });
    let entered = 0;
    const child = runtime.agent('child', async () => void entered++);
    const gate = deferred();
    const { outcome } = runtime
      .agent('alpha', (session: Session) =>
        session.turn(async (turn) => {
          await gate.promise;
          await Promise.all(Array.from({ length: 10_000 }, (_, n) => turn.spawn(child, n)));
        }),
      )
      .start(undefined);
    await settle(clock);
    source.engage('killswitch.global');
    await settle(clock);
    gate.resolve();
    await settle(clock);
    expect(entered).toBe(0);
    source.release('killswitch.global');
    for (let i = 0; i < 40 && entered < 10_000; i++) await clock.advance(200);
    await settle(clock);
    expect(entered).toBe(10_000);
    expect((await outcome).status).toBe('completed');
  }, 60_000);

  test('spawned after the root was terminated start nothing and leave nothing behind (I1, I2)', async () => {
    const { runtime, clock } = await world({ effectDeadlineMs: 100 });
    let entered = 0;
    let kept: Turn | undefined;
    const child = runtime.agent('child', async () => void entered++);
    const { id } = runtime
      .agent('alpha', (session: Session) =>
        session.turn(async (turn) => {
          kept = turn;
          await turn.tool('slow', {}, () => new Promise(() => {}));
        }),
      )
      .start(undefined);
    await settle(clock);
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    for (let n = 0; n < 10_000; n++) void kept!.spawn(child, n).catch(() => {});
    await settle(clock, 1_000);
    expect(entered).toBe(0);
    expect(runtime.sessions()).toEqual([]);
  }, 60_000);
});
