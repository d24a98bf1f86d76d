// grants-in-doubt.test.ts: credentials that a broker was asked for and that nobody knows of whether they were issued: asked for by a process that is gone, or
// answered late. A revocation is the last one where it was asked for when nothing could be issued any more.

import { endless, type GrantRecord, type GrantState } from '@offswitch/runtime';
import { type MemoryBroker, type MemoryBrokerOptions, manualClock, memoryBroker } from '@offswitch/testing';
import { expect, test } from 'vitest';
import { settle, type TestWorld, world } from './world.ts';

const hourMs = 3_600_000;

interface Doubt extends TestWorld {
  readonly broker: MemoryBroker;
  /** One is gone that had asked for a credential. */
  leave(record?: Partial<GrantRecord>): Promise<void>;
  /** What it had asked for comes to the backend. */
  issue(to?: MemoryBroker): Promise<unknown>;
  state(): Promise<GrantState>;
}

/** A process that takes back what others leave, by a broker that cannot be asked what works. */
async function doubt(caps: MemoryBrokerOptions['caps'] = {}, name = 'mail'): Promise<Doubt> {
  const clock = manualClock();
  const broker = memoryBroker({ now: clock.now, caps: { canVerify: false, ...caps } });
  const made = await world({ clock, brokers: { [name]: broker } });
  const asked = { id: 'g-asked', path: ['s-gone'], audience: '', scope: [] } as const;
  return {
    ...made,
    broker,
    async leave(record = {}) {
      const dies = made.store.share();
      const { processId } = dies;
      await dies.grants!.put({
        ...asked,
        session: 's-gone',
        broker: 'mail',
        process: processId,
        state: 'issuing',
        at: clock.now(),
        expiresAt: endless,
        ...record,
      });
      await dies.close();
    },
    issue: (to = broker) => to.issue({ ...asked, ttlMs: hourMs, signal: new AbortController().signal }),
    state: async () => (await made.store.share().grants!.list())[0]!.record.state,
  };
}

/** A session asks for a credential once, and goes on without it. */
function ask(runtime: TestWorld['runtime']): void {
  const agent = runtime.agent('alpha', (session) =>
    session.turn((turn) =>
      turn.tool(
        'send',
        {},
        async (_, context) => {
          await context.grant('mail', { ttlMs: hourMs }).catch(() => {});
          await new Promise(() => {});
        },
        { effect: false },
      ),
    ),
  );
  agent.start(undefined);
}

test.each([
  ['an hour ahead', hourMs],
  ['right', 0],
  ['an hour behind', -hourMs],
])(
  'what a process had asked for is called revoked ten seconds after it was found to be gone, though its clock was %s (I4, I12)',
  async (_, aheadMs) => {
    const { broker, clock, leave, state } = await doubt();
    await leave({ at: clock.now() + aheadMs });
    await settle(clock, 7_500);
    expect(broker.revoked).toContain('g-asked');
    expect(await state()).toBe('revoking');
    await settle(clock, 3_000);
    expect(await state()).toBe('revoked');
  },
);

test('so is what it had begun to take back before it was gone, for it had heard nothing (I4)', async () => {
  const { broker, clock, leave, issue, state } = await doubt();
  await leave({ state: 'revoking' });
  await settle(clock, 2_000);
  expect(await state()).toBe('revoking');
  await issue();
  await settle(clock, 10_000);
  expect(await state()).toBe('revoked');
  expect(broker.live).toEqual([]);
});

test('what it knew to be issued is called revoked at once (I4)', async () => {
  const { clock, leave, state } = await doubt();
  await leave({ state: 'revoking', isAnswered: true });
  await settle(clock);
  expect(await state()).toBe('revoked');
});

test('what another had begun to take back, who is gone too a second later, waits as long again (I4)', async () => {
  const { broker, clock, store, leave, issue } = await doubt();
  const third = store.share();
  await leave();
  await settle(clock, 1_000);
  expect(broker.revoked).toContain('g-asked');
  // Who is gone asks no broker any more.
  const { revoke } = broker;
  broker.revoke = () => new Promise(() => {});
  await store.close();
  await world({ clock, store: third, brokers: { mail: { ...broker, revoke } } });
  await settle(clock, 500);
  expect((await third.grants!.list())[0]!.record.state).toBe('revoking');
  await issue();
  await settle(clock, 10_000);
  expect((await third.grants!.list())[0]!.record.state).toBe('revoked');
  expect(broker.live).toEqual([]);
});

test('a revocation asked for within the ten seconds and answered after them is not the last one (I4)', async () => {
  const { broker, clock, leave, issue, state } = await doubt();
  const found = clock.monotonic();
  let isIssued = false;
  broker.beforeRevoke = async () => {
    if (clock.monotonic() - found < 4_000) return { state: 'pending', why: '503' };
    if (isIssued) return undefined;
    // The backend had nothing to revoke, and its answer is long on its way.
    await new Promise<void>((resolve) => clock.setTimeout(resolve, 8_000));
    return { state: 'revoked', residualMs: 0, evidence: 'there is none' };
  };
  await leave();
  await settle(clock, 8_000);
  expect(clock.monotonic() - found).toBeLessThan(10_000);
  await issue();
  isIssued = true;
  await settle(clock, 60_000);
  expect(await state()).toBe('revoked');
  expect(broker.live).toEqual([]);
});

test('what is issued late, while its revocation is under way, is taken back after that (I4)', async () => {
  const { broker, clock, runtime, state } = await doubt();
  broker.beforeIssue = async () => {
    await new Promise<void>((resolve) => clock.setTimeout(resolve, 11_000));
    return undefined;
  };
  let isFirst = true;
  broker.beforeRevoke = async () => {
    if (!isFirst) return undefined;
    isFirst = false;
    await new Promise<void>((resolve) => clock.setTimeout(resolve, 3_000));
    return { state: 'revoked', residualMs: 0, evidence: 'there is none' };
  };
  ask(runtime);
  for (let i = 0; i < 20; i++) await settle(clock, 1_000);
  expect(broker.asked).toHaveLength(1);
  expect(await state()).toBe('revoked');
  expect(broker.live).toEqual([]);
});

test('what cannot be taken back is not called expired by the clock of who had asked for it (I4, S10)', async () => {
  const { broker, clock, leave, issue, state } = await doubt({ revokesById: false, maxLifetimeMs: 600_000 });
  const theirs = clock.now() - hourMs;
  await issue();
  await leave({ at: theirs, expiresAt: theirs + 10_000 + 600_000 });
  await settle(clock, 20_000);
  expect(await state()).toBe('irrevocable');
  expect(broker.live).toEqual(['g-asked']);
  // An hour is what the test's backend gives it; what it may give at most is what is believed.
  await settle(clock, 600_000);
  expect(await state()).toBe('expired');
});

test('nor by a process that has not its broker, so that one that has it takes it back (I4)', async () => {
  const { clock, store, leave, issue } = await doubt({ maxLifetimeMs: 600_000 }, 'other');
  const broker = memoryBroker({ now: clock.now, caps: { canVerify: false } });
  const theirs = clock.now() - hourMs;
  await issue(broker);
  await leave({ at: theirs, expiresAt: theirs + 10_000 + 600_000 });
  await settle(clock, 20_000);
  await world({ clock, store: store.share(), brokers: { mail: broker } });
  await settle(clock, 20_000);
  expect(broker.live).toEqual([]);
});

test('what the broker refused by an error is asked to be revoked once, for that was its answer', async () => {
  const { broker, clock, runtime, store, state } = await doubt();
  // A clock that moves while nothing is waited for, as a machine's does.
  const { monotonic } = clock;
  let lookedUp = 0;
  clock.monotonic = () => monotonic.call(clock) + ++lookedUp / 100;
  broker.beforeIssue = () => Promise.reject(new Error('503'));
  ask(runtime);
  await settle(clock);
  expect(broker.revoked).toHaveLength(1);
  expect(await state()).toBe('revoked');
  expect((await store.grants!.list())[0]!.record.isAnswered).toBe(true);
});

test('a broker that throws has answered: whoever finds what is being revoked of it waits for nothing', async () => {
  const { broker, clock, runtime, store } = await doubt();
  broker.issue = () => {
    throw new Error('no such scope');
  };
  broker.beforeRevoke = async () => ({ state: 'pending', why: '503' });
  ask(runtime);
  await settle(clock);
  expect((await store.grants!.list())[0]!.record).toMatchObject({ state: 'revoking', isAnswered: true });
});
