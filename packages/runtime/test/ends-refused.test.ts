// The end of a session that the store refuses to take down.

import {
  type JournalRecord,
  memoryStore,
  newPathKey,
  type Outcome,
  pathKeysFromEnv,
  RuntimeError,
  type Session,
} from '@offswitch/runtime';
import { manualClock } from '@offswitch/testing';
import { describe, expect, test } from 'vitest';
import { deferred, settle, type TestWorld, world } from './world.ts';

/** Refuses the ends of sessions until what is answered is called. */
function refusesEnds({ store }: Pick<TestWorld, 'store'>): () => void {
  const { append } = store;
  store.append = (root: string, record: JournalRecord) => {
    if (record.t === 'settled') throw new RuntimeError('store_failed', 'ENOSPC');
    append.call(store, root, record);
  };
  return () => Object.assign(store, { append });
}

/** What became of a promise by now. */
function watched(promise: Promise<Outcome>): { status?: string } {
  const seen: { status?: string } = {};
  void promise.then(({ status }) => Object.assign(seen, { status }));
  return seen;
}

describe('an end that the store refuses to take down', () => {
  test('is told of when it is taken down, and its session does not run again after a crash (I9, S10)', async () => {
    const first = await world();
    const accept = refusesEnds(first);
    const ran: string[] = [];
    const define = ({ runtime }: TestWorld) =>
      runtime.agent('alpha', async (session: Session) => {
        await session.turn((turn) => turn.tool('look', {}, () => 1));
        ran.push(session.id);
        return 'done';
      });
    const run = define(first).start(undefined);
    const seen = watched(run.outcome);
    await settle(first.clock, 5_000);
    expect([seen.status, ran.length]).toEqual([undefined, 1]);
    accept();
    await settle(first.clock, 1_000);
    expect(seen.status).toBe('completed');
    const second = await first.restart();
    define(second);
    await settle(second.clock, 5_000);
    expect([ran.length, second.runtime.sessions()]).toEqual([1, []]);
  });

  test('is told of with all others as soon as they are taken down, in slices that follow one another: no other pause lies between them (S10)', async () => {
    const clock = manualClock();
    let looks = 0;
    // Each look at it takes longer than a slice is.
    const slow = { ...clock, monotonic: () => clock.monotonic() + looks++ };
    const { runtime, store } = await world({ clock: slow as never });
    const accept = refusesEnds({ store });
    const agent = runtime.agent('alpha', (session: Session) => session.turn(async () => 1));
    const all = Array.from({ length: 40 }, () => watched(agent.start(undefined).outcome));
    await settle(clock, 1_000);
    accept();
    await settle(clock, 300);
    for (let i = 0; i < 100; i++) await settle(clock, 0);
    expect(all.filter(({ status }) => status === 'completed')).toHaveLength(40);
    await runtime.close();
  });

  test('leaves its graph among those that could not be parked (S10)', async () => {
    const first = await world();
    refusesEnds(first);
    const run = first.runtime.agent('alpha', (session: Session) => session.turn(async () => 1)).start(undefined);
    await settle(first.clock);
    const parked = first.runtime.park({ withinMs: 1_000 });
    await settle(first.clock, 2_000);
    expect(await parked).toEqual([run.id]);
  });

  test('is a terminate where that comes before it is taken down; receipts call it done then, and not before (S6, S10)', async () => {
    const { runtime, clock, ...first } = await world();
    const accept = refusesEnds(first);
    const run = runtime.agent('alpha', (session: Session) => session.turn(async () => 1)).start(undefined);
    const seen = watched(run.outcome);
    await settle(clock);
    await runtime.stop({ session: run.id, reason: 'odd', by: 'ann' });
    await settle(clock, 20_000);
    expect([seen.status, (await runtime.receipts())[0]!.stages.done]).toEqual([undefined, undefined]);
    accept();
    await settle(clock, 1_000);
    expect([seen.status, (await runtime.receipts())[0]!.stages.done]).toEqual(['terminated', expect.any(Number)]);
  });

  test('of a parked session is marked later, by one claim (S6, S10)', async () => {
    const { runtime, clock, source, store } = await world();
    const gate = deferred();
    const run = runtime
      .agent('alpha', async (session: Session) => {
        await session.turn(() => gate.promise);
        await session.turn(async () => 1);
      })
      .start(undefined);
    await settle(clock);
    source.engage('killswitch.global');
    gate.resolve();
    await settle(clock, 6_000);
    expect(runtime.session(run.id)?.state).toBe('parked');
    const accept = refusesEnds({ store });
    const claimed: number[] = [];
    const { claim } = store;
    store.claim = (session, epoch) => {
      claimed.push(epoch);
      return claim.call(store, session, epoch);
    };
    const end = watched(runtime.settled(run.id));
    await runtime.stop({ session: run.id, reason: 'odd', by: 'ann' });
    await settle(clock, 5_000);
    expect(end.status).toBeUndefined();
    accept();
    await settle(clock, 1_000);
    expect([end.status, claimed]).toEqual(['terminated', [2]]);
  });

  test('is not told to a caller in another process, who asks again and is told the same end (S6)', async () => {
    const pathKeys = pathKeysFromEnv({ OFFSWITCH_PATH_KEYS: newPathKey() });
    const store = memoryStore();
    const one = await world({ store, pathKeys });
    let headers: object = {};
    const hang = deferred();
    one.runtime
      .agent('alpha', (session: Session) =>
        session.turn((turn) =>
          turn.tool(
            'delegate',
            {},
            async () => {
              headers = (await session.carry()).headers;
              await hang.promise;
            },
            { delegates: true },
          ),
        ),
      )
      .start(undefined);
    await settle(one.clock);
    const two = await world({ store: store.share(), pathKeys, clock: one.clock, source: one.source });
    const accept = refusesEnds(two);
    let ran = 0;
    const helper = two.runtime.agent('helper', async (session: Session) => {
      await session.turn(async () => ran++);
      return 'done';
    });
    const ask = async () => watched(helper.run(undefined, { parent: await two.runtime.accept(headers) }));
    const told = await ask();
    await settle(one.clock, 2_000);
    expect(told.status).toBeUndefined();
    const again = await ask();
    accept();
    await settle(one.clock, 5_000);
    expect([told.status, again.status, ran]).toEqual(['completed', 'completed', 1]);
  });
});

test('a session whose end the store refused ends after what began meanwhile (I1, I3)', async () => {
  const { runtime, store, clock } = await world();
  const [later, posted] = [deferred(), deferred()];
  const { append } = store;
  let refusals = 1;
  store.append = (root, record) => {
    if (record.t === 'settled' && refusals-- > 0) throw new RuntimeError('store_failed', 'ENOSPC');
    append.call(store, root, record);
  };
  const did: string[] = [];
  const { id } = runtime
    .agent('alpha', async (session) => {
      void later.promise.then(() =>
        session.turn((turn) => turn.tool('post', {}, () => posted.promise.then(() => void did.push('posted')), { effect: true })),
      );
    })
    .start(undefined);
  let status: string | undefined;
  void runtime.settled(id).then((end) => {
    status = end.status;
    did.push('the end');
  });
  await settle(clock, 50);
  expect(status).toBeUndefined();
  later.resolve();
  await settle(clock, 50);
  await settle(clock, 1_000);
  posted.resolve();
  await settle(clock, 1_000);
  expect(did).toEqual(['posted', 'the end']);
});
