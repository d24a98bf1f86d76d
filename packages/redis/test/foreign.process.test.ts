// foreign.process.test.ts: an address that leads to another system's Redis for a while, with real servers. The stops of neither reach the other.

import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { redisStore } from '@offswitch/redis';
import { formatStopKey, type GrantRecord, type KeptReading, type StateStore, subjectKey } from '@offswitch/runtime';
import { type LocalRedis, startLocalRedis } from '@offswitch/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { functionName } from '../src/lua/library.ts';
import { describeRedis } from './real-redis.ts';
import { until } from './until.ts';

/** What is asked here has nothing to do with time. */
const patient = { leaseMs: 20_000, timeoutMs: 8_000 };
const details = { reason: 'it went wrong', by: 'ada', at: 1000 };
const stopKey = (id: string): string =>
  formatStopKey({ kind: 'act', cause: 'operator', action: 'terminate', tier: 'instance', subject: subjectKey(id), id: 'o-1' });
const grant = (id: string, process: string): GrantRecord => ({
  id,
  session: 's-1',
  path: ['s-1'],
  broker: 'vault',
  audience: 'repos',
  scope: ['read'],
  process,
  state: 'active',
  at: 1000,
  expiresAt: 2000,
});
const keysOf = async (store: StateStore): Promise<string[]> => (await store.stops()).map(({ key }) => key).sort();

describeRedis('when an address leads to the Redis of another system', () => {
  let folder: string;
  const open: { close(): Promise<unknown> }[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'offswitch-redis-foreign-'));
  });
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const kept = <One extends { close(): Promise<unknown> }>(one: One): One => {
    open.push(one);
    return one;
  };
  const store = (url: string, anchor: string | false = false): StateStore => kept(redisStore({ url, ...patient, anchor }));
  /** Of two systems: one address that leads to either, or nowhere, and a process of each with a stop. */
  const two = async () => {
    const [x, y] = [kept(await startLocalRedis()), kept(await startLocalRedis())];
    let to: LocalRedis | undefined = x;
    const sockets = new Set<Socket>();
    const address = createServer((client) => {
      if (!to) return client.destroy();
      const upstream = connect(to.port, '127.0.0.1');
      for (const one of [client, upstream]) {
        one.on('error', () => {});
        one.on('close', () => [client, upstream].map((socket) => socket.destroy()));
        sockets.add(one);
      }
      client.pipe(upstream).pipe(client);
    });
    const lead = (there: LocalRedis | undefined): void => {
      to = there;
      for (const one of sockets) one.destroy();
      sockets.clear();
    };
    await once(address.listen(0, '127.0.0.1'), 'listening');
    open.push({
      close: async () => {
        lead(undefined);
        address.close();
      },
    });
    const [ofX, ofY] = [store(x.url), store(y.url)];
    await ofX.open();
    await ofY.open();
    await ofX.mark(stopKey('x'), 'engaged', 0, details);
    await ofY.mark(stopKey('y'), 'engaged', 0, details);
    return { x, y, ofX, ofY, lead, url: `redis://127.0.0.1:${(address.address() as AddressInfo).port}` };
  };
  const toldOf = (one: StateStore): Set<string> => {
    const told = new Set<string>();
    one.watch(({ stops = [] }) => {
      for (const { key } of stops) told.add(key);
    });
    return told;
  };
  const holds = (one: StateStore) => until('it holds', () => /is not the store/.test(one.health.why ?? ''));

  test('a process that was opened while its own was away takes no stop from one to the other, nor into the anchor (S4)', async () => {
    const { x, y, ofX, ofY, lead, url } = await two();
    const anchor = join(folder, 'redis.json');
    const before = store(url, anchor);
    await before.open();
    await before.close();
    lead(undefined);
    const one = store(url, anchor);
    expect((await one.open()).stops.map(({ key }) => key)).toEqual([stopKey('x')]);
    const told = toldOf(one);
    lead(y);
    await holds(one);
    await expect(one.mark(stopKey('x-2'), 'engaged', 0, details)).rejects.toMatchObject({
      code: 'store_failed',
      message: expect.stringContaining('OTHERSTORE'),
    });
    await one.close();
    expect(await keysOf(ofY)).toEqual([stopKey('y')]);
    expect([...told]).toEqual([]);
    expect(readFileSync(anchor, 'utf8')).not.toContain(stopKey('y'));
    lead(x);
    const next = store(url, anchor);
    expect((await next.open()).stops.map(({ key }) => key)).toEqual([stopKey('x')]);
    expect(await keysOf(ofX)).toEqual([stopKey('x')]);
  });

  test('for a moment, a process of its own brings none of the other’s stops home, holds, and still hears of its own (S4, I13)', async () => {
    const { x, y, ofX, ofY, lead, url } = await two();
    const one = store(url);
    await one.open();
    const told = toldOf(one);
    const bystander = toldOf(ofX);
    lead(y);
    await holds(one);
    await ofY.mark(stopKey('y-2'), 'engaged', 0, details);
    lead(x);
    await ofX.mark(stopKey('x-2'), 'engaged', 0, details);
    await until('it hears of its own', () => told.has(stopKey('x-2')));
    expect([...told]).toEqual([stopKey('x-2')]);
    expect(one.lineage!.isCutOff()).toBe(true);
    await one.mark(stopKey('x-3'), 'engaged', 0, details);
    await until('what it writes is told there', () => bystander.has(stopKey('x-3')));
    expect([...bystander]).toEqual([stopKey('x-3')]);
    expect(await keysOf(ofX)).toEqual(['x', 'x-2', 'x-3'].map(stopKey).sort());
  });

  test('while it is held there it changes nothing of what the other keeps, takes nothing of it for its own, and calls no stop removed (I7, I12)', async () => {
    const { x, y, ofX, ofY, lead, url } = await two();
    const reading = (series: string): KeptReading[] => [{ key: 'killswitch.global', state: 'released', series, n: 1, at: 1000 }];
    const anchor = join(folder, 'redis.json');
    const one = store(url, anchor);
    await one.open({ runsSessions: true });
    await ofX.keepReadings(reading('of x'));
    await ofX.writeDocument('switches', { of: 'x' });
    await ofY.keepReadings(reading('of y'));
    await ofY.writeDocument('switches', { of: 'y' });
    await ofY.grants!.put(grant('of-y', ofY.processId));
    const before = await y.command('KEYS', '*');
    const lost: string[] = [];
    one.watch((change) => lost.push(...(change.lost ?? []).map(({ key }) => key)));
    lead(y);
    await holds(one);
    const asked: (() => Promise<unknown>)[] = [
      () => one.stops(),
      () => one.keepReadings(reading('of x, and new')),
      () => one.writeDocument('switches', { of: 'x' }),
      () => one.resolve({ session: 's-1', call: 't1-1', verdict: 'happened', by: 'ada', at: 1000 }),
      () => one.receipts(),
      () => one.receiptsToGoOn([{ id: 'r', isForGood: true }]),
      () => one.grants!.put(grant('of-x', one.processId)),
      () => one.grants!.list(),
      () => one.audit!.append([{ v: 1, process: one.processId, n: 1, at: 1000, prev: '', type: 'closed' } as never]),
      () => one.forensics!.writeBundle('s-1', '{}'),
    ];
    await until(
      'it has read what there is',
      async () =>
        !(await one.stops().then(
          () => true,
          () => false,
        )),
    );
    for (const ask of asked) await expect(ask()).rejects.toMatchObject({ code: 'store_failed' });
    // Also where it is led there between two looks: the server compares.
    for (const [name, ...args] of [
      ['keep', 'readings', '[]'],
      ['resolve', 'f', '{}'],
      ['lend', 's-1', 'of-x', '{}'],
    ] as const)
      expect(
        await y.command('FCALL', functionName(name), '1', 'os1:{ctl}:ev', 'os1', 'id-of-x', ...args).catch(String),
      ).toContain('OTHERSTORE');
    // One that starts there knows by the machine's memory alone.
    const next = store(url, anchor);
    expect((await next.open({ runsSessions: true })).readings).toEqual([]);
    await expect(next.writeDocument('switches', { of: 'x' })).rejects.toMatchObject({ code: 'store_failed' });
    const others = store(y.url);
    expect((await others.open()).readings).toEqual(reading('of y'));
    expect(await others.readDocument('switches')).toEqual({ of: 'y' });
    await others.close();
    expect((await y.command('KEYS', '*')).split('\n').sort()).toEqual(before.split('\n').sort());
    expect(lost).toEqual([]);
    lead(x);
    await until('it writes at home again', () =>
      one.keepReadings(reading('of x, and new')).then(
        () => true,
        () => false,
      ),
    );
    expect(await keysOf(one)).toEqual([stopKey('x')]);
  });
});
