// takeover.process.test.ts: graphs that go from one process to another over a real Redis, and graphs whose root is gone: each has
// one process, nobody waits for ever, and nothing is kept of what is over.

import { defineKillSwitches } from '@offswitch/core';
import { type RedisStoreOptions, redisStore } from '@offswitch/redis';
import {
  createRuntime,
  formatStopKey,
  newPathKey,
  openGate,
  pathKeysFromEnv,
  type Runtime,
  type StateStore,
} from '@offswitch/runtime';
import { type LocalRedis, memorySource, openFaultProxy, startLocalRedis } from '@offswitch/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Fleet, fleet } from './fleet.ts';
import { describeRedis } from './real-redis.ts';

const switches = defineKillSwitches({
  global: { authorized: ['on-call'] },
  features: { alpha: { authorized: ['on-call'] }, beta: { authorized: ['on-call'] } },
  user: { authorized: ['on-call'] },
  instance: { authorized: ['on-call'] },
});
const pathKeys = pathKeysFromEnv({ OFFSWITCH_PATH_KEYS: newPathKey() });

async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 30_000): Promise<void> {
  const endsAt = performance.now() + withinMs;
  while (!(await holds())) {
    if (performance.now() > endsAt) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describeRedis('graphs over Redis', () => {
  let redis: LocalRedis;
  const open: { close(): Promise<void> }[] = [];
  beforeEach(async () => {
    redis = await startLocalRedis();
  });
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.close();
    await redis.close();
  });
  const storeOf = (options: Partial<RedisStoreOptions> = {}): StateStore =>
    redisStore({ url: redis.url, anchor: false, ...options });
  const started = async (store: StateStore, alarms: string[] = []): Promise<Runtime<'alpha' | 'beta'>> => {
    const runtime = await createRuntime({
      switches,
      source: memorySource(switches),
      store,
      pathKeys,
    });
    runtime.subscribe((event) => event.type === 'alarm' && alarms.push(event.message));
    open.push(runtime);
    return runtime;
  };

  describe('a process', () => {
    const root = { session: 'r-1', path: ['r-1'], agent: 'writer', workflow: 'drafts', isLocalRoot: true };
    const born = {
      t: 'session',
      s: 'r-1',
      e: 1,
      at: 1,
      root: 'r-1',
      path: ['r-1'],
      agent: 'writer',
      workflow: 'drafts',
    } as const;
    const two = async (options: Partial<RedisStoreOptions> = {}) => {
      const ships: Fleet = await fleet(redis, options);
      open.push(ships);
      const [a, b] = [ships.store, await ships.share()];
      await a.open();
      await b.open();
      const lost: string[] = [];
      a.watch((change) => lost.push(...(change.takenOver ?? [])));
      await a.lineage.register(root);
      a.append('r-1', born);
      await a.flush();
      const key = (name: string): string => `${ships.prefix}:{r-1}:${name}`;
      return { ships, a, b, lost, key };
    };

    test('writes nothing of a session that the store says is another’s, and is told so (S7, I6)', async () => {
      const { a, b, lost, key } = await two();
      // However that came about: nobody has told it that it was counted as gone.
      await redis.command('HSET', key('o'), 'r-1', b.processId);
      expect(a.claim('r-1', 2)).toBe(true);
      a.append('r-1', { t: 'claim', s: 'r-1', e: 2, at: 2 });
      a.lineage.note('r-1', 'r-1', 'resting');
      await a.flush();
      expect([await redis.command('EXISTS', key('e')), await redis.command('XLEN', key('j'))]).toEqual(['0', '1']);
      expect((await b.lineage.find('r-1', 'r-1'))?.state).toBe('running');
      expect([lost, a.claim('r-1', 3)]).toEqual([['r-1'], false]);
      // What comes after it is written.
      await a.lineage.register({ ...root, session: 'r-2', path: ['r-2'] });
      expect(a.claim('r-2', 2)).toBe(true);
      await a.flush();
      expect((await redis.command('HGET', key('e').replace('r-1', 'r-2'), 'r-2')).split(' ')[0]).toBe('2');
    });

    test('writes nothing of what it began under that either, and what the store had not taken in yet when it was lost (I6)', async () => {
      const { a, b, lost, key } = await two();
      const child = { ...born, s: 'r-1a', path: ['r-1', 'r-1a'] } as const;
      a.append('r-1', child);
      await a.flush();
      await redis.command('HSET', key('o'), 'r-1', b.processId);
      a.append('r-1', { t: 'settled', s: 'r-1a', e: 1, at: 2, status: 'terminated' });
      await a.flush();
      expect([await redis.command('XLEN', key('j')), lost]).toEqual(['2', ['r-1']]);
    });

    test('takes back no epoch that a session has in the store, and has lost it (I6)', async () => {
      const { a, b, lost, key } = await two();
      await redis.command('HSET', key('e'), 'r-1', `7 ${b.processId}`);
      expect(a.claim('r-1', 5)).toBe(true);
      await a.flush();
      expect([await redis.command('HGET', key('e'), 'r-1'), lost]).toEqual([`7 ${b.processId}`, ['r-1']]);
    });

    test('that was away until what it ran had ended elsewhere and was cleared away goes on with none of it (S6, I6)', async () => {
      const { ships, a, b, lost, key } = await two({ retentionMs: 1_000 });
      await ships.lease!.cut(a);
      await ships.lease!.runOut(a);
      await b.lineage.adopt(['writer']);
      b.lineage.note('r-1', 'r-1', 'terminated');
      await b.flush();
      await until('it is cleared away', async () => (await redis.command('EXISTS', key('n'))) === '0');
      await ships.lease!.mend(a);
      await until('it is back', () => !a.lineage.isCutOff());
      expect([lost, a.claim('r-1', 2)]).toEqual([['r-1'], false]);
    });

    test('that was away keeps what nobody has taken: its own, and what the store itself has lost (I14)', async () => {
      const { ships, a, lost, key } = await two();
      await a.lineage.register({ ...root, session: 'r-2', path: ['r-2'] });
      await ships.lease!.cut(a);
      await ships.lease!.runOut(a);
      await redis.command('DEL', ...['m', 'n', 'x', 'k', 't', 'o', 'c'].map(key));
      await redis.command('SREM', ships.key(`p:${a.processId}:writer`), 'r-1\nr-1');
      await ships.lease!.mend(a);
      await until('it is back', () => !a.lineage.isCutOff());
      expect([lost, a.claim('r-1', 2), a.claim('r-2', 2)]).toEqual([[], true, true]);
    });
  });

  test('what another process took over and ended is let go of by the one that lost it, and whoever waits for it is told (S7, I14)', async () => {
    const proxy = await openFaultProxy({ port: redis.port });
    open.push(proxy);
    const store = storeOf({ url: `redis://127.0.0.1:${proxy.port}`, leaseMs: 1_500 });
    const one = await started(store);
    const two = await started(storeOf({ leaseMs: 1_500 }));
    const never = one.agent('alpha', (session) => session.turn(() => new Promise(() => {})));
    const ids = Array.from({ length: 5 }, () => never.start('x').id);
    await until('they run', () => one.sessions().every(({ turn }) => turn === 1));
    await store.flush();
    const waits = Promise.all(ids.map((id) => one.settled(id)));
    await proxy.mode('black-hole');
    await until('it is cut off', () => store.lineage.isCutOff());
    const done: string[] = [];
    two.agent('alpha', (session) =>
      session.turn(async () => {
        done.push(session.id);
        return 'elsewhere';
      }),
    );
    await until('the other ends them', () => done.length === ids.length && two.sessions().length === 0);
    await proxy.heal();
    await until('it is back', () => !store.lineage.isCutOff());
    expect((await waits).map((end) => (end as { result?: unknown }).result)).toEqual(ids.map(() => 'elsewhere'));
    expect(one.sessions()).toEqual([]);
  });

  describe('what a process left that died', () => {
    const leave = async (session: string): Promise<StateStore> => {
      const store = storeOf({ leaseMs: 1_500 });
      await store.open();
      await store.lineage.register({ session, path: [session], agent: 'alpha', workflow: 'alpha', isLocalRoot: true });
      store.append(session, {
        t: 'session',
        s: session,
        e: 1,
        at: 1,
        root: session,
        path: [session],
        agent: 'alpha',
        workflow: 'alpha',
      });
      await store.flush();
      return store;
    };

    test('is taken over but for a graph that is damaged, which is named once, and taken over when it is mended (I14)', async () => {
      const left = [await leave('r-1'), await leave('r-2')];
      const damaged = await redis.command('XADD', 'os1:{r-1}:j', '*', 'p', 'q', 'd', '{"broken');
      const alarms: string[] = [];
      const runtime = await started(storeOf({ leaseMs: 1_500 }), alarms);
      const ran: string[] = [];
      runtime.agent('alpha', (session) => session.turn(async () => void ran.push(session.id)));
      for (const one of left) await one.close();
      await until('what can be read is taken over', () => ran.includes('r-2'));
      await until('the other is named', () => alarms.length > 0);
      expect([ran, alarms]).toEqual([['r-2'], [expect.stringContaining(`os1:{r-1}:j is damaged at ${damaged}`)]]);
      await redis.command('XDEL', 'os1:{r-1}:j', damaged);
      await until('it is taken over', () => ran.includes('r-1'));
      expect([ran, alarms.length]).toEqual([['r-2', 'r-1'], 1]);
    });

    test('is taken over by one that was cut off itself when the other died (I14, S7)', async () => {
      const left = await leave('r-1');
      const proxy = await openFaultProxy({ port: redis.port });
      open.push(proxy);
      const store = storeOf({ url: `redis://127.0.0.1:${proxy.port}`, leaseMs: 1_500 });
      const runtime = await started(store);
      const ran: string[] = [];
      runtime.agent('alpha', (session) => session.turn(async () => void ran.push(session.id)));
      await until('it may go on', () => !store.lineage.isCutOff());
      await proxy.mode('refuse');
      await until('it is cut off', () => store.lineage.isCutOff());
      await left.close();
      await proxy.heal();
      await until('it is taken over', () => ran.includes('r-1'));
    });
  });

  test('what a process lost it writes no more of, neither into its graph nor beside it (S7, I6)', async () => {
    const ships = await fleet(redis);
    open.push(ships);
    const [a, b] = [ships.store, await ships.share()];
    await a.open();
    await b.open();
    const turn = (s: string) => ({ t: 'turn', s, e: 1, at: 1, turn: 9 }) as const;
    const above = { session: 'r-1', path: ['r-1'], agent: 'asks', workflow: 'drafts', isLocalRoot: true };
    await b.lineage.register(above);
    await a.lineage.register({ ...above, session: 'c-1', path: ['r-1', 'c-1'], agent: 'writer', call: 'k' });
    await a.lineage.register({ ...above, session: 'c-2', path: ['r-1', 'c-1', 'c-2'], agent: 'writer', isLocalRoot: false });
    const told: string[] = [];
    a.watch((change) => told.push(...(change.takenOver ?? [])));
    await redis.command('ZADD', ships.key('lease'), 'XX', '0', a.processId);
    await b.lineage.adopt(['writer']);
    await until('a is told', () => told.includes('c-1') && !a.lineage.isCutOff());
    a.append('c-1', turn('c-1'));
    a.append('c-1', turn('c-2'));
    await a.flush();
    const written = (id: string): Promise<string> => redis.command('XLEN', `${ships.prefix}:{${id}}:j`);
    expect([await written('r-1'), await written('c-1')]).toEqual(['0', '0']);
    // Given back, it writes of it again.
    await redis.command('ZADD', ships.key('lease'), 'XX', '0', b.processId);
    await a.lineage.adopt(['writer']);
    a.append('c-1', turn('c-1'));
    await a.flush();
    expect(await written('r-1')).toBe('1');
  });

  test('a process that dies is told of, however many have died before it whose sessions nobody can take up (I14)', async () => {
    const ships = await fleet(redis);
    open.push(ships);
    const [a, b] = [ships.store, await ships.share()];
    await a.open();
    await b.open();
    await a.lineage.register({ session: 'r-1', path: ['r-1'], agent: 'writer', workflow: 'drafts', isLocalRoot: true });
    // Their agent was renamed since.
    const before = Array.from({ length: 150 }, (_, i) => `p-${i}`);
    for (const one of before) await redis.command('SADD', ships.key(`agents:${one}`), 'nobody');
    const told: unknown[] = [];
    b.watch((change) => change.isOrphaned && told.push(change));
    await redis.command('ZADD', ships.key('lease'), ...before.flatMap((one, i) => [String(-i - 1), one]));
    await until('those are told of', () => told.length === 1);
    await a.close();
    await until('and so is this one', () => told.length === 2);
  });

  test('a process takes over what it can of however many are gone, a page of them at a time, and asks nothing of those it cannot (I14)', async () => {
    const ships = await fleet(redis, { leaseMs: 60_000 });
    open.push(ships);
    const [a, b] = [ships.store, await ships.share()];
    await a.open();
    await b.open();
    await a.lineage.register({ session: 'r-1', path: ['r-1'], agent: 'writer', workflow: 'drafts', isLocalRoot: true });
    // Whose agent was renamed since, and who left none, as the last of a page; many ended in the same millisecond.
    const gone = Array.from({ length: 350 }, (_, i) => `p-${String(i).padStart(3, '0')}`);
    const stay = gone.filter((_, i) => i % 3 > 0);
    const leave = "for _, one in ipairs(ARGV) do redis.call('SADD', KEYS[1] .. one, 'nobody') end";
    await redis.command('EVAL', leave, '1', ships.key('agents:'), ...stay);
    await redis.command('ZADD', ships.key('lease'), ...gone.flatMap((one, i) => [i < 250 ? '1' : String(i), one]));
    // What it ran and others have by now.
    const others = Array.from({ length: 450 }, (_, i) => `o-${i}\no-${i}`);
    await redis.command('SADD', ships.key(`p:${a.processId}:writer`), ...others);
    await ships.proxies.get(a)!.mode('refuse');
    await redis.command('ZADD', ships.key('lease'), 'XX', '1000', a.processId);
    await redis.command('CONFIG', 'RESETSTAT');
    const wanted = ['writer', ...Array.from({ length: 20 }, (_, i) => `agent-${i}`)];
    await b.lineage.adopt(wanted);
    const steps = await madeOf(redis, 'fcall');
    expect((await b.lineage.find('r-1', 'r-1'))?.process).toBe(b.processId);
    // One for each, and one that finds no more.
    expect(await madeOf(redis, 'spop')).toBe(others.length + 2);
    expect(steps).toBeGreaterThanOrEqual(6);
    expect(await madeOf(redis, 'smembers')).toBeLessThanOrEqual(100 * steps);
    const left = (await redis.command('ZRANGE', ships.key('lease'), '0', '-1')).split('\n');
    expect(left.filter((one) => one.startsWith('p-')).sort()).toEqual(stay.sort());
  });

  test('every process is told that one is gone which ran sessions, also where it has left none: it may have left credentials (I4)', async () => {
    const ships = await fleet(redis);
    open.push(ships);
    const [a, b, c] = [ships.store, await ships.share(), await ships.share()];
    for (const one of [a, b, c]) await one.open({ runsSessions: true });
    const told: string[] = [];
    b.watch((change) => change.isOrphaned && told.push('b'));
    c.watch((change) => change.isOrphaned && told.push('c'));
    await ships.kill(a);
    await until('both are told', () => told.includes('b') && told.includes('c'));
    const d = await ships.share();
    await d.open();
    told.length = 0;
    await d.close();
    // What the command line opens runs none: nobody is disturbed by it.
    const key = formatStopKey({
      kind: 'act',
      cause: 'operator',
      action: 'terminate',
      tier: 'instance',
      subject: 's-9',
      id: 'o-1',
    });
    await b.mark(key, 'engaged', 0, { reason: 'x', at: 1 });
    await b.lineage.confirm(key, 0);
    expect(told).toEqual([]);
  });

  test('a person’s word on a call is kept as long as its graph is, and goes with it, whoever took it down (S7)', async () => {
    const ships = await fleet(redis, { retentionMs: 1_000 });
    open.push(ships);
    const [a, b] = [ships.store, await ships.share()];
    await a.open();
    await b.open();
    const born = { agent: 'writer', workflow: 'drafts' };
    for (const one of ['parked', 'ended']) await a.lineage.register({ ...born, session: one, path: [one], isLocalRoot: true });
    await a.lineage.register({ ...born, session: 'child', path: ['ended', 'child'], isLocalRoot: false });
    const word = (session: string, call: string) => ({ session, call, verdict: 'happened', by: 'ada', at: 1 }) as const;
    await a.resolve(word('parked', 't1-1'));
    await a.resolve(word('child', 't1-1'));
    // One who only looks, as the command does, asks where it stands.
    await b.resolve(word('child', 't1-2'));
    await b.resolve(word('nobody', 't1-1'));
    a.lineage.note('ended', 'ended', 'completed');
    a.forget('ended');
    await a.flush();
    const kept = async () => (await redis.command('HKEYS', ships.key('resolutions'))).split('\n').sort();
    expect(await kept()).toHaveLength(4);
    await ships.retentionPasses!();
    await until('those of the graph that has gone are gone', async () => (await kept()).length === 2);
    expect(await kept()).toEqual(['["nobody","t1-1"]', '["parked","t1-1"]']);
    expect(await redis.command('HGETALL', ships.key('resolution-roots'))).toBe('["parked","t1-1"]\nparked');
    const { resolutions } = await (await ships.share()).open();
    expect(resolutions).toHaveLength(2);
  });

  test('the loops of a gate that has closed are cleared away in time, or go on at the next gate', async () => {
    const gate = async () => {
      const one = await openGate({ switches, source: memorySource(switches), store: storeOf(), pathKeys, onAlarm: () => {} });
      open.push(one);
      return one;
    };
    const first = await gate();
    for (const sessionId of ['l-1', 'l-2']) {
      await first.decide({ workflow: 'alpha', sessionId });
      await first.carry(sessionId);
    }
    const lasting = (id: string) => redis.command('PTTL', `os1:{${id}}:m`).then(Number);
    expect([await lasting('l-1'), await lasting('l-2')]).toEqual([-1, -1]);
    await first.close();
    for (const id of ['l-1', 'l-2']) expect(await lasting(id)).toBeGreaterThan(0);
    // Nothing else is left of it.
    expect(await redis.command('ZCARD', 'os1:{ctl}:lease')).toBe('0');
    const next = await gate();
    await next.decide({ workflow: 'alpha', sessionId: 'l-1' });
    await next.carry('l-1');
    expect(await lasting('l-1')).toBe(-1);
    expect(await lasting('l-2')).toBeGreaterThan(0);
  });

  test('however many loops a gate has, its end and its return hold Redis up for a few of them at a time', async () => {
    const ships = await fleet(redis, { leaseMs: 1_500 });
    open.push(ships);
    const a = ships.store;
    await a.open();
    const ids = Array.from({ length: 1_600 }, (_, i) => `l-${i}`);
    for (let i = 0; i < ids.length; i += 100)
      await Promise.all(
        ids
          .slice(i, i + 100)
          .map((id) =>
            a.lineage.register({ session: id, path: [id], agent: 'loop', workflow: 'drafts', isLocalRoot: true, isLoop: true }),
          ),
      );
    const lasting = async (): Promise<number> => {
      const left = await Promise.all(
        ids.filter((_, i) => i % 80 === 0).map((id) => redis.command('PTTL', `${ships.prefix}:{${id}}:m`)),
      );
      return left.filter((one) => one === '-1').length;
    };
    await ships.proxies.get(a)!.mode('refuse');
    await redis.command('ZADD', ships.key('lease'), 'XX', '0', a.processId);
    await redis.command('CONFIG', 'RESETSTAT');
    // Whoever renews next counts it as gone.
    const b = await ships.share();
    await b.open();
    await b.serve!(async () => undefined, { keepsAlive: false });
    // Nine keys each.
    expect(await madeOf(redis, 'pexpire')).toBeLessThan(9 * 300 * (await madeOf(redis, 'fcall')));
    await until('all are cleared away in time', async () => (await lasting()) === 0);
    await redis.command('CONFIG', 'RESETSTAT');
    await ships.proxies.get(a)!.heal();
    await until('it goes on', () => !a.lineage.isCutOff());
    expect(await madeOf(redis, 'persist')).toBeLessThan(9 * 300 * (await madeOf(redis, 'fcall')));
    await until('all are kept again', async () => (await lasting()) === 20);
    await until('nothing is left to see to', async () => (await redis.command('EXISTS', ships.key('loops'))) === '0');
  });

  describe('a session whose root was another process’s', () => {
    test('starts nothing more once that has ended: what it spawns is refused and does not wait for ever (S6, I14)', async () => {
      const alarms: string[] = [];
      const one = await started(storeOf());
      const two = await started(storeOf(), alarms);
      let end!: () => void;
      const isOver = new Promise<void>((resolve) => {
        end = resolve;
      });
      const research = two.agent('research', (session) => session.turn(async () => 2));
      const helper = two.agent('alpha', (session) =>
        session.turn(async (turn) => {
          await isOver;
          return turn.spawn(research, 'x').catch((error) => (error as { code?: string }).code);
        }),
      );
      let helped!: ReturnType<typeof helper.run>;
      const asks = one.agent('alpha', (session) =>
        session.turn((turn) =>
          turn.tool('enqueue', {}, async () => {
            helped = helper.run('x', { parent: await two.accept((await session.carry()).headers) });
            await until('it began there', () => two.sessions().length === 1);
          }),
        ),
      );
      const root = await asks.run('x');
      expect(root.status).toBe('completed');
      await one.store.flush();
      end();
      expect(await helped).toMatchObject({ status: 'completed', result: 'root_settled' });
      expect(alarms).toEqual([]);
      expect(two.sessions()).toEqual([]);
    });
  });

  test('a session that was registered, and whose process was cut off before its first word, is told of as stopped under a terminate (S10)', async () => {
    const proxy = await openFaultProxy({ port: redis.port });
    open.push(proxy);
    const store = storeOf({ url: `redis://127.0.0.1:${proxy.port}`, leaseMs: 1_500 });
    const alarms: string[] = [];
    const one = await started(storeOf({ leaseMs: 1_500 }));
    const two = await started(store, alarms);
    const helper = two.agent('helper', (session) => session.turn(() => new Promise(() => {})));
    one.agent('helper', (session) => session.turn(async () => 1));
    // Its words never come to be written; that it is there has.
    store.append = () => {};
    const asks = one.agent('alpha', (session) =>
      session.turn((turn) =>
        turn.tool('ask', {}, async () => {
          helper.run('x', { parent: await two.accept((await session.carry()).headers) }).catch(() => {});
          await new Promise(() => {});
        }),
      ),
    );
    const root = asks.start('x');
    await until('it is there', () => two.sessions().length === 1);
    const [helped] = two.sessions();
    await until('it is registered', async () => (await one.store.lineage.find(helped!.id, root.id)) !== undefined);
    await proxy.mode('black-hole');
    await until('its lease is out', () => store.lineage.isCutOff());
    await until('another process has it', async () => {
      const found = await one.store.lineage.find(helped!.id, root.id);
      return found?.process === one.store.processId;
    });
    await proxy.heal();
    await until('it is back, and told so', () => alarms.some((one) => one.includes(`${helped!.id} was taken over`)));
    await one.stop({ session: root.id, reason: 'r', by: 'ann' });
    let told: unknown;
    await until('its receipt says what became of it', async () => {
      const [receipt] = await one.receipts();
      told = receipt?.sessions.find(({ session }) => session === helped!.id);
      return receipt?.stages.done !== undefined && receipt.sessions.every(({ state }) => state === 'stopped');
    }).catch((error) => expect(told).toBe(String(error)));
    expect(told).toMatchObject({ why: expect.stringContaining('had not begun') });
  }, 60_000);

  test('a graph that Redis has lost is made known again by its own process when it grows (I14)', async () => {
    const one = await started(storeOf());
    const leaf = one.agent('leaf', (session) => session.turn(async () => 'grown'));
    let root = '';
    const middle = one.agent('middle', (session) =>
      session.turn(async (turn) => {
        root = session.rootId;
        await one.store.flush();
        await redis.command('DEL', ...['m', 'n', 'x', 'k', 't', 'o', 'c'].map((name) => `os1:{${root}}:${name}`));
        return turn.spawn(leaf, 'x');
      }),
    );
    const alpha = one.agent('alpha', (session) => session.turn((turn) => turn.spawn(middle, 'x')));
    const run = alpha.run('x');
    expect(await run).toMatchObject({ status: 'completed', result: { result: { result: 'grown' } } });
    const found = await one.store.lineage.subtree(root, root);
    expect(found.sessions.map(({ agent, path }) => [agent, path.length])).toEqual([
      ['alpha', 1],
      ['middle', 2],
      ['leaf', 3],
    ]);
  });
});

/** How often the server made this command since its counts were put back. */
async function madeOf(redis: LocalRedis, command: string): Promise<number> {
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await redis.command('INFO', 'commandstats'))?.[1] ?? 0);
}
