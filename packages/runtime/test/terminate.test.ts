import { describe, expect, test } from 'vitest';
import { deferred, settle, world } from './world.ts';

describe('a terminated session', () => {
  test('starts no call after the fence, whatever its code catches; what reads is aborted (S9, I1)', async () => {
    const { runtime, clock } = await world();
    const seen: string[] = [];
    let signal: AbortSignal | undefined;
    const { id, outcome } = runtime
      .agent('alpha', async (session) => {
        for (;;) {
          try {
            await session.turn(async (turn) => {
              await turn.tool(
                'read',
                {},
                (_, context) => {
                  seen.push('read');
                  signal = context.signal;
                  return new Promise((_, reject) => context.signal.addEventListener('abort', () => reject(new Error('aborted'))));
                },
                { effect: false },
              );
            });
          } catch {
            seen.push('caught');
          }
        }
      })
      .start(undefined);
    await settle(clock);
    const receipt = await runtime.stop({ session: id, reason: 'runaway', by: 'ann' });
    expect(receipt.stages.fenced).toBeDefined();
    await settle(clock);
    expect(await outcome).toMatchObject({ status: 'terminated', decision: { reason: 'runaway', by: 'ann' } });
    expect(signal?.aborted).toBe(true);
    expect(seen).toEqual(['read']);
    const [last] = await runtime.receipts();
    expect(last).toMatchObject({
      sessions: [{ session: id, state: 'stopped', calls: [{ id: 't1-1', name: 'read', outcome: 'aborted' }] }],
    });
    expect(Object.keys(last!.stages)).toEqual(['recorded', 'fenced', 'drained', 'revoked', 'done']);
  });

  test('gives an effect in flight until the deadline, and then its outcome is unknown and named (S10, I9)', async () => {
    const { runtime, clock } = await world({ effectDeadlineMs: 1_000 });
    const { id, outcome } = runtime
      .agent('alpha', (session) =>
        session.turn(async (turn) => {
          await turn.tool('send', { to: 'x' }, () => new Promise(() => {}));
        }),
      )
      .start(undefined);
    await settle(clock);
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock, 500);
    expect(runtime.session(id)?.state).toBe('stopping');
    await settle(clock, 1_000);
    expect((await outcome).status).toBe('terminated');
    const [receipt] = await runtime.receipts();
    expect(receipt!.sessions[0]!.calls).toMatchObject([{ name: 'send', outcome: 'unknown' }]);
    expect(receipt!.residue.join()).toContain('outcome unknown');
  });

  test('is done as soon as the effects in flight have ended, and does not wait for their deadline (S10)', async () => {
    const { runtime, clock } = await world({ effectDeadlineMs: 1_000_000 });
    const inFlight = [deferred<string>(), deferred<string>()];
    const leaf = runtime.agent('leaf', (session) =>
      session.turn((turn) =>
        Promise.allSettled(inFlight.map(({ promise }, n) => turn.tool('send', n, () => promise))).then(() => null),
      ),
    );
    const { id, outcome } = runtime
      .agent('alpha', (session) => session.turn((turn) => turn.spawn(leaf, undefined)))
      .start(undefined);
    await settle(clock);
    const receipt = await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock);
    inFlight[0]!.resolve('sent');
    await settle(clock);
    expect([runtime.session(id)?.state, receipt.stages.done]).toEqual(['stopping', undefined]);
    inFlight[1]!.reject(new Error('refused'));
    await settle(clock);
    expect((await outcome).status).toBe('terminated');
    const [last] = await runtime.receipts();
    expect(last!.stages.done).toBeDefined();
    expect(last!.sessions.map(({ agent, state, calls }) => [agent, state, calls.map((call) => call.outcome)])).toEqual([
      ['alpha', 'stopped', ['aborted']],
      ['leaf', 'stopped', ['completed', 'failed']],
    ]);
  });

  test('whose own guard was faster than the walk over the sessions is told as stopped, and not as ended before (S10)', async () => {
    const { runtime, clock } = await world();
    let stopping: Promise<unknown> | undefined;
    const { id, outcome } = runtime
      .agent('alpha', async (session) => {
        for (;;) {
          await session.turn((turn) =>
            turn.tool('send', null, () => {
              stopping = runtime.stop({ session: session.id, reason: 'r', by: 'ann' });
            }),
          );
        }
      })
      .start(undefined);
    await settle(clock);
    expect((await outcome).status).toBe('terminated');
    await stopping;
    const [receipt] = await runtime.receipts();
    expect(receipt!.sessions).toMatchObject([{ session: id, state: 'stopped', calls: [{ outcome: 'completed' }] }]);
  });

  test('leaves the outcome unknown of an effect that fails by the signal it is given: that tells of the abort only (S10, I9)', async () => {
    const { runtime, clock } = await world({ effectDeadlineMs: 1_000 });
    let sent = 0;
    const alpha = runtime.agent('alpha', (session) =>
      session.turn((turn) =>
        turn.tool('pay', null, (_, { signal }) => {
          sent++;
          return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
        }),
      ),
    );
    const { id } = alpha.start(undefined);
    await settle(clock);
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock, 2_000);
    const [receipt] = await runtime.receipts();
    expect(receipt).toMatchObject({ sessions: [{ state: 'stopped', calls: [{ name: 'pay', outcome: 'unknown' }] }] });
    expect(receipt!.residue.join()).toContain('pay: outcome unknown');
    const again = alpha.start(undefined, { restartOf: id });
    await settle(clock);
    expect(runtime.session(again.id)?.unknownCalls.map(({ name }) => name)).toEqual(['pay']);
    expect(sent).toBe(1);
  });

  test('keeps what an effect came to after its deadline for whoever takes up its work: a result, or a failure (S6, S7)', async () => {
    const { runtime, clock } = await world({ effectDeadlineMs: 1_000 });
    const inFlight = [deferred<string>(), deferred<string>()];
    const came: unknown[] = [];
    const alpha = runtime.agent('alpha', (session) =>
      session.turn(async (turn) => {
        const all = await Promise.allSettled(inFlight.map(({ promise }, n) => turn.tool('send', n, () => promise)));
        came.push(...all.map((one) => (one.status === 'fulfilled' ? one.value : String(one.reason))));
      }),
    );
    const { id } = alpha.start(undefined);
    await settle(clock);
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock, 2_000);
    inFlight[0]!.resolve('sent');
    inFlight[1]!.reject(new Error('refused'));
    await settle(clock);
    const { outcome } = alpha.start(undefined, { restartOf: id });
    await settle(clock);
    expect([(await outcome).status, came]).toEqual(['completed', ['sent', 'Error: Error: refused']]);
  });

  test('takes its whole subtree with it, and is a value for the parent that is not stopped (S2, S8)', async () => {
    const { runtime, clock } = await world();
    const started: string[] = [];
    const leaf = runtime.agent('leaf', async (session) => {
      await session.turn(async (turn) => {
        started.push('leaf');
        await turn.tool('read', {}, () => new Promise(() => {}), { effect: false });
      });
    });
    const middle = runtime.agent('middle', (session) => session.turn((turn) => turn.spawn(leaf, undefined)));
    let got: unknown;
    const top = runtime.agent('alpha', (session) =>
      session.turn(async (turn) => {
        got = await turn.spawn(middle, undefined);
        return 'went on';
      }),
    );
    const { outcome } = top.start(undefined);
    await settle(clock);
    const middleId = runtime.sessions().find((one) => one.agent === 'middle')!.id;
    await runtime.stop({ session: middleId, reason: 'r', by: 'ann' });
    await settle(clock);
    expect(await outcome).toMatchObject({ status: 'completed', result: 'went on' });
    expect(got).toMatchObject({ status: 'terminated', session: middleId });
    const [receipt] = await runtime.receipts();
    expect(receipt!.sessions.map((one) => [one.agent, one.state])).toEqual([
      ['middle', 'stopped'],
      ['leaf', 'stopped'],
    ]);
  });

  test('by the instance switch stays terminated after the switch is released (S6)', async () => {
    const { runtime, source, clock } = await world();
    const gate = deferred();
    const { id, outcome } = runtime.agent('alpha', (session) => session.turn(() => gate.promise)).start(undefined);
    await settle(clock);
    source.engage('killswitch.instance', id);
    await settle(clock);
    expect((await outcome).status).toBe('terminated');
    source.release('killswitch.instance', id);
    await settle(clock);
    await expect(runtime.resume(id)).rejects.toThrow(/unknown_session|session_ended/);
  });

  test('leaves a bystander whose id differs in one character alone (I7)', async () => {
    const { runtime, source, clock } = await world();
    const gate = deferred();
    const agent = runtime.agent('alpha', (session) => session.turn(() => gate.promise));
    const one = agent.start(undefined);
    const two = agent.start(undefined);
    await settle(clock);
    source.engage('killswitch.instance', `${one.id}x`);
    source.engage('killswitch.instance', one.id.slice(0, -1));
    await settle(clock);
    expect(runtime.sessions().map((session) => session.state)).toEqual(['running', 'running']);
    gate.resolve();
    expect((await two.outcome).status).toBe('completed');
  });
});

describe('the whole instance flag turned on', () => {
  test('terminates nobody, holds everybody, says so, and lets go when undone (S11)', async () => {
    const { runtime, source, clock } = await world();
    const gates = [deferred(), deferred()];
    const alarms: string[] = [];
    runtime.subscribe((event) => {
      if (event.type === 'alarm' && event.isActive) alarms.push(event.message);
    });
    const { outcome } = runtime
      .agent('alpha', async (session) => {
        await session.turn(() => gates[0]!.promise);
        await session.turn(async () => {});
      })
      .start(undefined);
    await settle(clock);
    source.turnOn('killswitch.instance');
    await settle(clock);
    gates[0]!.resolve();
    await settle(clock);
    expect(runtime.sessions()).toMatchObject([{ state: 'paused', decision: { action: 'pause', cause: 'unknown' } }]);
    expect(alarms.join()).toContain('engaged for everybody');
    source.release('killswitch.instance');
    await settle(clock);
    expect((await outcome).status).toBe('completed');
  });
});

describe('a session that ends before the walk over all sessions comes to it', () => {
  test('is in the receipt all the same, as stopped by it (S10)', async () => {
    const { runtime, source, clock } = await world();
    const agent = runtime.agent('alpha', async (session) => {
      for (;;)
        await session.turn((turn) =>
          turn.tool('look', {}, () => new Promise<void>((resolve) => setImmediate(resolve)), { effect: false }),
        );
    });
    const runs = Array.from({ length: 20 }, () => agent.start(undefined, { conversationId: 'c-1' }));
    await settle(clock);
    for (const { id } of runs) source.engage('killswitch.instance', id, { reason: 'all of them' });
    await settle(clock);
    const receipts = await runtime.receipts();
    const told = receipts.flatMap((one) => one.sessions).map(({ session, state }) => [session, state]);
    expect(told.sort()).toEqual(runs.map(({ id }) => [id, 'stopped']).sort());
  });
});
