// unheard.process.test.ts: a stop while a process that runs sessions is cut off, over a real Redis: nobody can tell whether it still runs.

import { defineKillSwitches } from '@offswitch/core';
import { redisStore } from '@offswitch/redis';
import { createRuntime, type Receipt } from '@offswitch/runtime';
import {
  type FaultProxy,
  type LocalRedis,
  type MemorySource,
  memorySource,
  openFaultProxy,
  startLocalRedis,
  waitUntil,
} from '@offswitch/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { describeRedis } from './real-redis.ts';

const switches = defineKillSwitches({
  global: { authorized: ['x'] },
  features: { writer: { authorized: ['x'] }, reader: { authorized: ['x'] } },
  user: { authorized: ['x'] },
  instance: { authorized: ['x'] },
});
const leaseMs = 1_500;
const withinMs = 20_000;

describeRedis('while a process is cut off', () => {
  let server: LocalRedis;
  let proxy: FaultProxy;
  const ends: (() => Promise<void>)[] = [];
  beforeEach(async () => {
    server = await startLocalRedis();
    proxy = await openFaultProxy({ port: server.port });
  });
  afterEach(async () => {
    await proxy.heal();
    for (const end of ends.splice(0)) await end();
    await proxy.close();
    await server.close();
  });

  /** One process that is heard from, and one that has a call under way and is not. */
  const apart = async () => {
    const source = memorySource(switches);
    const here = await createRuntime({ switches, source, store: redisStore({ url: server.url, anchor: false, leaseMs }) });
    const store = redisStore({ url: `redis://127.0.0.1:${proxy.port}`, anchor: false, leaseMs });
    const there = await createRuntime({ switches, source: memorySource(switches), store });
    there.subscribe(() => {});
    ends.push(
      () => here.close(),
      () => there.close(),
    );
    let finish = (): void => {};
    const work = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let isUnderWay = false;
    const agent = there.agent('writer', (session) =>
      session.turn((turn) =>
        turn.tool('pay', {}, async () => {
          isUnderWay = true;
          await work;
        }),
      ),
    );
    const run = agent.start(undefined, { userId: 'u-1' });
    expect(await waitUntil(source, withinMs, () => isUnderWay)).toBe(true);
    await proxy.mode('black-hole');
    return { here, there, source, store, run, finish };
  };
  const receiptOf = (here: { receipts(): Promise<readonly Receipt[]> }) => async () => (await here.receipts())[0];
  const reaches = (source: MemorySource, of: () => Promise<Receipt | undefined>, holds: (receipt: Receipt) => boolean) =>
    waitUntil(source, withinMs, async () => {
      const receipt = await of();
      return receipt !== undefined && holds(receipt);
    });

  describe.each(['pause', 'terminate'] as const)('a receipt of a %s', (action) => {
    test('names what it ran as unconfirmed, and says of no work that it has finished before it has; what was said stays (S10, I3)', async () => {
      const { here, there, source, store, run, finish } = await apart();
      if (action === 'pause') source.engage('killswitch.global');
      else await here.stop({ session: run.id, reason: 'r', by: 'ann' });
      const told = receiptOf(here);
      expect(await reaches(source, told, ({ sessions }) => sessions.length > 0)).toBe(true);
      const cut = (await told())!;
      expect(Object.keys(cut.stages)).toEqual(['recorded', 'fenced']);
      expect(cut.sessions).toMatchObject([{ session: run.id, state: 'unconfirmed', user: 'u-1' }]);
      expect(cut.sessions[0]!.why).toContain('not heard from');
      expect(cut.residue.join()).toContain(`Process ${store.processId} is not heard from`);

      await proxy.heal();
      expect(await waitUntil(source, withinMs, () => !store.lineage.isCutOff() && there.stops().length > 0)).toBe(true);
      if (action === 'pause') {
        // It is back, and its call goes on.
        expect(await reaches(source, told, ({ sessions }) => sessions[0]?.why?.includes('pay') === true)).toBe(true);
        expect(Object.keys((await told())!.stages)).toEqual(['recorded', 'fenced']);
      }
      finish();
      const stages: number[] = [];
      const named: number[] = [];
      expect(
        await reaches(source, told, (receipt) => {
          stages.push(Object.keys(receipt.stages).length);
          named.push(receipt.sessions.length);
          return receipt.stages.done !== undefined;
        }),
      ).toBe(true);
      expect(stages).toEqual(stages.toSorted((a, b) => a - b));
      expect(new Set(named)).toEqual(new Set([1]));
      const state = action === 'pause' ? ['paused', 'already-ended'] : ['stopped'];
      expect(state).toContain((await told())!.sessions[0]!.state);
    }, 60_000);
  });

  test('what it was running is told of as its records say, where it is back and does not live to tell (S10)', async () => {
    const { here, there, source, store, run, finish } = await apart();
    await here.stop({ session: run.id, reason: 'r', by: 'ann' });
    const told = receiptOf(here);
    expect(await reaches(source, told, ({ sessions }) => sessions.length > 0)).toBe(true);
    store.writeReceipt = async () => {};
    await proxy.heal();
    expect(await waitUntil(source, withinMs, () => there.stops().length > 0)).toBe(true);
    finish();
    expect((await run.outcome).status).toBe('terminated');
    await there.close();
    expect(await reaches(source, told, ({ stages }) => stages.done !== undefined)).toBe(true);
    expect(await reaches(source, told, ({ sessions }) => sessions[0]?.state === 'stopped')).toBe(true);
    expect((await told())!.sessions).toMatchObject([{ session: run.id, why: expect.stringContaining('records') }]);
  }, 60_000);

  test('a stop of what it does not run is done without it', async () => {
    const { here, source } = await apart();
    source.engage('killswitch.feature.reader');
    expect(await reaches(source, receiptOf(here), ({ stages }) => stages.done !== undefined)).toBe(true);
  }, 60_000);

  test('a process stops a session of another by its id, and of nobody by any other (S6)', async () => {
    const { here, there, source, run } = await apart();
    await expect(here.stop({ session: 'nobody', reason: 'r', by: 'ann' })).rejects.toMatchObject({ code: 'unknown_session' });
    const receipt = await here.stop({ session: run.id, reason: 'r', by: 'ann' });
    expect(receipt.stages.fenced).toBeDefined();
    await proxy.heal();
    expect((await run.outcome).status).toBe('terminated');
    expect(await waitUntil(source, withinMs, () => there.stops().length === 1)).toBe(true);
    const found = async () => (await here.store.lineage.locate(run.id))?.state;
    expect(await waitUntil(source, withinMs, async () => (await found()) === 'terminated')).toBe(true);
    await expect(here.stop({ session: run.id, reason: 'again', by: 'ann' })).rejects.toMatchObject({ code: 'session_ended' });
  }, 60_000);
});
