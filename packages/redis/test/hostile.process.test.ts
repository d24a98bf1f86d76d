// hostile.process.test.ts: what Redis, the network and the machine do to a store, with a real server and a real process. No stop is lost
// or lifted, nobody goes on who counts as gone, and it comes back by itself.

import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RedisStoreOptions, redisStore, requestRedisControl } from '@offswitch/redis';
import { formatStopKey, type StateStore, subjectKey, systemClock } from '@offswitch/runtime';
import { type LocalRedis, type LocalRedisOptions, startLocalRedis } from '@offswitch/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Fleet, fleet, leaseMs } from './fleet.ts';
import { describeRedis } from './real-redis.ts';
import { until } from './until.ts';

const details = { reason: 'it went wrong', by: 'ada', at: 1000 };
const stopKey = (id: string): string =>
  formatStopKey({ kind: 'act', cause: 'operator', action: 'pause', tier: 'instance', subject: subjectKey(id), id: 'o-1' });
const root = (id: string) => ({ session: id, path: [id], agent: 'writer', workflow: 'drafts', isLocalRoot: true });

describeRedis('a store in Redis, in trouble', () => {
  let folder: string;
  const open: { close(): Promise<void> }[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'offswitch-redis-hostile-'));
  });
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const server = async (options: LocalRedisOptions = {}): Promise<LocalRedis> => {
    const one = await startLocalRedis(options);
    open.push(one);
    return one;
  };
  const ships = async (of: LocalRedis, options: Partial<RedisStoreOptions> = {}): Promise<Fleet> => {
    const one = await fleet(of, options);
    open.push(one);
    return one;
  };
  const direct = (of: LocalRedis, options: Partial<RedisStoreOptions> = {}): StateStore => {
    const one = redisStore({ url: of.url, leaseMs, anchor: join(folder, 'redis.json'), ...options });
    open.push(one);
    return one;
  };
  /** One that this machine knows, with a stop in it, and away. */
  const killedWithAStop = async (): Promise<LocalRedis> => {
    // Every second, what was acknowledged in the last moments may be lost, and then it is not the store that was known.
    const redis = await server({ config: [['appendfsync', 'always']] });
    const before = direct(redis);
    await before.open();
    await before.mark(stopKey('s-1'), 'engaged', 0, details);
    await before.close();
    await redis.kill();
    return redis;
  };
  const two = async (of: LocalRedis, options: Partial<RedisStoreOptions> = {}) => {
    const { store: a, share, ...rest } = await ships(of, options);
    const b = await share();
    await a.open();
    await b.open();
    return { a, b, share, ...rest };
  };

  describe('when an answer of Redis is lost', () => {
    test('that somebody sees cut off for a moment only, by a clock that was set, tells that it is back: whoever saw it holds till then (I11, I14)', async () => {
      let ahead = 0;
      const store = direct(await server(), { clock: { ...systemClock, now: () => Date.now() + ahead } });
      await store.open();
      const told: string[] = [];
      store.watch(({ health }) => {
        if (health) told.push(health.state);
      });
      ahead = 2 * leaseMs;
      expect(store.health.state).toBe('failed');
      await until('it tells that it is back', () => told.includes('ok'), 3 * leaseMs);
      expect(store.health).toEqual({ state: 'ok' });
    });

    test('what was registered all the same is this process’s to begin, when its call is made again (I14)', async () => {
      const redis = await server();
      const { a, b } = await two(redis, { timeoutMs: 1500, leaseMs: 60_000 });
      await a.lineage.register(root('r-1'));
      const child = (session: string) => ({ ...root(session), path: ['r-1', session], call: 'k' });
      redis.halt();
      await expect(b.lineage.register(child('first'))).rejects.toMatchObject({ code: 'store_failed' });
      redis.goOn();
      await until('it came about', async () => (await a.lineage.find('first', 'r-1').catch(() => undefined)) !== undefined);
      await until(
        'it is told so',
        async () => (await b.lineage.register(child('again')).catch(() => undefined))?.status === 'exists',
      );
      expect([a.claim('first', 2), b.claim('first', 2)]).toEqual([false, true]);
    });
  });

  describe('when Redis is killed', () => {
    test('no stop that was acknowledged is lost, and everybody goes on when it is back (I5)', async () => {
      const redis = await server();
      const { a, b } = await two(redis);
      const acknowledged: string[] = [];
      let killing: Promise<void> | undefined;
      for (let i = 0; i < 2000; i += 100)
        await Promise.all(
          Array.from({ length: 100 }, async (_, n) => {
            const key = stopKey(`s-${i + n}`);
            try {
              await a.mark(key, 'engaged', 0, details);
              acknowledged.push(key);
            } catch {
              // Not acknowledged.
            }
            // In the middle of a hundred that are on their way.
            if (acknowledged.length > 650) killing ??= redis.kill();
          }),
        );
      await killing;
      expect(acknowledged.length).toBeGreaterThan(100);
      await redis.start();
      const found = async () => new Set((await b.stops().catch(() => [])).map((stop) => stop.key));
      await until('b answers', async () => (await found()).size > 0);
      const there = await found();
      expect(acknowledged.filter((key) => !there.has(key))).toEqual([]);
      // What was made meanwhile and not acknowledged is known to the process, which writes it when Redis is back.
      await until('the others are written too', async () => (await found()).size === 2000);
      await until('both go on', () => !a.lineage.isCutOff() && !b.lineage.isCutOff());
      expect([a.health, b.health]).toEqual([{ state: 'ok' }, { state: 'ok' }]);
    });

    test('no graph of a loop that goes on is cleared away, although it was killed while they were seen to in pages (I14)', async () => {
      const redis = await server();
      // Pages are seen to as this test says.
      const { a, key, prefix } = await two(redis, { leaseMs: 60_000, timeoutMs: 1500 });
      const ids = Array.from({ length: 1_000 }, (_, i) => `l-${i}`);
      for (let i = 0; i < ids.length; i += 100)
        await Promise.all(ids.slice(i, i + 100).map((id) => a.lineage.register({ ...root(id), isLoop: true })));
      const each = (what: string) =>
        redis.command(
          'EVAL',
          `local n = 0 for i = 0, 999 do local key = ARGV[1] .. ':{l-' .. i .. '}:m' ${what} end return n`,
          '0',
          prefix,
        );
      await each(`redis.call('PEXPIRE', key, 3600000)`);
      let cursor = '0';
      for (let seen = 0; seen < 500; ) {
        const [next, ...page] = (await redis.command('HSCAN', key(`l:${a.processId}`), cursor, 'COUNT', '100')).split('\n');
        for (const id of page.filter((_, i) => i % 2 === 0)) await redis.command('PERSIST', `${prefix}:{${id}}:m`);
        seen += page.length / 2;
        cursor = next!;
      }
      await redis.command('HSET', key('loops'), a.processId, `back ${cursor}`);
      await redis.kill();
      await redis.start();
      const isDone = async () => {
        await a.serve!(async () => {}, { keepsAlive: false });
        return (await redis.command('HLEN', key('loops'))) === '0';
      };
      await until('all are seen to', isDone);
      expect(await each(`if redis.call('PTTL', key) > 0 then n = n + 1 end`)).toBe('0');
    });

    test('records that were appended meanwhile are written once, in order, when it is back (S7)', async () => {
      const redis = await server();
      const { a, b, kill } = await two(redis);
      await a.lineage.register(root('r-1'));
      const turn = (n: number) => ({ t: 'turn', s: 'r-1', e: 1, at: 1, turn: n }) as const;
      a.append('r-1', { t: 'session', s: 'r-1', e: 1, at: 1, root: 'r-1', path: ['r-1'], agent: 'writer', workflow: 'drafts' });
      for (let n = 0; n < 500; n++) a.append('r-1', turn(n));
      // In the middle of writing: what was answered, and what was made without an answer, is not told apart from here.
      const halfway = a.flush().catch(() => {});
      await redis.kill();
      await halfway;
      for (let n = 500; n < 1000; n++) a.append('r-1', turn(n));
      await redis.start();
      await until('it is written', () =>
        a.flush().then(
          () => true,
          () => false,
        ),
      );
      await until('b goes on', () => !b.lineage.isCutOff());
      await kill(a);
      const { journals } = await b.lineage.adopt(['writer']);
      const turns = journals.flatMap(({ records }) => records.flatMap((one) => (one.t === 'turn' ? [one.turn] : [])));
      expect(turns).toEqual(Array.from({ length: 1000 }, (_, n) => n));
    });
  });

  describe('when it is not the Redis that was known', () => {
    const lose: Readonly<Record<string, (redis: LocalRedis) => Promise<unknown>>> = {
      'lost its data (FLUSHALL)': (redis) => redis.command('FLUSHALL'),
      'is another server on the same port': async (redis) => {
        await redis.kill();
        await redis.start({ fresh: true });
      },
    };
    for (const [what, how] of Object.entries(lose))
      test(`one that ${what} is held, gets the stops back, and is not believed by who starts later (S4, I13)`, async () => {
        const redis = await server();
        const { a, b } = await two(redis);
        const late = direct(redis, { prefix: 'late' });
        await late.open();
        for (const one of [a, late]) await one.mark(stopKey('s-1'), 'engaged', 0, details);
        await a.lineage.confirm(stopKey('s-1'), 0);
        await late.close();
        await how(redis);
        await until('both hold', () =>
          [a, b].every((one) => one.health.state === 'failed' && /lost its data|not the store/.test(one.health.why!)),
        );
        expect([a.lineage.isCutOff(), b.lineage.isCutOff()]).toEqual([true, true]);
        await expect(a.lineage.register(root('r-1'))).rejects.toMatchObject({ code: 'store_failed' });
        await until('the stop is back', async () => (await b.stops()).some((stop) => stop.key === stopKey('s-1')));
        const next = direct(redis, { prefix: 'late' });
        const { stops } = await next.open();
        expect(stops.map((stop) => stop.key)).toEqual([stopKey('s-1')]);
        expect(next.health.state).toBe('failed');
        expect(next.lineage.isCutOff()).toBe(true);
        await until('it is written there too', async () => (await next.stops()).length === 1);
        await next.close();
        rmSync(join(folder, 'redis.json'));
        const accepted = direct(redis, { prefix: 'late' });
        expect((await accepted.open()).stops.map((stop) => stop.key)).toEqual([stopKey('s-1')]);
        expect(accepted.health).toEqual({ state: 'ok' });
      });

    test('a file that remembers and cannot be read holds as well; it is its owner’s alone (S4)', async () => {
      const redis = await server();
      const one = direct(redis);
      await one.open();
      await one.mark(stopKey('s-1'), 'engaged', 0, details);
      await one.close();
      const path = join(folder, 'redis.json');
      expect(statSync(path).mode & 0o777).toBe(0o600);
      expect(readFileSync(path, 'utf8')).toContain(stopKey('s-1'));
      writeFileSync(path, '{"os1":');
      const next = direct(redis);
      expect((await next.open()).stops).toHaveLength(1);
      expect(next.health).toMatchObject({ state: 'failed', why: expect.stringContaining('remove it and restart') });
    });

    test('a stop that a person deletes is told as lost and written again (S4)', async () => {
      const redis = await server();
      const { a, b, key, proxies } = await two(redis);
      await a.mark(stopKey('s-1'), 'engaged', 7, details);
      await a.lineage.confirm(stopKey('s-1'), 7);
      const lost = new Promise<unknown>((resolve) => {
        b.watch((change) => change.lost && resolve(change.lost));
      });
      await redis.command('DEL', key('stops'));
      // A reconnect compares; so does every half minute.
      await proxies.get(b)!.mode('reset');
      await proxies.get(b)!.heal();
      expect(await lost).toMatchObject([{ key: stopKey('s-1'), marks: { engaged: 7, released: -1 }, engaged: details }]);
      await until('it is back', async () => (await a.stops())[0]?.marks.engaged === 7);
    });
  });

  describe('when nothing comes through', () => {
    const faults: Readonly<
      Record<string, { begin(redis: LocalRedis): Promise<unknown>; end(redis: LocalRedis): Promise<unknown> }>
    > = {
      'a halted server': { begin: async (redis) => redis.halt(), end: async (redis) => redis.goOn() },
      'a slow script': {
        async begin(redis) {
          void redis.command('EVAL', 'while true do end', '0').catch(() => {});
          await until('it is busy', () =>
            redis.command('PING').then(
              () => false,
              () => true,
            ),
          );
        },
        end: (redis) => redis.command('SCRIPT', 'KILL'),
      },
    };
    for (const [what, { begin, end }] of Object.entries(faults))
      test(`${what} cuts everybody off after the lease, and nobody longer than it lasts (I11)`, async () => {
        const redis = await server({ config: [['busy-reply-threshold', '100']] });
        const { a, b } = await two(redis, { leaseMs: 1500 });
        await begin(redis);
        await until('both are cut off', () => a.lineage.isCutOff() && b.lineage.isCutOff());
        expect([a.health.state, b.health.state]).toEqual(['failed', 'failed']);
        await expect(a.mark(stopKey('s-1'), 'engaged', 0, details)).rejects.toMatchObject({ code: 'store_failed' });
        await end(redis);
        await until('both go on', () => !a.lineage.isCutOff() && !b.lineage.isCutOff());
        // Known to the process that made it, and written when it could be.
        await until('the stop is there', async () => (await b.stops().catch(() => [])).length === 1);
      });

    test('a reader behind a dead link gives it up by its own clock and hears everything, in order and once', async () => {
      const redis = await server();
      const { a, b, proxies } = await two(redis);
      const heard: string[] = [];
      b.watch((change) => heard.push(...(change.stops ?? []).map((stop) => stop.key)));
      const keys = Array.from({ length: 300 }, (_, i) => stopKey(`s-${i}`));
      for (const [i, key] of keys.entries()) {
        if (i === 100) await proxies.get(b)!.mode('black-hole');
        if (i === 200) await proxies.get(b)!.heal();
        if (i === 250) await proxies.get(b)!.mode('reset');
        if (i === 260) await proxies.get(b)!.heal();
        await a.mark(key, 'engaged', 0, details);
      }
      await until('everything is heard', () => heard.length >= keys.length);
      expect([...heard].sort()).toEqual([...keys].sort());
    });

    test('a lease that was found out by asking is told of, and so is its end: nobody is held for ever by it (I14)', async () => {
      let jumpedMs = 0;
      const clock = { ...systemClock, now: () => Date.now() + jumpedMs };
      const one = direct(await server(), { clock });
      await one.open();
      await one.serve?.(async () => ({}), { keepsAlive: false });
      await until('it may go on', () => !one.lineage.isCutOff());
      const told: string[] = [];
      one.watch(({ health }) => {
        if (health) told.push(health.state);
      });
      // In one stretch of the event loop: no timer has run when the guard asks.
      jumpedMs = 3_600_000;
      expect(one.lineage.isCutOff()).toBe(true);
      expect(told).toEqual(['failed']);
      await until('its end is told', () => told.at(-1) === 'ok');
    });

    const openedWhileAway = async (stops: number, count: number) => {
      const redis = await server({ config: [['appendfsync', 'always']] });
      const before = direct(redis, { anchor: false });
      await before.open();
      await Promise.all(
        Array.from({ length: stops }, (_, i) => before.mark(stopKey(`s-${i}`), 'engaged', 0, details).catch(() => {})),
      );
      await before.mark(stopKey('last'), 'engaged', 0, details);
      await before.close();
      await redis.kill();
      const stores = Array.from({ length: count }, () => direct(redis, { anchor: false }));
      const heard = new Map(stores.map((store) => [store, new Set<string>()]));
      for (const store of stores) {
        expect((await store.open()).stops).toEqual([]);
        store.watch((change) => {
          for (const { key } of change.stops ?? []) heard.get(store)!.add(key);
        });
      }
      await redis.start();
      return stores.map(async (store) => {
        while (store.lineage.isCutOff()) await new Promise((resolve) => setImmediate(resolve));
        return heard.get(store)!.has(stopKey('last'));
      });
    };

    test('opened while Redis is away, it has heard of every stop there is before it may go on (I1)', async () => {
      for (const hasHeard of await openedWhileAway(1, 8)) expect(await hasHeard).toBe(true);
    });

    test('opened while Redis is away, it joins also one that still loads its data when it is first asked (I14)', async () => {
      for (const hasHeard of await openedWhileAway(2_000, 1)) expect(await hasHeard).toBe(true);
    });

    test('opened while Redis is away, it holds with what the machine remembers and goes on when Redis is there (S4)', async () => {
      const redis = await killedWithAStop();
      const one = direct(redis);
      expect((await one.open()).stops.map((stop) => stop.key)).toEqual([stopKey('s-1')]);
      expect([one.health.state, one.lineage.isCutOff()]).toEqual(['failed', true]);
      const heard: string[] = [];
      one.watch((change) => heard.push(...(change.stops ?? []).map((stop) => stop.key)));
      await redis.start();
      await until('it goes on', () => !one.lineage.isCutOff());
      expect(one.health).toEqual({ state: 'ok' });
      const other = direct(redis, { anchor: false });
      await other.open();
      await other.mark(stopKey('s-2'), 'engaged', 0, details);
      expect((await other.lineage.confirm(stopKey('s-2'), 0)).unconfirmed).toEqual([]);
      expect(heard).toContain(stopKey('s-2'));
    });
  });

  test('a stop that is made while Redis is away, where it was away from the beginning, is remembered by the machine (S4)', async () => {
    const redis = await killedWithAStop();
    const remembers = (file: string, id: string) => until(`${id} is remembered`, () => readFileSync(file, 'utf8').includes(id));
    const one = direct(redis);
    await one.open();
    await expect(one.mark(stopKey('s-2'), 'engaged', 0, details)).rejects.toMatchObject({ code: 'store_failed' });
    await remembers(join(folder, 'redis.json'), 's-2');
    expect((await direct(redis).open()).stops.map((stop) => stop.key).sort()).toEqual([stopKey('s-1'), stopKey('s-2')]);
    // Which Redis it is of is not known before that is back.
    const anchor = join(folder, 'first.json');
    const first = direct(redis, { anchor });
    await first.open();
    await expect(first.mark(stopKey('s-3'), 'engaged', 0, details)).rejects.toMatchObject({ code: 'store_failed' });
    writeFileSync(anchor, '{}');
    await redis.start();
    await remembers(anchor, 's-3');
  });

  describe('what cannot work', () => {
    test('is refused with the reason, and no message holds a credential', async () => {
      const redis = await server({ password: 'right-secret' });
      for (const url of [`redis://:wrong-secret@127.0.0.1:${redis.port}`, `redis://127.0.0.1:${redis.port}`]) {
        const error = await redisStore({ url, anchor: false })
          .open()
          .catch((thrown: unknown) => thrown as Error);
        expect(error).toMatchObject({ code: 'invalid_option', message: expect.stringMatching(/credentials/) });
        expect(String(error)).not.toContain('secret');
      }
      const right = direct(redis);
      await right.open();
      expect(right.health).toEqual({ state: 'ok' });
      expect(JSON.stringify([right.location, right.name])).not.toContain('secret');
      expect(() => redisStore({ url: 'http://secret@x' })).toThrow(expect.objectContaining({ code: 'invalid_option' }));
      // A password with a character that it should have been written without: what stands before it is taken for the host.
      for (const url of ['redis://u:12/secret@h', 'redis://u:12?secret@h', 'redis://u:12#secret@h', 'redis://u:pw/secret@h']) {
        const refused = expect.objectContaining({ code: 'invalid_option', message: expect.not.stringContaining('secret') });
        expect(() => redisStore({ url, anchor: false })).toThrow(refused);
        await expect(requestRedisControl({ url }, 'status')).rejects.toEqual(refused);
      }
      expect(() => redisStore({})).toThrow(expect.objectContaining({ code: 'invalid_option' }));
      expect(() => redisStore({ url: redis.url, leaseMs: 1000, timeoutMs: 900 })).toThrow(/could not be renewed/);
    });

    test('a server without appendonly works and says what it may lose', async () => {
      const redis = await server({ appendOnly: false });
      const one = direct(redis);
      await one.open();
      expect(one.health).toMatchObject({ state: 'memory', why: expect.stringContaining('appendonly') });
    });

    test('a key that holds something else fails by name, holds its process, and loses nothing once it is removed', async () => {
      const redis = await server();
      const { a, b, prefix, kill } = await two(redis);
      await a.lineage.register(root('r-1'));
      await redis.command('SET', `${prefix}:{r-1}:j`, 'mine');
      a.append('r-1', { t: 'session', s: 'r-1', e: 1, at: 1, root: 'r-1', path: ['r-1'], agent: 'writer', workflow: 'drafts' });
      await expect(a.flush()).rejects.toMatchObject({ code: 'store_failed', message: expect.stringMatching(/WRONGTYPE/) });
      expect(a.health).toMatchObject({ state: 'failed', why: expect.stringMatching(/WRONGTYPE/) });
      await redis.command('DEL', `${prefix}:{r-1}:j`);
      await until('it is taken', () => a.health.state === 'ok');
      await a.flush();
      await kill(a);
      expect((await b.lineage.adopt(['writer'])).journals.flatMap(({ records }) => records)).toHaveLength(1);
    });

    test('a server out of memory still takes stops, and refuses new sessions', async () => {
      const redis = await server();
      const { a, b } = await two(redis);
      await redis.command('CONFIG', 'SET', 'maxmemory', '1');
      await a.mark(stopKey('s-1'), 'engaged', 0, details);
      expect(await a.lineage.confirm(stopKey('s-1'), 0)).toMatchObject({ confirmed: [b.processId], unconfirmed: [] });
      await expect(a.lineage.register(root('r-1'))).rejects.toMatchObject({
        code: 'store_failed',
        message: expect.stringMatching(/OOM/),
      });
      expect(a.lineage.isCutOff()).toBe(false);
    });
  });

  test('closing leaves no connection, no process entry and no file of half a write', async () => {
    const redis = await server();
    const { a, b, key } = await two(redis);
    await a.mark(stopKey('s-1'), 'engaged', 0, details);
    await Promise.all([a.close(), b.close()]);
    await until('no connection is left', async () => !(await redis.command('CLIENT', 'LIST')).includes('name=offswitch'));
    expect(await redis.command('ZCARD', key('lease'))).toBe('0');
  });

  test('closing is bounded where Redis does not answer', async () => {
    const redis = await server();
    const { a, proxies } = await two(redis, { leaseMs: 1000 });
    a.append('r-1', { t: 'turn', s: 'r-1', e: 1, at: 1, turn: 1 });
    await proxies.get(a)!.mode('black-hole');
    await a.close();
    expect(() => a.append('r-1', { t: 'turn', s: 'r-1', e: 1, at: 1, turn: 1 })).toThrow(
      expect.objectContaining({ code: 'closed' }),
    );
  });

  test('a process that was halted past its lease is refused by its first check, and what it ran is another’s (I1, S7)', async () => {
    const redis = await server();
    // Only the other one's lease is to run out, however busy this machine is.
    const here = direct(redis, { anchor: false, leaseMs: 60_000 });
    await here.open();
    const wasHalted = join(folder, 'was-halted');
    const child = fork(new URL('halted-process.mjs', import.meta.url), [redis.url, String(leaseMs), wasHalted], {
      execArgv: [],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    open.push({ close: () => end(child) });
    const said = (what: string) =>
      new Promise<Record<string, unknown>>((resolve) => {
        const hear = (message: unknown): void => {
          if ((message as { what?: string }).what !== what) return;
          child.off('message', hear);
          resolve(message as Record<string, unknown>);
        };
        child.on('message', hear);
      });
    await said('runs');
    child.kill('SIGSTOP');
    // It still holds its lease, so the stop waits for it, and not longer than that.
    await here.mark(stopKey('s-1'), 'engaged', 0, details);
    const { unconfirmed } = await here.lineage.confirm(stopKey('s-1'), 0);
    expect(unconfirmed).toEqual([]);
    const { journals } = await here.lineage.adopt(['writer']);
    expect(journals.flatMap(({ records }) => records.map(({ s }) => s))).toEqual(['r-1']);
    expect(here.claim('r-1', 2)).toBe(true);
    const woke = said('woke');
    const back = said('back');
    writeFileSync(wasHalted, '');
    child.kill('SIGCONT');
    expect(await woke).toMatchObject({ wasEverFreeAfterHalt: false });
    expect(await back).toMatchObject({ takenOver: ['r-1'], heard: [stopKey('s-1')], claims: false });
  });

  test('100,000 sessions of one graph are registered, paged through and found, and a stop of it is as fast as of one', async () => {
    const redis = await server();
    const { a, b } = await two(redis, { leaseMs: 20_000 });
    const paths: string[][] = [['r']];
    await a.lineage.register(root('r'));
    for (let i = 1; i < 100_000; i++) {
      const parent = paths[Math.floor(i / 3)]!;
      paths.push([...(parent.length < 20 ? parent : paths[0]!), `s-${i}`]);
    }
    for (let i = 1; i < paths.length; i += 2000)
      await Promise.all(
        paths
          .slice(i, i + 2000)
          .map((path) =>
            a.lineage.register({ session: path.at(-1)!, path, agent: 'writer', workflow: 'drafts', isLocalRoot: false }),
          ),
      );
    const found = new Set<string>();
    let after: string | undefined;
    do {
      const page = await b.lineage.subtree('r', 'r', { limit: 5000, ...(after === undefined ? {} : { after }) });
      for (const one of page.sessions) found.add(one.session);
      after = page.next;
    } while (after !== undefined);
    expect(found.size).toBe(100_000);
    expect((await b.lineage.find('s-99999', 'r'))?.path).toEqual(paths[99_999]);
    await a.mark(stopKey('r'), 'engaged', 0, details);
    expect((await a.lineage.confirm(stopKey('r'), 0)).confirmed).toEqual([b.processId]);
  });
});

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}
