// grants-across.test.ts: credentials of one graph that runs in two processes.

import { type Grant, newPathKey, pathKeysFromEnv } from '@offswitch/runtime';
import { type MemoryBroker, manualClock, memoryBroker } from '@offswitch/testing';
import { describe, expect, test, vi } from 'vitest';
import { deferred, settle, type TestWorld, tellingStore, world } from './world.ts';

const pathKeys = pathKeysFromEnv({ OFFSWITCH_PATH_KEYS: newPathKey() });

interface Two {
  readonly one: TestWorld;
  readonly two: TestWorld;
  readonly broker: MemoryBroker;
  /** What the first process's tools and the second one's were lent. */
  readonly heard: { readonly one: Grant[]; readonly two: Grant[] };
  readonly root: string;
}

/** A root in the first process whose tool asks the second; both hold a credential while they wait. */
async function twoProcesses(): Promise<Two> {
  const clock = manualClock();
  const broker = memoryBroker({ now: clock.now });
  const brokers = { mail: broker };
  const one = await world({ pathKeys, clock, brokers });
  const two = await world({ pathKeys, clock, brokers, store: one.store.share(), source: one.source as never });
  const heard = { one: [] as Grant[], two: [] as Grant[] };
  const helper = two.runtime.agent('helper', (session) =>
    session.turn((turn) =>
      turn.tool(
        'send',
        {},
        async (_, context) => {
          heard.two.push(await context.grant('mail', { ttlMs: 3_600_000 }));
          await new Promise(() => {});
        },
        { effect: false },
      ),
    ),
  );
  const { id } = one.runtime
    .agent('alpha', (session) =>
      session.turn((turn) =>
        turn.tool(
          'ask',
          {},
          async (_, context) => {
            heard.one.push(await context.grant('mail'));
            const parent = await two.runtime.accept((await session.carry()).headers);
            return helper.run(undefined, { parent });
          },
          { delegates: true },
        ),
      ),
    )
    .start(undefined);
  await settle(clock);
  expect([heard.one.length, heard.two.length]).toEqual([1, 1]);
  return { one, two, broker, heard, root: id };
}

describe('a graph in two processes', () => {
  test('has no credential below that outlives the one above, though that was lent elsewhere', async () => {
    const { heard, broker } = await twoProcesses();
    expect(heard.two[0]!.expiresAt).toBeLessThanOrEqual(heard.one[0]!.expiresAt + 10_000);
    expect(broker.asked[1]!.parent).toMatchObject({ id: heard.one[0]!.id });
    expect(broker.asked[1]!.parent).not.toHaveProperty('secret');
  });

  test('loses all of them to one stop, each taken back by who lent it, and one receipt tells of both (I4, S10)', async () => {
    const { one, two, broker, heard, root } = await twoProcesses();
    await one.runtime.stop({ session: root, reason: 'r', by: 'ann' });
    await settle(one.clock, 20_000);
    expect(broker.live).toEqual([]);
    for (const { runtime } of [one, two]) {
      const [receipt] = await runtime.receipts();
      expect(new Map(receipt!.grants.map((grant) => [grant.id, grant.state]))).toEqual(
        new Map([
          [heard.one[0]!.id, 'revoked'],
          [heard.two[0]!.id, 'revoked'],
        ]),
      );
      expect(receipt!.stages.revoked).toBeDefined();
      expect(receipt!.residue.filter((line) => line.startsWith('Grant'))).toEqual([]);
    }
  });

  test('is not called revoked while another process is still taking back what it lent (I4)', async () => {
    const { one, broker, heard, root } = await twoProcesses();
    const theirs = heard.two[0]!.id;
    broker.beforeRevoke = async (id) => (id === theirs ? { state: 'pending', why: '503' } : undefined);
    await one.runtime.stop({ session: root, reason: 'r', by: 'ann' });
    await settle(one.clock, 20_000);
    const before = (await one.runtime.receipts())[0]!;
    expect(before.stages.revoked).toBeUndefined();
    expect(before.residue.join()).toContain(`${theirs} of`);
    broker.beforeRevoke = undefined;
    await settle(one.clock, 40_000);
    const after = (await one.runtime.receipts())[0]!;
    expect(after.stages.revoked).toBeDefined();
    expect(after.residue.filter((line) => line.startsWith('Grant'))).toEqual([]);
  });

  test('has those of a process that dies taken back by the one that lives, in the middle of a stop too (I4)', async () => {
    const { one, two, broker, heard, root } = await twoProcesses();
    const theirs = heard.two[0]!.id;
    const gate = deferred();
    broker.beforeRevoke = async (id) => {
      if (id === theirs) await gate.promise;
      return undefined;
    };
    await one.runtime.stop({ session: root, reason: 'r', by: 'ann' });
    await settle(one.clock);
    expect(broker.live).toEqual([theirs]);
    broker.beforeRevoke = undefined;
    await two.store.close();
    await settle(one.clock, 20_000);
    expect(broker.live).toEqual([]);
    const [receipt] = await one.runtime.receipts();
    expect(receipt!.grants.find((grant) => grant.id === theirs)).toMatchObject({ state: 'revoked' });
    expect(receipt!.stages.revoked).toBeDefined();
  });
});

describe('what a process that dies had lent', () => {
  test('is not called revoked by those who had not read of it when they were done (I4)', async () => {
    const { one, two, broker, heard, root } = await twoProcesses();
    const read = deferred();
    const { list } = one.store.grants!;
    vi.spyOn(one.store.grants!, 'list').mockImplementation(async (of?: string) => {
      await read.promise;
      return list.call(one.store.grants, of);
    });
    await two.store.close();
    await one.runtime.stop({ session: root, reason: 'r', by: 'ann' });
    await settle(one.clock, 20_000);
    const theirs = heard.two[0]!.id;
    expect(broker.live).toEqual([theirs]);
    // As the command line looks.
    const [before] = await one.store.share().receipts();
    expect(before!.stages).not.toHaveProperty('revoked');
    expect(before!.residue.join()).toContain(`${theirs} of`);
    read.resolve();
    await settle(one.clock, 20_000);
    expect(broker.live).toEqual([]);
    expect((await one.runtime.receipts())[0]!.stages.done).toBeDefined();
  });
});

describe('a session whose process dies while it holds a credential', () => {
  test('has it taken back by the one that takes the session up because its caller asks again, whether or not the store tells that anybody is gone (I4)', async () => {
    const clock = manualClock();
    const broker = memoryBroker({ now: clock.now });
    const brokers = { mail: broker };
    const caller = await world({ pathKeys, clock });
    const dies = await world({ pathKeys, clock, brokers, store: caller.store.share() });
    const store = caller.store.share();
    const { watch } = store;
    store.watch = (listener) => watch(({ isOrphaned: _, ...change }) => listener(change));
    const lives = await world({ pathKeys, clock, brokers, store });
    const define = ({ runtime }: TestWorld, lends: boolean) =>
      runtime.agent('helper', (session) =>
        session.turn((turn) =>
          turn.tool(
            'send',
            {},
            async (_, context) => {
              if (lends) await context.grant('mail');
              await new Promise(() => {});
            },
            {
              effect: false,
            },
          ),
        ),
      );
    const headers = deferred<Record<string, string>>();
    caller.runtime
      .agent('alpha', (session) =>
        session.turn((turn) =>
          turn.tool(
            'ask',
            {},
            async () => {
              headers.resolve({ ...(await session.carry()).headers });
              await new Promise(() => {});
            },
            { delegates: true },
          ),
        ),
      )
      .start(undefined);
    await settle(clock);
    const ask = async (there: TestWorld, lends: boolean) =>
      void define(there, lends).run(undefined, { parent: await there.runtime.accept(await headers.promise) });
    await ask(dies, true);
    await settle(clock);
    expect(broker.live).toHaveLength(1);
    await dies.store.close();
    await ask(lives, false);
    await settle(clock, 20_000);
    expect(lives.runtime.sessions()).toMatchObject([{ agent: 'helper', state: 'running' }]);
    expect(broker.live).toEqual([]);
  });
});

test('a process that is told many times that others are gone reads what they had lent once, and once more for all who went meanwhile (I4)', async () => {
  const clock = manualClock();
  const { store, tell } = tellingStore();
  await world({ clock, store, brokers: { mail: memoryBroker({ now: clock.now }) } });
  const gates: (() => void)[] = [];
  const { list } = store.grants!;
  const asked = vi.spyOn(store.grants!, 'list').mockImplementation(async (root) => {
    await new Promise<void>((resolve) => gates.push(resolve));
    return list.call(store.grants, root);
  });
  const areGone = () => {
    for (let i = 0; i < 100; i++) tell({ isOrphaned: true });
  };
  areGone();
  await settle(clock);
  expect(asked).toHaveBeenCalledTimes(1);
  areGone();
  for (let i = 0; i < 3; i++) {
    for (const open of gates.splice(0)) open();
    await settle(clock);
  }
  expect(asked).toHaveBeenCalledTimes(2);
});

test('a graph in two processes that rests, and was told so, is lent nothing (I1, I4, S10)', async () => {
  const clock = manualClock();
  const broker = memoryBroker({ now: clock.now });
  const brokers = { mail: broker };
  const one = await world({ pathKeys, clock, brokers, parkAfterMs: 3_600_000 });
  const two = await world({
    pathKeys,
    clock,
    brokers,
    parkAfterMs: 3_600_000,
    store: one.store.share(),
    source: one.source as never,
  });
  const next = deferred();
  const ask = deferred();
  const hers: Grant[] = [];
  const helper = two.runtime.agent('helper', async (session) => {
    await session.turn(async () => {});
    await next.promise;
    return session.turn(async () => 'second');
  });
  const { id } = one.runtime
    .agent('alpha', (session) =>
      session.turn((turn) =>
        turn.tool(
          'ask',
          {},
          async (_, context) => {
            const parent = await two.runtime.accept((await session.carry()).headers);
            // While it waits for the answer it renews the credential that it asks with.
            await Promise.all([
              helper.run(undefined, { parent }),
              ask.promise.then(async () => hers.push(await context.grant('mail'))),
            ]);
            return 1;
          },
          { delegates: true },
        ),
      ),
    )
    .start(undefined);
  await settle(clock);
  one.source.engage('killswitch.global', undefined, { reason: 'r', by: 'ann' });
  await settle(clock);
  next.resolve();
  await settle(clock);
  expect(one.runtime.session(id)?.state).toBe('paused');
  const [told] = await one.runtime.receipts();
  expect(told!.stages.done).toBeDefined();
  ask.resolve();
  await settle(clock, 2_000);
  expect([one.runtime.session(id)?.state, broker.live, hers.length]).toEqual(['paused', [], 0]);
  // And what asked goes on when that is over.
  one.source.release('killswitch.global');
  await settle(clock, 2_000);
  expect(hers.length).toBe(1);
  await settle(clock, 2_000);
  expect(broker.live).toEqual([]);
});
