// receipts.process.test.ts: what receipts read of a Redis that holds much.

import { defineKillSwitches } from '@offswitch/core';
import { redisStore } from '@offswitch/redis';
import { createRuntime, openGate, type ReceiptPart } from '@offswitch/runtime';
import { type LocalRedis, memorySource, openFaultProxy, startLocalRedis, waitUntil } from '@offswitch/testing';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { linksTo } from '../src/connection/link.ts';
import { Wire } from '../src/connection/wire.ts';
import { Receipts } from '../src/receipts.ts';
import { describeRedis } from './real-redis.ts';
import { until } from './until.ts';

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

  test('of terminates that are done are read by one that starts after them at the most, and by none after it', async () => {
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
    // Whose word was the last has perhaps looked at them again itself, and noted them; else the first that starts does.
    expect(counts[1]).toBeLessThan(20);
    expect(counts[2]).toBeLessThan(20);
  });

  test('are noted as over only as they were read, also where whoever read them dies before it can look again (S10)', async () => {
    const prefix = 'noted';
    const wire = new Wire({ open: linksTo({ url: server.url }), timeoutMs: 8_000, prefix, where: 'this machine' });
    const as = (process: string, reading: Pick<Wire, 'call'> = wire) =>
      new Receipts({ writing: wire, reading: reading as Wire, prefix, process });
    const over = { ...part('a'), stages: { recorded: 1, fenced: 2, drained: 3, revoked: 3, done: 4 } };
    await as('a').write(over);
    let isDead = false;
    const dies = {
      call: async (argv: readonly string[], timeoutMs?: number) => {
        if (isDead) throw new Error('it died');
        const reply = await wire.call(argv, timeoutMs);
        if (argv[0] !== 'HGETALL') return reply;
        isDead = true;
        await as('b').write(part('b'));
        return reply;
      },
    };
    const standing = { isAlive: () => true };
    const stops = [{ id: over.id, isForGood: true }];
    await expect(as('c', dies).toGoOn(stops, standing)).rejects.toThrow('it died');
    expect([...(await as('d').toGoOn(stops, standing)).keys()]).toEqual([over.id]);
    // Over again, and said so by everybody: noted, and not read any more.
    await as('b').write({ ...over, process: 'b' });
    expect((await as('d').toGoOn(stops, standing)).size).toBe(0);
    expect(await server.command('ZSCORE', `${prefix}:{ctl}:receipts-done`, over.id)).toContain('1');
    wire.close();
  });

  describe('when more were written than are kept', () => {
    const standing = { isAlive: () => true };
    const all = { recorded: 1, fenced: 1, drained: 1, revoked: 1, done: 1 };
    const ended = (id: string, since: number): ReceiptPart => {
      const one = part('p1');
      return { ...one, id, stop: { ...one.stop, id, since, action: 'terminate' }, stages: all };
    };
    const inForce = (id: string, since: number): ReceiptPart => {
      const one = ended(id, since);
      return { ...one, stop: { ...one.stop, action: 'pause' } };
    };
    const open: Wire[] = [];
    afterEach(() => {
      for (const one of open.splice(0)) one.close();
    });
    const few = (prefix: string, process = 'p1'): Receipts => {
      const wire = new Wire({ open: linksTo({ url: server.url }), timeoutMs: 8_000, prefix, where: 'this machine' });
      open.push(wire);
      return new Receipts({ writing: wire, reading: wire, prefix, process, most: { kept: 5, done: 20 } });
    };
    const ids = (receipts: readonly { readonly id: string }[]): string[] => receipts.map(({ id }) => id).sort();

    test('the one that is written last is there, however old its stop is and wherever the clock was set back to (S10)', async () => {
      const receipts = few('last');
      for (let i = 0; i < 7; i++) await receipts.write(ended(`t-${i}`, 1_000 + i));
      await receipts.write(ended('old', 1));
      expect(ids(await receipts.all(standing))).toEqual(['old', 't-3', 't-4', 't-5', 't-6']);
      const later = String(Date.now() + 3_600_000);
      await server.command(
        'ZADD',
        'last:{ctl}:receipts',
        'XX',
        ...['old', 't-3', 't-4', 't-5', 't-6'].flatMap((id) => [later, id]),
      );
      await receipts.write(ended('older', 0));
      expect(ids(await receipts.all(standing))).toEqual(['older', 't-3', 't-4', 't-5', 't-6']);
    });

    test('a terminate whose receipt was cleared away is gone on with once, and noted as over for good (S10)', async () => {
      const receipts = few('once');
      const stops = Array.from({ length: 8 }, (_, i) => ({ id: `t-${i}`, isForGood: true }));
      for (const [i, { id }] of stops.entries()) await receipts.write(ended(id, 1_000 + i));
      const first = await receipts.toGoOn(stops, standing);
      expect([...first.keys()]).toEqual(['t-0', 't-1', 't-2']);
      for (const [i, id] of [...first.keys()].entries()) await receipts.write(ended(id, 1_000 + i));
      expect((await receipts.toGoOn(stops, standing)).size).toBe(0);
      // Of these notes, too, the last is there.
      const more = Array.from({ length: 20 }, (_, i) => ({ id: `u-${i}`, isForGood: true }));
      for (const one of more) {
        await receipts.write(ended(one.id, 2_000));
        await receipts.toGoOn([one], standing);
      }
      await receipts.write(ended('t-0', 1));
      expect((await receipts.toGoOn(stops.slice(0, 1), standing)).size).toBe(0);
      for (const { id } of more.slice(0, 5)) await receipts.write(ended(id, 2_000));
      expect((await receipts.toGoOn(stops.slice(0, 1), standing)).size).toBe(0);
    });

    test('that of a stop in force is there, however many came to their end since, and is one of those when it is released (S10)', async () => {
      const receipts = few('force');
      await receipts.write(inForce('pause', 1));
      for (let i = 0; i < 7; i++) await receipts.write(ended(`t-${i}`, 1_000 + i));
      expect(ids(await receipts.all(standing))).toEqual(['pause', 't-2', 't-3', 't-4', 't-5', 't-6']);
      await receipts.write({ ...inForce('pause', 1), released: 9 });
      expect(ids(await receipts.all(standing))).toEqual(['pause', 't-3', 't-4', 't-5', 't-6']);
    });

    describe('that of a terminate', () => {
      const atWork = (id: string): ReceiptPart => ({ ...ended(id, 1), process: 'p2', stages: { recorded: 1, fenced: 1 } });
      const lease = (prefix: string, tillMs: number) =>
        server.command('ZADD', `${prefix}:{ctl}:lease`, String(Date.now() + tillMs), 'p2');
      const fill = async (receipts: Receipts) => {
        for (let i = 0; i < 7; i++) await receipts.write(ended(`t-${i}`, 1_000 + i));
        return ids(await receipts.all(standing));
      };

      test('at which a process that lives is still at work is there, however many came to their end since another said that it is done (S10)', async () => {
        const [one, two] = [few('at-work'), few('at-work', 'p2')];
        await lease('at-work', 3_600_000);
        await two.write(atWork('slow'));
        await one.write(ended('slow', 1));
        expect(await fill(one)).toEqual(['slow', 't-2', 't-3', 't-4', 't-5', 't-6']);
        await two.write({ ...atWork('slow'), stages: all });
        expect(ids(await one.all(standing))).toEqual(['slow', 't-3', 't-4', 't-5', 't-6']);
      });
      test('at which only a process that is gone was at work goes as those that are over do, and nothing of it is left', async () => {
        const [one, two] = [few('gone'), few('gone', 'p2')];
        await lease('gone', -1);
        await two.write(atWork('left'));
        await one.write(ended('left', 1));
        expect(await fill(one)).toEqual(['t-2', 't-3', 't-4', 't-5', 't-6']);
        expect(await server.command('KEYS', 'gone:*left*')).toBe('');
      });
      test('at work goes too where more of these were written than are kept, and nothing of it is left', async () => {
        const two = few('grows', 'p2');
        await lease('grows', 3_600_000);
        for (let i = 0; i < 7; i++) await two.write(atWork(`w-${i}`));
        expect(ids(await two.all(standing))).toEqual(['w-2', 'w-3', 'w-4', 'w-5', 'w-6']);
        expect(await server.command('KEYS', 'grows:*w-0*')).toBe('');
      });
    });
  });

  test('hold up nothing that is written meanwhile, however long they are (I14)', async () => {
    const proxy = await openFaultProxy({ port: server.port });
    const url = new URL(server.url);
    url.port = String(proxy.port);
    const prefix = 'long';
    const store = redisStore({ url: url.href, prefix, leaseMs: 60_000, timeoutMs: 20_000, anchor: false });
    await store.open();
    await store.lineage.register(registration('r-1', ['r-1']));
    const long = part(store.processId);
    await store.writeReceipt({ ...long, stop: { ...long.stop, reason: 'x'.repeat(400) } });
    await store.receipts();
    store.append('r-1', { t: 'turn', s: 'r-1', e: 1, at: 1, turn: 1 } as never);
    await store.flush();
    // 64 bytes a second on each connection: the receipt takes some seven seconds.
    await proxy.mode('slow');
    const read = store.receipts().then(
      () => 'read',
      () => 'not read',
    );
    await until('it is being read', async () => (await server.command('CLIENT', 'LIST')).includes('cmd=hgetall'));
    store.append('r-1', { t: 'turn', s: 'r-1', e: 1, at: 2, turn: 2 } as never);
    expect(await Promise.race([read, store.flush().then(() => 'written')])).toBe('written');
    await proxy.heal();
    expect(await read).toBe('read');
    await store.close();
    await proxy.close();
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

function part(process: string): ReceiptPart {
  const words = { stages: {}, sessions: [], grants: [], residue: [], others: [], missing: {}, at: 1 };
  const stop = {
    id: 'act.1',
    tier: 'instance',
    cause: 'operator',
    action: 'terminate',
    reason: 'r',
    since: 1,
    subject: {},
  } as const;
  return { id: 'act.1', stop, ...words, process };
}

function registration(session: string, path: readonly string[]) {
  return { session, path, agent: 'w', workflow: 'w', isLocalRoot: path.length === 1 };
}

async function calls(server: LocalRedis, command: string): Promise<number> {
  const said = await server.command('INFO', 'commandstats');
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(said)?.[1] ?? 0);
}
