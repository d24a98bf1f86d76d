// receipts.process.test.ts: what receipts read of a Redis that holds much.

import { defineKillSwitches } from '@offswitch/core';
import { redisStore } from '@offswitch/redis';
import { createRuntime, openGate } from '@offswitch/runtime';
import { type LocalRedis, memorySource, startLocalRedis, waitUntil } from '@offswitch/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeRedis } from './real-redis.ts';

/** What is asked here has nothing to do with time. */
const patient = { leaseMs: 20_000, timeoutMs: 8_000, anchor: false } as const;

const switches = defineKillSwitches({
  global: { authorized: ['x'] },
  features: { writer: { authorized: ['x'] } },
  user: { authorized: ['x'] },
  instance: { authorized: ['x'] },
});

describeRedis('receipts in a Redis that holds much', () => {
  let server: LocalRedis;
  beforeAll(async () => {
    server = await startLocalRedis();
  });
  afterAll(() => server.close());

  test('wait for no process that runs no sessions: neither a gate nor a command line that was there, and has gone (S10)', async () => {
    const prefix = 'runners';
    const source = memorySource(switches);
    const runtime = await createRuntime({ switches, source, store: redisStore({ url: server.url, prefix, ...patient }) });
    const gate = await openGate({
      switches,
      source: memorySource(switches),
      store: redisStore({ url: server.url, prefix, ...patient }),
      onAlarm: () => {},
    });
    const command = redisStore({ url: server.url, prefix, ...patient });
    await command.open();
    source.engage('killswitch.global');
    const first = async () => (await runtime.receipts())[0];
    expect(await waitUntil(source, 20_000, async () => (await first())?.stages.done !== undefined)).toBe(true);
    await Promise.all([gate.close(), command.close()]);
    expect(await first()).toMatchObject({ residue: [], stages: { done: expect.any(Number) } });
    await runtime.close();
  });

  test('of terminates that are done are read by the first that starts after them, and by none after it', async () => {
    const prefix = 'starts';
    const start = () =>
      createRuntime({ switches, source: memorySource(switches), store: redisStore({ url: server.url, prefix, ...patient }) });
    const first = await start();
    const ids = Array.from({ length: 120 }, (_, i) => `act.operator.terminate.instance.s-${i}.o${i}`);
    const command = redisStore({ url: server.url, prefix, ...patient });
    await command.open();
    const details = { reason: 'r', by: 'ann', at: 1 };
    await Promise.all(ids.map((id, i) => command.mark(id, 'engaged', 0, { ...details, subject: `s-${i}` })));
    await command.close();
    const isDone = async () => (await first.receipts()).filter(({ stages }) => stages.done !== undefined).length === ids.length;
    expect(await waitUntil(first.source, 20_000, isDone)).toBe(true);
    await first.close();
    const counts: number[] = [];
    for (let i = 0; i < 3; i++) {
      const before = await calls(server, 'hgetall');
      await (await start()).close();
      counts.push((await calls(server, 'hgetall')) - before);
    }
    expect(counts[0]).toBeGreaterThanOrEqual(ids.length);
    expect(counts[1]).toBeLessThan(20);
    expect(counts[2]).toBeLessThan(20);
  });

  test('read the journal of a graph once for all its sessions that ended, and not once for each', async () => {
    const store = redisStore({ url: server.url, ...patient });
    await store.open();
    await store.lineage.register(registration('r-1', ['r-1']));
    const sessions = Array.from({ length: 300 }, (_, i) => `s-${i}`);
    await Promise.all(sessions.map((one) => store.lineage.register(registration(one, ['r-1', one]))));
    for (const s of sessions) {
      for (let turn = 0; turn < 4; turn++)
        store.append('r-1', { t: 'turn', s, e: 1, at: turn, turn, state: 'x'.repeat(500) } as never);
      store.append('r-1', { t: 'settled', s, e: 1, at: 9, status: 'completed' });
      store.lineage.note(s, 'r-1', 'completed');
    }
    await store.flush();
    const before = await calls(server, 'xrevrange');
    const ends = await store.lineage.ends('r-1', [...sessions, 'r-1']);
    expect([...ends.keys()].sort()).toEqual(sessions.toSorted());
    // 1,500 records in pages of 500.
    expect((await calls(server, 'xrevrange')) - before).toBeLessThanOrEqual(4);
    await store.close();
  });
});

function registration(session: string, path: readonly string[]) {
  return { session, path, agent: 'w', workflow: 'w', isLocalRoot: path.length === 1 };
}

async function calls(server: LocalRedis, command: string): Promise<number> {
  const said = await server.command('INFO', 'commandstats');
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(said)?.[1] ?? 0);
}
