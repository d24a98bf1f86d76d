import {
  currentCall,
  type Grant,
  type GrantRequest,
  type KeptGrant,
  type Receipt,
  type RuntimeEvent,
  type Session,
  type Turn,
  withoutSecrets,
} from '@offswitch/runtime';
import { describeCredentialBroker, type MemoryBroker, manualClock, memoryBroker } from '@offswitch/testing';
import { describe, expect, test } from 'vitest';
import { Ledger } from '../src/grants/ledger.ts';
import { newLent } from '../src/grants/lent.ts';
import { Revoker } from '../src/grants/revoker.ts';
import { deferred, settle, type TestWorld, tellingStore, world } from './world.ts';

describeCredentialBroker('memory', async () => {
  const broker = memoryBroker();
  return {
    broker,
    works: async ({ secret }) => broker.works(secret),
    otherProcess: async () => broker,
    close: async () => {},
  };
});

describeCredentialBroker('memory, with branches', async () => {
  const broker = memoryBroker({ caps: { cascade: 'children' } });
  return {
    broker,
    works: async ({ secret }) => broker.works(secret),
    otherProcess: async () => broker,
    close: async () => {},
  };
});

interface Lending extends TestWorld {
  readonly broker: MemoryBroker;
  readonly alarms: string[];
  readonly stages: string[];
}

async function lending(make: Parameters<typeof memoryBroker>[0] = {}, more: Parameters<typeof world>[0] = {}): Promise<Lending> {
  const clock = manualClock();
  const broker = memoryBroker({ now: clock.now, ...make });
  const made = await world({ ...more, clock, brokers: { mail: broker } });
  const alarms: string[] = [];
  made.runtime.subscribe((event: RuntimeEvent) => event.type === 'alarm' && event.isActive && alarms.push(event.message));
  const stages: string[] = [];
  made.runtime.subscribe((event: RuntimeEvent) => event.type === 'stage' && stages.push(event.stage));
  return { ...made, broker, alarms, stages };
}

/** A tool call that asks for a credential, says so, and ends when it is let. */
function borrow(
  turn: Turn,
  heard: Grant[],
  until: Promise<unknown> = Promise.resolve(),
  request?: GrantRequest,
): Promise<unknown> {
  return turn.tool(
    'send',
    {},
    async (_, context) => {
      heard.push(await context.grant('mail', request));
      await until;
      return null;
    },
    { effect: false },
  );
}

/** The same, and asks once more when it is let. */
function borrowTwice(turn: Turn, heard: Grant[], again: Promise<unknown>): Promise<unknown> {
  return turn.tool(
    'send',
    {},
    async (_, context) => {
      heard.push(await context.grant('mail'));
      await again;
      heard.push(await context.grant('mail'));
      await new Promise(() => {});
    },
    { effect: false },
  );
}

const last = async ({ runtime }: TestWorld): Promise<Receipt> => (await runtime.receipts())[0]!;

/** A session that has borrowed is stopped, and its backend does not take that back yet. */
async function stopping(made: Lending): Promise<string> {
  const { runtime, broker, clock } = made;
  const { id } = runtime
    .agent('alpha', (session) => session.turn((turn) => borrow(turn, [], new Promise(() => {}))))
    .start(undefined);
  await settle(clock);
  broker.beforeRevoke = async () => ({ state: 'pending', why: '503' });
  await runtime.stop({ session: id, reason: 'r', by: 'ann' });
  await settle(clock);
  expect((await last(made)).grants).toMatchObject([{ state: 'revoking' }]);
  return id;
}

describe('a credential that a tool asks for', () => {
  test('is one for its session: the same while it lives, another for a child, which it outlives (I4)', async () => {
    const { runtime, broker, clock } = await lending();
    const heard: Grant[] = [];
    const hers: Grant[] = [];
    const hold = deferred();
    const child = runtime.agent('child', (session) =>
      session.turn((turn) => borrow(turn, hers, Promise.resolve(), { ttlMs: 3_600_000 })),
    );
    const { outcome } = runtime
      .agent('alpha', (session) =>
        session.turn(async (turn) => {
          await borrow(turn, heard);
          await borrow(turn, heard);
          await turn.spawn(child, undefined);
          await borrow(turn, heard, hold.promise);
        }),
      )
      .start(undefined);
    await settle(clock);
    expect(new Set(heard.map((one) => one.id)).size).toBe(1);
    expect(broker.asked[0]!.ttlMs).toBe(600_000);
    expect(hers[0]!.id).not.toBe(heard[0]!.id);
    expect(hers[0]!.expiresAt).toBeLessThanOrEqual(heard[0]!.expiresAt);
    expect(broker.asked[1]).toMatchObject({ parent: { id: heard[0]!.id, ref: `ref-${heard[0]!.id}` } });
    // The child has ended, and so has its access.
    expect(broker.live).toEqual([heard[0]!.id]);
    hold.resolve();
    await outcome;
    await settle(clock);
    expect(broker.live).toEqual([]);
  });

  test('for a child is lent for no longer than its parent’s lives, however little that is (I4)', async () => {
    const { runtime, broker, clock } = await lending();
    const heard: Grant[] = [];
    const child = runtime.agent('child', (session) =>
      session.turn((turn) => borrow(turn, heard, Promise.resolve(), { ttlMs: 3_600_000 })),
    );
    runtime
      .agent('alpha', (session) =>
        session.turn(async (turn) => {
          await borrow(turn, heard, Promise.resolve(), { ttlMs: 9_000 });
          await turn.spawn(child, undefined);
        }),
      )
      .start(undefined);
    await settle(clock);
    expect(heard[1]!.expiresAt).toBe(heard[0]!.expiresAt);
    expect(broker.asked[1]).toMatchObject({ parent: { id: heard[0]!.id } });
  });

  test('is written down before the broker is asked, and never with its secret', async () => {
    const { runtime, store, broker, clock } = await lending();
    const states: string[] = [];
    broker.beforeIssue = async ({ id }) => {
      for (const { record } of await store.grants!.list()) states.push(`${record.id === id} ${record.state}`);
      return undefined;
    };
    const heard: Grant[] = [];
    const hold = deferred();
    runtime.agent('alpha', (session) => session.turn((turn) => borrow(turn, heard, hold.promise))).start(undefined);
    await settle(clock);
    expect(states).toEqual(['true issuing']);
    const kept = await store.grants!.list();
    expect(kept).toMatchObject([{ record: { state: 'active', ref: `ref-${heard[0]!.id}` }, isOwnerAlive: true }]);
    expect(JSON.stringify(kept)).not.toContain(heard[0]!.secret);
  });

  test('is lent anew near its end, and taken back when its time is over though the backend would take it for longer', async () => {
    const { runtime, broker, clock } = await lending({ lifetimeMs: () => 3_600_000 });
    const heard: Grant[] = [];
    const steps = [deferred(), deferred()];
    runtime
      .agent('alpha', (session) =>
        session.turn(async (turn) => {
          await borrow(turn, heard, steps[0]!.promise, { ttlMs: 100_000 });
          await borrow(turn, heard, steps[1]!.promise, { ttlMs: 100_000 });
        }),
      )
      .start(undefined);
    await settle(clock);
    await clock.advance(85_000);
    steps[0]!.resolve();
    await settle(clock);
    expect(heard[1]!.id).not.toBe(heard[0]!.id);
    expect(broker.live).toEqual([heard[0]!.id, heard[1]!.id]);
    await clock.advance(20_000);
    await settle(clock);
    expect(broker.live).toEqual([heard[1]!.id]);
  });

  test('is refused with a reason where the broker lends none, for too long, or is not known', async () => {
    const { runtime, broker, clock } = await lending();
    broker.beforeIssue = async () => ({ status: 'refused', why: 'no such scope' });
    const errors: unknown[] = [];
    runtime
      .agent('alpha', (session) =>
        session.turn((turn) =>
          turn.tool(
            'send',
            {},
            async (_, context) => {
              for (const [name, request] of [
                ['mail', {}],
                ['post', {}],
                ['mail', { ttlMs: 3_600_001 }],
              ] as const)
                await context.grant(name, request).catch((error) => errors.push(error));
              return null;
            },
            { effect: false },
          ),
        ),
      )
      .start(undefined);
    await settle(clock);
    expect(errors).toMatchObject([{ code: 'grant_failed' }, { code: 'invalid_option' }, { code: 'invalid_option' }]);
    expect(String(errors[0])).toContain('no such scope');
  });

  test.each([
    ['refuses, and does not say why', { status: 'refused' }, 'it gave no reason'],
    ['answers nothing', undefined, 'the broker gave an answer that is none'],
    ['answers what is none', { status: 'granted' }, 'the broker gave an answer that is none'],
    ['answers what is none, and at once', { status: 'granted' }, 'the broker gave an answer that is none'],
    ['lends what is no text', { status: 'issued', secret: 12345, expiresAt: Infinity }, 'the broker gave an answer that is none'],
    ['lends nothing', { status: 'issued', expiresAt: Infinity }, 'the broker gave an answer that is none'],
  ])('is refused as any other by a broker that %s, and nothing is left of it (I4, I13)', async (how, answer, why) => {
    const { runtime, broker, clock, store } = await lending();
    let failure: unknown;
    const child = runtime.agent('child', (session) => session.turn((turn) => borrow(turn, [])));
    runtime
      .agent('alpha', (session) =>
        session.turn(async (turn) => {
          await borrow(turn, []);
          broker.issue = (() => (how.endsWith('at once') ? answer : Promise.resolve(answer))) as never;
          await turn.spawn(child, undefined).catch((error) => {
            failure = error;
          });
          await new Promise(() => {});
        }),
      )
      .start(undefined);
    await settle(clock, 60_000);
    expect(String(failure)).toMatch(/grant_failed/);
    expect(String(failure)).toContain(why);
    expect((await store.grants!.list()).map(({ record }) => record.state)).not.toContain('issuing');
  });

  test('comes later where the store does not write it down at first: the call has not failed by that (I13)', async () => {
    const { runtime, store, broker, clock } = await lending();
    const { put } = store.grants!;
    store.grants!.put = () => Promise.reject(new Error('disk full'));
    const heard: Grant[] = [];
    const { outcome } = runtime.agent('alpha', (session) => session.turn((turn) => borrow(turn, heard))).start(undefined);
    await settle(clock, 2_000);
    expect([heard, broker.live]).toEqual([[], []]);
    store.grants!.put = put;
    await settle(clock, 2_000);
    expect(heard).toHaveLength(1);
    await expect(outcome).resolves.toMatchObject({ status: 'completed' });
  });

  test('is one record however often the store refuses it, tried ever more seldom, and the broker hears of that one alone (I13)', async () => {
    const made = await lending();
    const { runtime, store, broker, clock, alarms } = made;
    const { put } = store.grants!;
    const tried: string[] = [];
    // Written all the same: the answer is lost.
    store.grants!.put = async (record) => {
      tried.push(`${record.id} ${record.state}`);
      await put(record);
      throw new Error('connection lost');
    };
    const heard: Grant[] = [];
    const hold = deferred();
    runtime.agent('alpha', (session) => session.turn((turn) => borrow(turn, heard, hold.promise))).start(undefined);
    for (let second = 0; second < 120; second++) await settle(clock, 1_000);
    expect(new Set(tried).size).toBe(1);
    expect(tried.length).toBeLessThan(60);
    expect(alarms).toEqual([expect.stringContaining('a credential is not lent before it is written down')]);
    expect(broker.asked).toEqual([]);
    store.grants!.put = put;
    await settle(clock, 5_000);
    expect(broker.asked.map(({ id }) => `${id} issuing`)).toEqual([tried[0]]);
    const asked = clock.now() - 5_000;
    const kept = await store.grants!.list();
    expect(kept).toMatchObject([{ record: { id: heard[0]!.id, state: 'active' } }]);
    expect(kept[0]!.record.expiresAt).toBeGreaterThan(asked + 600_000);
  });

  test('that could not be written down is over when its session is stopped, or its call has ended: nobody is asked for it (S10, I1)', async () => {
    const made = await lending();
    const { runtime, store, broker, clock } = made;
    const { put } = store.grants!;
    store.grants!.put = () => Promise.reject(new Error('disk full'));
    const agent = runtime.agent('alpha', (session, waits: boolean) =>
      session.turn((turn) =>
        turn.tool(
          'send',
          {},
          async (_, context) => {
            const grant = context.grant('mail');
            if (waits) await grant;
            else void grant.catch(() => {});
            return null;
          },
          { effect: false },
        ),
      ),
    );
    const { id } = agent.start(true);
    const { outcome } = agent.start(false);
    await settle(clock, 1_000);
    await expect(outcome).resolves.toMatchObject({ status: 'completed' });
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock, 5_000);
    expect((await last(made)).stages.revoked).toBeDefined();
    store.grants!.put = put;
    await settle(clock, 5_000);
    expect((await store.grants!.list()).map(({ record }) => record.state)).toEqual(['not-issued', 'not-issued']);
    expect(broker.asked).toEqual([]);
  });

  test('is not to be had from a broker whose revocation takes others’ access with it (I7)', async () => {
    const broker = memoryBroker({ caps: { cascade: 'siblings-too' } });
    await expect(world({ brokers: { mail: broker } })).rejects.toMatchObject({ code: 'invalid_option' });
  });
});

describe('a broker that answers too late', () => {
  test('has what it issued taken back, though it had been revoked before it was there', async () => {
    const made = await lending();
    const { runtime, store, broker, clock } = made;
    const gate = deferred();
    broker.beforeIssue = async () => {
      await gate.promise;
      return undefined;
    };
    const errors: unknown[] = [];
    runtime
      .agent('alpha', (session) =>
        session.turn((turn) =>
          turn.tool('send', {}, (_, context) =>
            context.grant('mail').then(
              () => null,
              (error) => void errors.push(error),
            ),
          ),
        ),
      )
      .start(undefined);
    await settle(clock);
    await clock.advance(12_000);
    expect(errors).toMatchObject([{ code: 'grant_failed' }]);
    expect(await store.grants!.list()).toMatchObject([{ record: { state: 'revoking' } }]);
    expect(broker.revoked.length).toBeGreaterThan(0);
    gate.resolve();
    await settle(clock);
    expect(broker.live).toEqual([]);
    expect(await store.grants!.list()).toMatchObject([{ record: { state: 'revoked' } }]);
  });

  test('that can revoke nothing by its id is asked again as soon as it has answered', async () => {
    const made = await lending({ caps: { revokesById: false } });
    const { runtime, store, broker, clock, alarms } = made;
    const gate = deferred();
    broker.afterIssue = () => gate.promise;
    runtime.agent('alpha', (session) => session.turn((turn) => borrow(turn, []).catch(() => null))).start(undefined);
    await settle(clock);
    await clock.advance(12_000);
    expect(await store.grants!.list()).toMatchObject([{ record: { state: 'irrevocable' } }]);
    expect(alarms.join()).toContain('it is not known whether it was issued');
    gate.resolve();
    await settle(clock);
    expect(broker.live).toEqual([]);
    expect(await store.grants!.list()).toMatchObject([{ record: { state: 'revoked' } }]);
  });
});

describe('a credential whose issue was never answered', () => {
  const unheard = async (make: Parameters<typeof memoryBroker>[0], ttlMs: number): Promise<Lending> => {
    const made = await lending(make);
    made.broker.afterIssue = () => new Promise(() => {});
    made.runtime
      .agent('alpha', (session) => session.turn((turn) => borrow(turn, [], undefined, { ttlMs }).catch(() => null)))
      .start(undefined);
    await settle(made.clock);
    expect(made.broker.live).toHaveLength(1);
    return made;
  };
  const stateOf = async ({ store }: TestWorld): Promise<string> => (await store.grants!.list())[0]!.record.state;

  test('does not run out by a guess: its backend, down for longer than was asked for, is asked until it answers (I4)', async () => {
    const made = await unheard({ lifetimeMs: () => 8e15 }, 60_000);
    made.broker.beforeRevoke = () => Promise.reject(new Error('down'));
    await made.clock.advance(120_000);
    expect(await stateOf(made)).toBe('irrevocable');
    made.broker.beforeRevoke = undefined;
    await made.clock.advance(60_000);
    expect(made.broker.live).toEqual([]);
  });

  test('is taken back by the next process however much later that comes (I4)', async () => {
    const made = await unheard({ lifetimeMs: () => 8e15 }, 60_000);
    const clock = manualClock(made.clock.now() + 3_600_000);
    const next = await world({ store: made.store.reopen(), clock, brokers: { mail: made.broker } });
    await settle(clock);
    expect(made.broker.live).toEqual([]);
    // What was on its way is waited for from when it was found: nobody knows how the clock stood of who asked.
    await settle(clock, 10_000);
    expect(await stateOf(next)).toBe('revoked');
  });

  test('is taken back when the answer comes after the time that was asked for (I4)', async () => {
    const made = await lending({ lifetimeMs: () => 3_600_000 });
    const late = deferred();
    made.broker.beforeIssue = () => late.promise.then(() => undefined);
    made.runtime
      .agent('alpha', (session) => session.turn((turn) => borrow(turn, [], undefined, { ttlMs: 30_000 }).catch(() => null)))
      .start(undefined);
    await settle(made.clock);
    await made.clock.advance(60_000);
    late.resolve();
    await settle(made.clock);
    expect(made.broker.live).toEqual([]);
    expect(await stateOf(made)).toBe('revoked');
  });

  test('is stated for as long as its backend may give, and without an end where nobody knows that (I4)', async () => {
    for (const [maxLifetimeMs, leastMs] of [
      [900_000, 899_000],
      [undefined, 8e15],
    ] as const) {
      const bound = maxLifetimeMs === undefined ? {} : { maxLifetimeMs };
      const made = await unheard({ lifetimeMs: () => 900_000, caps: { revokesById: false, ...bound } }, 60_000);
      const { store } = await made.restart({ brokers: { mail: made.broker } });
      await made.clock.advance(600_000);
      const [kept] = await store.grants!.list();
      expect(made.broker.live).toHaveLength(1);
      expect(kept!.record.state).toBe('irrevocable');
      expect(kept!.record.expiresAt - made.clock.now()).toBeGreaterThan(leastMs - 600_000 - made.clock.now());
      expect(kept!.record.expiresAt).toBeLessThan(
        maxLifetimeMs === undefined ? Number.POSITIVE_INFINITY : made.clock.now() + 320_000,
      );
    }
  });

  test('was not issued where the broker says so after all', async () => {
    const made = await lending({ caps: { revokesById: false } });
    const late = deferred();
    made.broker.beforeIssue = () => late.promise.then(() => ({ status: 'refused', why: 'no such scope' }));
    made.runtime.agent('alpha', (session) => session.turn((turn) => borrow(turn, []).catch(() => null))).start(undefined);
    await settle(made.clock);
    await made.clock.advance(12_000);
    expect(await stateOf(made)).toBe('irrevocable');
    late.resolve();
    await settle(made.clock);
    expect(await stateOf(made)).toBe('not-issued');
  });
});

describe('a credential that is of no use when it comes', () => {
  test.each([
    ['with an end that is over', (now: number) => now - 1],
    ['with an end that is no number', () => Number.NaN],
  ])('%s is taken back, and no other is asked for (I4)', async (_, endOf) => {
    const { runtime, store, broker, clock } = await lending();
    // A bound, so that without the check the test ends.
    broker.beforeIssue = async ({ id }) =>
      broker.asked.length > 50
        ? { status: 'refused', why: 'enough' }
        : { status: 'issued', secret: id, expiresAt: endOf(clock.now()) };
    const errors: unknown[] = [];
    runtime
      .agent('alpha', (session) => session.turn((turn) => borrow(turn, []).catch((error) => void errors.push(error))))
      .start(undefined);
    await settle(clock);
    expect(errors).toMatchObject([{ code: 'grant_failed', message: expect.stringContaining('is no moment to come') }]);
    expect([broker.asked.length, broker.revoked]).toEqual([1, [broker.asked[0]!.id]]);
    expect(await store.grants!.list()).toMatchObject([{ record: { state: 'revoked' } }]);
  });

  test('after all the time that was asked for is taken back, and no other is asked for', async () => {
    const { runtime, broker, clock } = await lending();
    broker.afterIssue = () => new Promise((resolve) => void clock.setTimeout(resolve, 20));
    const errors: unknown[] = [];
    runtime
      .agent('alpha', (session) =>
        session.turn((turn) => borrow(turn, [], undefined, { ttlMs: 10 }).catch((error) => void errors.push(error))),
      )
      .start(undefined);
    await settle(clock, 1_000);
    expect(errors).toMatchObject([{ code: 'grant_failed', message: expect.stringContaining('longer to come than the 10 ms') }]);
    expect([broker.asked.length, broker.revoked.length]).toEqual([1, 1]);
  });

  test('is asked for anew where a clock was set meanwhile: it did not take that long, and its call has not failed', async () => {
    const made = await lending();
    const answer = deferred();
    made.broker.beforeIssue = () => answer.promise.then(() => undefined);
    const heard: Grant[] = [];
    made.runtime.agent('alpha', (session) => session.turn((turn) => borrow(turn, heard, new Promise(() => {})))).start(undefined);
    await settle(made.clock);
    made.clock.jump(3_600_000);
    answer.resolve();
    await settle(made.clock);
    expect(heard).toHaveLength(1);
    expect(made.broker.live).toEqual([heard[0]!.id]);
    expect(made.broker.asked).toHaveLength(2);
  });

  test('is asked for once, whatever little is left of its time', async () => {
    for (let ttlMs = 1; ttlMs <= 40; ttlMs++) {
      const base = manualClock();
      let looks = 0;
      // Every look at it takes a millisecond, so one of these ends between being lent and being handed out.
      const clock = { ...base, now: () => base.now() + looks++ };
      const broker = memoryBroker({ now: clock.now, lifetimeMs: () => 3_600_000 });
      const { runtime } = await world({ clock, brokers: { mail: broker } });
      broker.beforeIssue = async () => (broker.asked.length > 50 ? { status: 'refused', why: 'enough' } : undefined);
      const { outcome } = runtime
        .agent('alpha', (session) => session.turn((turn) => borrow(turn, [], undefined, { ttlMs }).catch(() => null)))
        .start(undefined);
      await outcome;
      expect([ttlMs, broker.asked.length]).toEqual([ttlMs, 1]);
      await runtime.close();
    }
  });
});

describe('a clock that is wrong', () => {
  const ahead = async (hours: number): Promise<Lending & { readonly heard: Grant[]; readonly id: string; skewMs: number }> => {
    const base = manualClock();
    const at = { skewMs: 0 };
    const clock = { ...base, now: () => base.now() + at.skewMs };
    const broker = memoryBroker({ now: base.now, lifetimeMs: () => hours * 3_600_000 });
    const made = await world({ clock, brokers: { mail: broker } });
    const heard: Grant[] = [];
    const { id } = made.runtime
      .agent('alpha', (session) => session.turn((turn) => borrow(turn, heard, new Promise(() => {}), { ttlMs: 3_600_000 })))
      .start(undefined);
    await settle(base);
    return Object.assign(at, { ...made, clock: base, broker, alarms: [], stages: [], heard, id });
  };

  test('lets no credential run out that its backend still takes: that is asked for (I4)', async () => {
    const made = await ahead(3);
    made.skewMs = 4 * 3_600_000;
    await made.clock.advance(3_700_000);
    made.skewMs = 0;
    await made.runtime.stop({ session: made.id, reason: 'r', by: 'ann' });
    await settle(made.clock, 20_000);
    expect(made.broker.works(made.heard[0]!.secret)).toBe(false);
    expect((await last(made)).grants).toMatchObject([{ state: 'revoked' }]);
  });

  test('ends no residual time that was stated (I4)', async () => {
    const made = await ahead(1);
    made.broker.beforeRevoke = async () => ({ state: 'irrevocable', why: 'it cannot' });
    await made.runtime.stop({ session: made.id, reason: 'r', by: 'ann' });
    await settle(made.clock, 20_000);
    made.skewMs = 4 * 3_600_000;
    await made.clock.advance(3_500_000);
    expect((await made.store.grants!.list())[0]!.record.state).toBe('irrevocable');
    await made.clock.advance(110_000);
    expect((await made.store.grants!.list())[0]!.record.state).toBe('expired');
  });
});

describe('a backend whose credentials never run out by themselves', () => {
  test('has them taken back when their time is over, and is tried on for as long as it takes', async () => {
    const made = await lending({ lifetimeMs: () => Number.POSITIVE_INFINITY });
    const { runtime, store, broker, clock } = made;
    const heard: Grant[] = [];
    const { id } = runtime
      .agent('alpha', (session) => session.turn((turn) => borrow(turn, heard, new Promise(() => {}))))
      .start(undefined);
    await settle(clock);
    expect(heard[0]!.expiresAt - clock.now()).toBeLessThanOrEqual(600_000);
    broker.beforeRevoke = async () => ({ state: 'pending', why: 'down' });
    await clock.advance(700_000);
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock);
    expect((await last(made)).residue.join()).toContain('may work until it is removed by hand: down');
    await clock.advance(2_000_000);
    broker.beforeRevoke = undefined;
    await clock.advance(60_000);
    expect(broker.live).toEqual([]);
    expect(await store.grants!.list()).toMatchObject([{ record: { state: 'revoked' } }]);
  });
});

describe('a terminate', () => {
  test('takes credentials back at once, in the middle of the call, and says so when the backend confirmed it (I4)', async () => {
    const made = await lending();
    const { runtime, broker, clock } = made;
    const heard: Grant[] = [];
    const { id } = runtime
      .agent('alpha', (session) =>
        session.turn((turn) =>
          turn.tool('send', {}, async (_, context) => {
            heard.push(await context.grant('mail'));
            await new Promise(() => {});
          }),
        ),
      )
      .start(undefined);
    await settle(clock);
    expect(broker.works(heard[0]!.secret)).toBe(true);
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock);
    // The effect in flight has its deadline; its credential has none.
    expect(runtime.session(id)?.state).toBe('stopping');
    expect(broker.works(heard[0]!.secret)).toBe(false);
    await settle(clock, 20_000);
    const receipt = await last(made);
    expect(receipt.grants).toMatchObject([
      { id: heard[0]!.id, session: id, broker: 'mail', state: 'revoked', evidence: 'it is out of the map; verified: inactive' },
    ]);
    expect(receipt.stages.revoked).toBeDefined();
  });

  test('lends nothing more, and hands out nothing that was under way: what comes is taken back (I1, I4)', async () => {
    const made = await lending();
    const { runtime, broker, clock } = made;
    const gate = deferred();
    broker.afterIssue = () => gate.promise;
    const seen: string[] = [];
    const { id } = runtime
      .agent('alpha', (session) =>
        session.turn((turn) =>
          turn.tool('send', {}, async (_, context) => {
            await context.grant('mail').then(
              () => seen.push('got it'),
              () => seen.push('refused'),
            );
          }),
        ),
      )
      .start(undefined);
    await settle(clock);
    expect(broker.live).toHaveLength(1);
    const stopped = runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock);
    expect((await stopped).stages.revoked).toBeUndefined();
    gate.resolve();
    await settle(clock);
    // At once, and not when the session has ended.
    expect(runtime.session(id)?.state).toBe('stopping');
    expect([broker.live, seen]).toEqual([[], []]);
    await settle(clock, 20_000);
    expect((await last(made)).grants).toMatchObject([{ state: 'revoked' }]);
    expect((await last(made)).stages.revoked).toBeDefined();
  });

  test('asks the broker for nothing when the stop came while the record was being written (I1)', async () => {
    const { runtime, store, broker, clock } = await lending();
    const gate = deferred();
    const { put } = store.grants!;
    store.grants!.put = async (record) => {
      await gate.promise;
      await put(record);
    };
    const { id } = runtime
      .agent('alpha', (session) =>
        session.turn((turn) => turn.tool('send', {}, (_, context) => context.grant('mail').then(() => null))),
      )
      .start(undefined);
    await settle(clock);
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    gate.resolve();
    await settle(clock);
    expect(broker.asked).toEqual([]);
    expect(await store.grants!.list()).toMatchObject([{ record: { state: 'not-issued' } }]);
  });

  test('of a sub-agent leaves the credentials of its parent and siblings alone (I7)', async () => {
    const { runtime, broker, clock } = await lending();
    const heard: Grant[] = [];
    const child = runtime.agent('child', (session, _: number) =>
      session.turn((turn) => borrow(turn, heard, new Promise(() => {}))),
    );
    runtime
      .agent('alpha', (session) =>
        session.turn(async (turn) => {
          await borrow(turn, heard);
          await Promise.all([turn.spawn(child, 1), turn.spawn(child, 2)]);
        }),
      )
      .start(undefined);
    await settle(clock);
    expect(broker.live).toHaveLength(3);
    const sub = runtime.sessions().find((one) => one.agent === 'child')!;
    await runtime.stop({ session: sub.id, reason: 'r', by: 'ann' });
    await settle(clock);
    expect(broker.live).toHaveLength(2);
    expect(broker.revoked).toHaveLength(1);
  });

  test('takes a branch in one step where the broker can, and the branch alone', async () => {
    const { runtime, broker, clock } = await lending({ caps: { cascade: 'children' } });
    const heard: Grant[] = [];
    const leaf = runtime.agent('leaf', (session) => session.turn((turn) => borrow(turn, heard, new Promise(() => {}))));
    const { id } = runtime
      .agent('alpha', (session) =>
        session.turn(async (turn) => {
          await borrow(turn, heard);
          await Promise.all([turn.spawn(leaf, undefined), turn.spawn(leaf, undefined)]);
        }),
      )
      .start(undefined);
    runtime.agent('beta', (session) => session.turn((turn) => borrow(turn, heard, new Promise(() => {})))).start(undefined);
    await settle(clock);
    expect(broker.live).toHaveLength(4);
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock);
    expect(broker.live).toHaveLength(1);
    expect(broker.revoked).toEqual([]);
  });
});

describe('a revocation that fails', () => {
  test('of a whole branch is made up for one by one', async () => {
    const { runtime, broker, clock } = await lending({ caps: { cascade: 'children' } });
    const heard: Grant[] = [];
    const leaf = runtime.agent('leaf', (session) => session.turn((turn) => borrow(turn, heard, new Promise(() => {}))));
    const { id } = runtime
      .agent('alpha', (session) =>
        session.turn(async (turn) => {
          await borrow(turn, heard);
          await turn.spawn(leaf, undefined);
        }),
      )
      .start(undefined);
    await settle(clock);
    broker.revokeSubtree = async () => ({ state: 'pending', why: 'too many' });
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock);
    expect(broker.live).toEqual([]);
    expect([...broker.revoked].sort()).toEqual(heard.map((one) => one.id).sort());
  });

  const stoppedWhileDown = async (caps = {}): Promise<Lending & { readonly session: string; readonly grant: Grant }> => {
    const made = await lending({ caps });
    const { runtime, broker, clock } = made;
    const heard: Grant[] = [];
    const { id } = runtime
      .agent('alpha', (session) => session.turn((turn) => borrow(turn, heard, new Promise(() => {}))))
      .start(undefined);
    await settle(clock);
    broker.beforeRevoke = async () => ({ state: 'pending', why: '503' });
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock);
    return { ...made, session: id, grant: heard[0]! };
  };

  test('is tried again until it is confirmed, and the stage waits for it (S10)', async () => {
    const made = await stoppedWhileDown();
    const { broker, clock, grant } = made;
    await clock.advance(5_000);
    expect(broker.revoked.length).toBeGreaterThan(3);
    expect(made.stages).not.toContain('revoked');
    let receipt = await last(made);
    expect([receipt.stages.revoked, receipt.stages.done]).toEqual([undefined, undefined]);
    expect(receipt.grants).toMatchObject([{ state: 'revoking', evidence: '503', residualMs: expect.any(Number) }]);
    broker.beforeRevoke = undefined;
    await clock.advance(30_000);
    receipt = await last(made);
    expect(receipt.grants).toMatchObject([{ id: grant.id, state: 'revoked' }]);
    expect(receipt.grants[0]!.residualMs).toBeUndefined();
    expect(receipt.stages.done).toBeDefined();
    expect(receipt.residue).toEqual([]);
  });

  test('is called irrevocable after a minute, alarmed, with its residual lifetime; tried on; and over when it ran out (I4)', async () => {
    const made = await stoppedWhileDown();
    const { broker, clock, alarms, grant } = made;
    await clock.advance(100_000);
    let receipt = await last(made);
    expect(receipt.grants).toMatchObject([{ state: 'irrevocable', evidence: '503' }]);
    expect(receipt.grants[0]!.at + receipt.grants[0]!.residualMs!).toBe(grant.expiresAt);
    expect(receipt.stages.revoked).toBeDefined();
    expect(receipt.residue.join()).toContain(`${grant.id} of ${made.session} at mail (irrevocable) may work until`);
    expect(alarms.join()).toContain('could not be revoked and lives for up to');
    const before = broker.revoked.length;
    await clock.advance(100_000);
    expect(broker.revoked.length).toBeGreaterThan(before);
    await clock.advance(600_000);
    receipt = await last(made);
    expect(receipt.grants).toMatchObject([{ state: 'expired' }]);
    expect(receipt.residue).toEqual([]);
    const over = broker.revoked.length;
    await clock.advance(100_000);
    expect(broker.revoked.length).toBe(over);
  });

  test('is not believed where the backend still takes the credential', async () => {
    const made = await lending();
    const { runtime, broker, clock } = made;
    const { id } = runtime
      .agent('alpha', (session) => session.turn((turn) => borrow(turn, [], new Promise(() => {}))))
      .start(undefined);
    await settle(clock);
    broker.beforeRevoke = async () => ({ state: 'revoked', residualMs: 0, evidence: '200' });
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock);
    expect((await last(made)).grants).toMatchObject([
      { state: 'revoking', evidence: 'it was revoked, and still counts as active' },
    ]);
    broker.beforeRevoke = undefined;
    await clock.advance(5_000);
    expect((await last(made)).grants).toMatchObject([{ state: 'revoked' }]);
  });

  test('is not believed either where something may outlive it, until that is over (I4)', async () => {
    const made = await lending({ caps: { maxResidualMs: 5_000 } });
    const { runtime, broker, clock } = made;
    const { id } = runtime
      .agent('alpha', (session) => session.turn((turn) => borrow(turn, [], new Promise(() => {}))))
      .start(undefined);
    await settle(clock);
    // It answered 200 and did nothing.
    broker.beforeRevoke = async () => ({ state: 'revoked', residualMs: 5_000 });
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock, 1_000);
    expect(broker.revoked).toHaveLength(1);
    await clock.advance(10_000);
    expect(broker.revoked.length).toBeGreaterThan(1);
    expect((await last(made)).stages.revoked).toBeUndefined();
    broker.beforeRevoke = undefined;
    await clock.advance(10_000);
    expect((await last(made)).grants).toMatchObject([{ state: 'revoked' }]);
  });

  test('whose broker knows no end of what may still work says so, and not that nothing does (I4)', async () => {
    const made = await lending({ caps: { canVerify: false } });
    const { runtime, broker, clock } = made;
    const heard: Grant[] = [];
    const { id } = runtime
      .agent('alpha', (session) => session.turn((turn) => borrow(turn, heard, new Promise(() => {}))))
      .start(undefined);
    await settle(clock);
    broker.beforeRevoke = async () => ({ state: 'revoked', residualMs: Number.POSITIVE_INFINITY });
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock);
    const [grant] = (await last(made)).grants;
    expect(grant!.at + grant!.residualMs!).toBe(heard[0]!.expiresAt);
  });

  test('by a broker that hangs or throws holds up neither the others nor the stop’s other stages (I13)', async () => {
    const made = await lending();
    const { runtime, broker, clock } = made;
    const heard: Grant[] = [];
    const child = runtime.agent('child', (session, _: number) =>
      session.turn((turn) => borrow(turn, heard, new Promise(() => {}))),
    );
    const { id } = runtime
      .agent('alpha', (session) => session.turn((turn) => Promise.all([1, 2, 3].map((n) => turn.spawn(child, n)))))
      .start(undefined);
    await settle(clock);
    const [hangs, throws, works] = heard.map((one) => one.id);
    broker.beforeRevoke = (one) => {
      if (one === throws) throw new Error('a bug');
      return one === hangs ? new Promise(() => {}) : Promise.resolve(undefined);
    };
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock);
    expect(broker.live).not.toContain(works);
    const receipt = await last(made);
    expect(receipt.stages).toMatchObject({ fenced: expect.any(Number), drained: expect.any(Number) });
    expect(receipt.grants.find((one) => one.id === throws)).toMatchObject({ state: 'revoking', evidence: 'Error: a bug' });
  });

  test.each([
    ['nothing', undefined],
    ['what is none', { state: 'gone' }],
  ])('by a broker that answers %s is tried again, and takes nothing down (I13)', async (_, answer) => {
    const { runtime, broker, clock } = await lending();
    const { id } = runtime
      .agent('alpha', (session) => session.turn((turn) => borrow(turn, [], new Promise(() => {}))))
      .start(undefined);
    await settle(clock);
    const { revoke } = broker;
    broker.revoke = async () => answer as never;
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock, 1_000);
    expect((await last({ runtime } as TestWorld)).grants).toMatchObject([{ state: 'revoking' }]);
    broker.revoke = revoke;
    await settle(clock, 60_000);
    expect(broker.live).toEqual([]);
    expect((await last({ runtime } as TestWorld)).stages.done).toBeDefined();
  });

  test.each([
    ['pending, and not why', { state: 'pending' }],
    ['pending, and an error for why', { state: 'pending', why: new Error('503') }],
    ['revoked, and for how it knows what is no text', { state: 'revoked', residualMs: 0, evidence: { status: 200 } }],
    ['irrevocable, and not why', { state: 'irrevocable' }],
    ['pending, and when to ask again in no number', { state: 'pending', why: '503', retryAfterMs: 1_000n }],
    ['revoked, and what may outlive it in no number', { state: 'revoked', residualMs: Symbol('none') }],
  ])(
    'by a broker that says %s does not take the process down: it is asked on until nothing lives (I4, I13)',
    async (_, answer) => {
      const made = await lending({ caps: { canVerify: false } });
      const { runtime, broker, clock } = made;
      const { id } = runtime
        .agent('alpha', (session) => session.turn((turn) => borrow(turn, [], new Promise(() => {}))))
        .start(undefined);
      await settle(clock);
      const { revoke } = broker;
      let asked = 0;
      broker.revoke = async (...of) => (asked++ === 0 ? (answer as never) : revoke(...of));
      await runtime.stop({ session: id, reason: 'r', by: 'ann' });
      for (let i = 0; i < 20; i++) await settle(clock, 60_000);
      expect((await last(made)).grants).toMatchObject([{ evidence: expect.any(String) }]);
      expect(broker.live).toEqual([]);
      expect((await last(made)).stages.revoked).toBeDefined();
    },
  );

  test('by what fails also where its failure is told takes nothing down, and is tried again (I13)', async () => {
    const clock = manualClock();
    const due: number[] = [];
    const told = { clock, onAlarm: () => {}, onDue: (at: number) => void due.push(at) };
    const ledger = new Ledger({ ...told, store: undefined, onChange: () => {} });
    const random = (): number => {
      throw new Error('a bug');
    };
    const broker = memoryBroker({ now: clock.now });
    broker.revoke = async () => ({ state: 'pending', why: '503' });
    const record = { id: 'g-1', session: 's-1', path: ['s-1'], broker: 'mail', audience: '', scope: [], process: 'p-1' };
    const lents = ['g-1', 'g-2'].map((id) => newLent({ ...record, id, state: 'active', at: 0, expiresAt: 600_000 }, broker, id));
    for (const lent of lents) ledger.add(lent);
    const revoker = new Revoker({ ...told, ledger, random });
    revoker.take(lents);
    await settle(clock);
    expect(lents).toMatchObject([{ isTrying: false }, { isTrying: false }]);
    expect(due).toEqual(lents.map((lent) => lent.dueAt));
    await revoker.close();
  });

  test('of a secret that is no text is tried again, and its backend is quoted without it (I4, I13)', async () => {
    const made = await lending({ caps: { canVerify: false } });
    const { runtime, broker, clock } = made;
    const { issue, revoke } = broker;
    broker.issue = async (request) => ({ ...(await issue(request)), secret: 12345 }) as never;
    const asked: (string | undefined)[] = [];
    broker.revoke = async (...of) => {
      asked.push((await last(made)).grants[0]?.evidence);
      return asked.length === 1 ? { state: 'pending', why: 'cannot revoke 12345' } : revoke(...of);
    };
    const { id } = runtime
      .agent('alpha', (session) =>
        session.turn(async (turn) => {
          await borrow(turn, []).catch(() => null);
          await new Promise(() => {});
        }),
      )
      .start(undefined);
    await settle(clock);
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    for (let i = 0; i < 20; i++) await settle(clock, 60_000);
    expect(asked.length).toBeGreaterThan(1);
    expect(asked.join()).not.toContain('12345');
    expect(broker.live).toEqual([]);
    expect((await last(made)).stages.revoked).toBeDefined();
  });

  test('is not said to be verified by a broker that says what is no answer (I4)', async () => {
    const { runtime, broker, clock } = await lending();
    const { id } = runtime
      .agent('alpha', (session) => session.turn((turn) => borrow(turn, [], new Promise(() => {}))))
      .start(undefined);
    await settle(clock);
    broker.verify = async () => undefined as never;
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock, 1_000);
    expect((await last({ runtime } as TestWorld)).grants).toMatchObject([
      { state: 'revoked', evidence: expect.stringContaining('not verified') },
    ]);
  });

  test('by a store that fails is tried all the same, and written down when it can be (I13)', async () => {
    const made = await lending();
    const { runtime, store, broker, clock } = made;
    const { id } = runtime
      .agent('alpha', (session) => session.turn((turn) => borrow(turn, [], new Promise(() => {}))))
      .start(undefined);
    await settle(clock);
    const { put } = store.grants!;
    store.grants!.put = () => Promise.reject(new Error('disk full'));
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock);
    expect(broker.live).toEqual([]);
    store.grants!.put = put;
    await clock.advance(3_000);
    expect(await store.grants!.list()).toMatchObject([{ record: { state: 'revoked' } }]);
  });
});

describe('a pause', () => {
  const paused = async (whilePaused: 'revoke' | 'keep'): Promise<Lending & { readonly heard: Grant[] }> => {
    const made = await lending({ whilePaused }, { parkAfterMs: 1_000_000 });
    const { runtime, clock } = made;
    const heard: Grant[] = [];
    const first = deferred();
    runtime
      .agent('alpha', async (session) => {
        await session.turn((turn) => borrow(turn, heard, first.promise));
        await session.turn((turn) => borrow(turn, heard, new Promise(() => {})));
      })
      .start(undefined, { userId: 'u-1' });
    await settle(clock);
    made.source.engage('killswitch.user', 'u-1');
    await settle(clock);
    // The turn in progress may finish, with its credential.
    expect(made.broker.live).toHaveLength(1);
    expect((await last(made)).stages.revoked).toBeUndefined();
    first.resolve();
    await settle(clock);
    return { ...made, heard };
  };

  test('takes credentials back once the session is at rest, and lends them anew when it goes on (I14)', async () => {
    const made = await paused('revoke');
    const { broker, clock, source, heard } = made;
    expect(broker.live).toEqual([]);
    expect((await last(made)).stages.revoked).toBeDefined();
    source.release('killswitch.user', 'u-1');
    await settle(clock);
    expect(heard).toHaveLength(2);
    expect(broker.live).toEqual([heard[1]!.id]);
  });

  test('keeps them where the broker says so, and states how long they live', async () => {
    const made = await paused('keep');
    const { broker, heard } = made;
    expect(broker.live).toEqual([heard[0]!.id]);
    const receipt = await last(made);
    expect(receipt.stages.revoked).toBeDefined();
    expect(receipt.residue.join()).toContain(`${heard[0]!.id} of`);
  });
});

describe('what a process that died had lent', () => {
  const crashed = async (broker: MemoryBroker, made: Lending): Promise<TestWorld> => {
    const next = await made.restart({ brokers: { mail: broker } });
    await settle(made.clock);
    return next;
  };

  test('is taken back by the next one, whatever becomes of its sessions', async () => {
    const made = await lending();
    const { runtime, broker, clock } = made;
    runtime.agent('alpha', (session) => session.turn((turn) => borrow(turn, [], new Promise(() => {})))).start(undefined);
    await settle(clock);
    expect(broker.live).toHaveLength(1);
    const { store } = await crashed(broker, made);
    expect(broker.live).toEqual([]);
    expect(await store.grants!.list()).toMatchObject([{ record: { state: 'revoked' } }]);
  });

  test('is left alone while that process lives', async () => {
    const made = await lending();
    const { runtime, broker, clock } = made;
    runtime.agent('alpha', (session) => session.turn((turn) => borrow(turn, [], new Promise(() => {})))).start(undefined);
    await settle(clock);
    await world({ store: made.store.share(), clock, source: made.source, brokers: { mail: broker } });
    await settle(clock);
    expect(broker.live).toHaveLength(1);
  });

  test('is taken back by its id where the answer of the broker was never heard', async () => {
    const made = await lending();
    const { runtime, broker, clock } = made;
    broker.afterIssue = () => new Promise(() => {});
    runtime.agent('alpha', (session) => session.turn((turn) => borrow(turn, []))).start(undefined);
    await settle(clock);
    expect(broker.live).toHaveLength(1);
    const { store } = await crashed(broker, made);
    expect(broker.live).toEqual([]);
    // It may have been on its way: it is revoked once more when it cannot be any longer.
    expect(await store.grants!.list()).toMatchObject([{ record: { state: 'revoking' } }]);
    await clock.advance(20_000);
    expect(await store.grants!.list()).toMatchObject([{ record: { state: 'revoked' } }]);
  });

  test('is stated as alive until it runs out where the broker revokes nothing by its id (I4)', async () => {
    const made = await lending({ caps: { revokesById: false, maxLifetimeMs: 600_000 } });
    const { runtime, broker, clock } = made;
    broker.afterIssue = () => new Promise(() => {});
    const { id } = runtime.agent('alpha', (session) => session.turn((turn) => borrow(turn, []))).start(undefined);
    await settle(clock);
    const next = await crashed(broker, made);
    expect(await next.store.grants!.list()).toMatchObject([{ record: { state: 'irrevocable' } }]);
    await next.runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock);
    const receipt = await last(next);
    expect(receipt.stages.revoked).toBeDefined();
    expect(receipt.grants).toMatchObject([{ session: id, state: 'irrevocable', residualMs: expect.any(Number) }]);
    expect(broker.revoked).toEqual([]);
    await clock.advance(700_000);
    expect(await next.store.grants!.list()).toMatchObject([{ record: { state: 'expired' } }]);
  });

  test('waits for a process that has its broker, and is told of until then (S10)', async () => {
    const made = await lending();
    const { runtime, broker, clock } = made;
    const { id } = runtime
      .agent('alpha', (session) => session.turn((turn) => borrow(turn, [], new Promise(() => {}))))
      .start(undefined);
    await settle(clock);
    const without = await made.restart({ brokers: {} });
    await without.runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock);
    expect((await last(without)).grants).toMatchObject([{ session: id, state: 'active' }]);
    expect((await last(without)).residue.join()).toContain('at mail (active) may work until');
    expect(await without.store.grants!.list()).toMatchObject([{ record: { state: 'active' }, isOwnerAlive: false }]);
    expect(broker.live).toHaveLength(1);
    expect((await last(without)).stages).not.toHaveProperty('revoked');
    const withIt = await without.restart({ brokers: { mail: broker } });
    await settle(clock, 5_000);
    expect(broker.live).toEqual([]);
    expect(await last(withIt)).toMatchObject({ stages: { done: expect.any(Number) }, grants: [{ state: 'revoked' }] });
  });

  test('goes on being taken back where the dead one had begun, and ends in the receipt of its stop (S10)', async () => {
    const made = await lending();
    const { broker, clock } = made;
    const id = await stopping(made);
    const next = await made.restart({ brokers: { mail: broker } });
    broker.beforeRevoke = undefined;
    await settle(clock, 10_000);
    expect(broker.live).toEqual([]);
    expect((await last(next)).grants).toMatchObject([{ session: id, state: 'revoked' }]);
    expect((await last(next)).stages.done).toBeDefined();
  });
});

describe('a revocation that is not told of, or not done', () => {
  test('is told of by others, though by their clocks it was done long before they found who had done it dead (S10)', async () => {
    const made = await lending();
    const { clock, source, broker } = made;
    const other = await world({ store: made.store.share(), clock, source, brokers: { mail: broker } });
    await stopping(made);
    made.store.writeReceipt = () => new Promise(() => {});
    made.broker.beforeRevoke = undefined;
    await settle(made.clock, 5_000);
    expect(await made.store.grants!.list()).toMatchObject([{ record: { state: 'revoked' } }]);
    clock.jump(86_400_000);
    made.store.reopen();
    await settle(clock, 5_000);
    expect(await last(other)).toMatchObject({ stages: { done: expect.any(Number) }, grants: [{ state: 'revoked' }] });
  });

  test('is tried again as soon as ever where a clock was ahead meanwhile, and is put right (I4)', async () => {
    const made = await lending();
    const { broker, clock } = made;
    await stopping(made);
    clock.jump(3_600_000);
    await settle(clock, 60_000);
    clock.jump(-3_600_000);
    broker.beforeRevoke = undefined;
    await settle(clock, 60_000);
    expect(broker.live).toEqual([]);
  });
});

describe('a process that others may count as gone', () => {
  test('is lent nothing, keeps nothing that comes meanwhile, and goes on when it is back (I1, I4)', async () => {
    const { runtime, store, broker, clock } = await lending();
    let isCutOff = false;
    store.lineage.isCutOff = () => isCutOff;
    const gate = deferred();
    broker.afterIssue = () => gate.promise;
    const heard: Grant[] = [];
    runtime.agent('alpha', (session) => session.turn((turn) => borrow(turn, heard, new Promise(() => {})))).start(undefined);
    await settle(clock);
    isCutOff = true;
    gate.resolve();
    await settle(clock);
    expect([heard, broker.live]).toEqual([[], []]);
    await runtime.refresh();
    await settle(clock);
    expect([heard.length, broker.asked.length]).toEqual([0, 1]);
    isCutOff = false;
    await runtime.refresh();
    await settle(clock);
    expect([heard.length, broker.asked.length]).toEqual([1, 2]);
    expect(broker.live).toEqual([heard[0]!.id]);
  });

  test('is lent another one where others have taken back what it had (I14)', async () => {
    const { store, tell } = tellingStore();
    const { runtime, broker, clock } = await lending({}, { store });
    const heard: Grant[] = [];
    const again = deferred();
    runtime.agent('alpha', (session) => session.turn((turn) => borrowTwice(turn, heard, again.promise))).start(undefined);
    await settle(clock);
    const other = store.share().grants!;
    const [{ record }] = (await other.list()) as [KeptGrant];
    await other.put({ ...record, state: 'revoked', at: clock.now() });
    tell({ health: { state: 'ok' } });
    await settle(clock);
    again.resolve();
    await settle(clock);
    expect(heard).toHaveLength(2);
    expect(heard[1]!.id).not.toBe(heard[0]!.id);
    expect(broker.live).toEqual([heard[1]!.id]);
  });

  test('waits where its store has failed, also with what it has already', async () => {
    const { runtime, store, broker, clock } = await lending();
    const heard: Grant[] = [];
    const second = deferred();
    runtime.agent('alpha', (session) => session.turn((turn) => borrowTwice(turn, heard, second.promise))).start(undefined);
    await settle(clock);
    const health = { state: 'failed' as 'failed' | 'ok', why: 'the disk' };
    Object.defineProperty(store, 'health', { get: () => health });
    second.resolve();
    await settle(clock);
    expect(heard).toHaveLength(1);
    health.state = 'ok';
    await runtime.refresh();
    await settle(clock);
    expect(heard.map(({ id }) => id)).toEqual([heard[0]!.id, heard[0]!.id]);
    expect(broker.asked).toHaveLength(1);
  });
});

describe('an adapter of a framework', () => {
  test('asks in the name of the call whose body runs', async () => {
    const { runtime, broker, clock } = await lending();
    const { id } = runtime
      .agent('alpha', (session) =>
        session.turn((turn) => turn.tool('send', {}, async () => void (await currentCall()!.grant('mail')), { effect: false })),
      )
      .start(undefined);
    await settle(clock);
    expect(broker.asked.map(({ path }) => path)).toEqual([[id]]);
  });
});

describe('a runtime that closes', () => {
  test('takes back what a parked session was let keep', async () => {
    const { runtime, source, broker, clock } = await lending({ whilePaused: 'keep' }, { parkAfterMs: 10 });
    const first = deferred();
    runtime
      .agent('alpha', async (session) => {
        await session.turn((turn) => borrow(turn, [], first.promise));
        await session.turn(async () => null);
      })
      .start(undefined);
    await settle(clock);
    source.engage('killswitch.global');
    first.resolve();
    await settle(clock, 1_000);
    expect(runtime.sessions()).toMatchObject([{ state: 'parked' }]);
    expect(broker.live).toHaveLength(1);
    await runtime.close();
    expect(broker.live).toEqual([]);
  });

  test('takes back what it had lent and leaves no timer behind', async () => {
    const { runtime, broker, clock } = await lending();
    runtime.agent('alpha', (session) => session.turn((turn) => borrow(turn, [], new Promise(() => {})))).start(undefined);
    await settle(clock);
    await runtime.close();
    expect([broker.live, clock.pending]).toEqual([[], 0]);
  });

  test('waits once for a broker that hangs, however many grants it has: the rest is the next process’s (I4)', async () => {
    const { runtime, store, broker, clock } = await lending();
    const agent = runtime.agent('alpha', (session) => session.turn((turn) => borrow(turn, [], new Promise(() => {}))));
    for (let i = 0; i < 40; i++) agent.start(undefined);
    await settle(clock);
    expect(broker.live).toHaveLength(40);
    broker.beforeRevoke = () => new Promise(() => {});
    let isClosed = false;
    const closing = runtime.close().then(() => {
      isClosed = true;
    });
    await settle(clock, 12_000);
    expect(isClosed).toBe(true);
    await closing;
    const left = (await store.reopen().grants!.list()).filter(({ record }) => record.state === 'revoking');
    expect([left.length, clock.pending]).toEqual([40, 0]);
  });

  test('takes back what comes while it closes: nobody else will know by what (I4)', async () => {
    const { runtime, broker, clock } = await lending({ caps: { revokesById: false } });
    const coming = deferred();
    broker.afterIssue = () => coming.promise;
    const heard: Grant[] = [];
    runtime.agent('alpha', (session) => session.turn((turn) => borrow(turn, heard))).start(undefined);
    await settle(clock);
    expect(broker.live).toHaveLength(1);
    const closing = runtime.close();
    await settle(clock);
    coming.resolve();
    await closing;
    expect([heard, broker.live, clock.pending]).toEqual([[], [], 0]);
  });
});

describe('a backend that repeats the secret in what it says', () => {
  test('is quoted without it: in the records, in receipts, in alarms and in errors (I4)', async () => {
    const { runtime, broker, store, clock, alarms } = await lending();
    const heard: Grant[] = [];
    let failure: unknown;
    const child = runtime.agent('child', (session) => session.turn((turn) => borrow(turn, heard)));
    broker.revoke = async ({ secret }) => ({ state: 'irrevocable', why: `cannot revoke ${secret}` });
    const { id } = runtime
      .agent('alpha', (session) =>
        session.turn(async (turn) => {
          await borrow(turn, heard);
          broker.issue = async ({ parent }) => ({ status: 'refused', why: `cannot exchange ${parent?.secret}` });
          await turn.spawn(child, undefined).catch((error) => {
            failure = error;
          });
          await turn.tool('wait', {}, () => new Promise<never>(() => {}), { effect: false });
        }),
      )
      .start(undefined);
    await settle(clock, 500);
    void runtime.stop({ session: id, reason: 'odd', by: 'ann' });
    await settle(clock, 2_000);
    const { secret } = heard[0]!;
    const written = JSON.stringify([await store.grants!.list(), await runtime.receipts(), alarms, String(failure)]);
    expect(written).not.toContain(secret);
    expect(String(failure)).toContain('cannot exchange ***');
    expect(alarms.join()).toContain('cannot revoke ***');
  });

  test('is quoted without it whatever it says and whatever the secret is: half a character, and what is no text (I13)', () => {
    expect(withoutSecrets('no such token: a\ud800b', ['a\ud800b'])).toBe('no such token: ***');
    expect(withoutSecrets('token=a%EF%BF%BDb', ['a\ud800b'])).toBe('token=***');
    const odd = "p@ss w!*'()~x";
    expect(withoutSecrets("token=p%40ss+w%21*%27%28%29%7Ex or p%40ss%20w!*'()~x", [odd])).toBe('token=*** or ***');
    expect(withoutSecrets(new Error('no such token: b1'), ['b1'])).toBe('Error: no such token: ***');
    expect(withoutSecrets(undefined, ['b1', undefined])).toBe('it gave no reason');
    expect(withoutSecrets(Object.create(null), ['b1'])).toBe('an error that cannot be shown');
    const noTexts = [12345, Object.create(null), Symbol('b1'), null, []] as never;
    expect(withoutSecrets('no such token: 12345', noTexts)).toBe('no such token: ***');
  });
});

test('a credential that arrives after its call has ended and its session has come to rest is taken back (I4)', async () => {
  const { runtime, broker, clock, source, stages } = await lending({}, { parkAfterMs: 3_600_000 });
  const answer = deferred();
  const real = broker.issue.bind(broker);
  broker.issue = async (request) => {
    await answer.promise;
    return real(request);
  };
  const paused = deferred();
  runtime
    .agent('alpha', async (session) => {
      await session.turn((turn: Turn) =>
        turn.tool(
          'send',
          {},
          async (_, context) => {
            // The tool gives up waiting for the token server.
            void context.grant('mail').catch(() => {});
            await paused.promise;
            return null;
          },
          { effect: false },
        ),
      );
      await session.turn(async () => 2);
    })
    .start(undefined);
  await settle(clock);
  source.engage('killswitch.global');
  await settle(clock);
  paused.resolve();
  await settle(clock);
  answer.resolve();
  await settle(clock, 2_000);
  await settle(clock, 60_000);
  expect(broker.live).toEqual([]);
  expect(stages).toContain('done');
});

test("a child that asks in the last moment of its parent's credential is lent one", async () => {
  const clock = manualClock();
  const broker = memoryBroker({ now: clock.now });
  const { runtime } = await world({ clock, brokers: { mail: broker } });
  const ask = deferred();
  const got: unknown[] = [];
  const child = runtime.agent('child', (session: Session) =>
    session.turn((turn) =>
      turn.tool(
        'send',
        {},
        async (_, c) => {
          await ask.promise;
          got.push(
            await c.grant('mail').then(
              (g) => g.id,
              (e) => String(e),
            ),
          );
        },
        { effect: false },
      ),
    ),
  );
  runtime
    .agent('alpha', (session: Session) =>
      session.turn(async (turn) => {
        await turn.tool('hold', {}, async (_, c) => void (await c.grant('mail', { ttlMs: 60_000 })), { effect: false });
        await turn.spawn(child, undefined);
      }),
    )
    .start(undefined);
  await settle(clock);
  const real = broker.issue.bind(broker);
  broker.issue = async (request) => {
    await new Promise<void>((r) => clock.setTimeout(r, 300));
    return real(request);
  };
  await clock.advance(60_000 - 50 - 200);
  ask.resolve();
  await settle(clock, 5_000);
  expect(String(got[0])).toMatch(/^g-/);
});
