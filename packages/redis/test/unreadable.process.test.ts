// unreadable.process.test.ts: values in Redis that a hand has spoiled. Each is left out by name; nothing else is lost with it.

import { requestRedisControl } from '@offswitch/redis';
import { formatStopKey, type StateStore, subjectKey } from '@offswitch/runtime';
import { type LocalRedis, startLocalRedis } from '@offswitch/testing';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Fleet, fleet } from './fleet.ts';
import { describeRedis } from './real-redis.ts';
import { until } from './until.ts';

const details = { reason: 'it went wrong', by: 'ada', at: 1000 };
const key = formatStopKey({
  kind: 'act',
  cause: 'operator',
  action: 'pause',
  tier: 'instance',
  subject: subjectKey('s-1'),
  id: 'o-1',
});
const root = { session: 'r-1', path: ['r-1'], agent: 'writer', workflow: 'drafts', isLocalRoot: true };

describeRedis('what cannot be read in Redis', () => {
  let redis: LocalRedis;
  let ships: Fleet;
  let a: StateStore;
  let b: StateStore;
  beforeAll(async () => {
    redis = await startLocalRedis();
  });
  afterAll(() => redis.close());
  beforeEach(async () => {
    ships = await fleet(redis);
    a = ships.store;
    b = await ships.share();
    await a.open();
    await b.open();
  });
  afterEach(() => ships.close());

  test('keeps no stop from being told, and is named until it is removed (I13)', async () => {
    const heard: string[] = [];
    b.watch((change) => heard.push(...(change.stops ?? []).map((one) => one.key)));
    await redis.command('HSET', ships.key('resolutions'), 'x', 'no json');
    await redis.command('HSET', ships.key('resolutions'), 'y', '{"session":1}');
    await ships.proxies.get(b)!.mode('refuse');
    await a.mark(key, 'engaged', 0, details);
    await ships.proxies.get(b)!.heal();
    await until('b hears of it', () => heard.includes(key));
    await until('b goes on', () => !b.lineage.isCutOff());
    expect(b.health).toMatchObject({ state: 'memory', why: expect.stringMatching(/:resolutions \("x", "y"\) cannot be read/) });
    expect((await a.lineage.confirm(key, 0)).confirmed).toEqual([b.processId]);
    await redis.command('DEL', ships.key('resolutions'));
    await ships.proxies.get(b)!.mode('reset');
    await ships.proxies.get(b)!.heal();
    await until('it is well again', () => b.health.state === 'ok');
  });

  test('of a receipt is told of by name, and hides no other receipt (S10, I12)', async () => {
    const stop = { id: 'k', tier: 'user', cause: 'operator', action: 'terminate', reason: 'r', since: 1, subject: {} } as const;
    const blank = {
      stop,
      stages: {},
      sessions: [],
      grants: [],
      residue: [],
      process: a.processId,
      at: 1,
      others: [],
      missing: {},
    };
    for (const id of ['r-1', 'r-2', 'r-3']) await a.writeReceipt({ ...blank, id });
    await redis.command('HSET', ships.key('receipt:r-1'), a.processId, JSON.stringify({ ...blank, id: 'r-1', stages: null }));
    await redis.command('HSET', ships.key('receipt:r-2'), a.processId, JSON.stringify({ ...blank, id: 'r-2' }).slice(0, 100));
    const unread: string[] = [];
    expect(await b.receipts((what) => unread.push(what))).toMatchObject([{ id: 'r-3' }]);
    expect(unread.sort()).toEqual(
      ['r-1', 'r-2'].map((id) => `what stands in ${ships.key(`receipt:${id}`)} ("${a.processId}") is no receipt`),
    );
  });

  test('keeps no process from opening: readings and documents that are none count as not there (S5)', async () => {
    await redis.command('SET', ships.key('readings'), '{"flags":');
    await redis.command('SET', ships.key('document:switches'), 'mine');
    await redis.command('HSET', ships.key('resolutions'), 'x', 'no json');
    const next = await ships.share();
    expect(await next.open()).toMatchObject({ readings: [], resolutions: [] });
    expect(next.lineage.isCutOff()).toBe(false);
    expect(await next.readDocument('switches')).toBe(undefined);
    expect(next.health).toMatchObject({ state: 'memory', why: expect.stringContaining(':readings, ') });
  });

  test('readings under another kind of key lose nobody a person’s word on a call (I13)', async () => {
    await a.resolve({ session: 's-1', call: 'k', verdict: 'happened', by: 'ada', reason: 'it was seen', at: 1 });
    await redis.command('DEL', ships.key('readings'));
    await redis.command('LPUSH', ships.key('readings'), 'x');
    const opening = await (await ships.share()).open();
    expect(opening.resolutions).toMatchObject([{ session: 's-1', call: 'k', verdict: 'happened' }]);
    expect(opening.readings).toEqual([]);
  });

  test('a stop whose value is spoiled stops whoever comes, also where it was released before that (S4, I13)', async () => {
    await a.mark(key, 'engaged', 1, details);
    await a.mark(key, 'released', 1, details);
    await a.mark(key, 'engaged', 5, details);
    for (const spoiled of ['spoiled', '9999999999999999 1-1 {}']) {
      await redis.command('HSET', ships.key('stops'), `${key} e`, spoiled);
      const { stops } = await (await ships.share()).open();
      const marks = stops.find((one) => one.key === key)!.marks;
      expect(marks.engaged).toBeGreaterThan(marks.released);
    }
  });

  test('a stop whose value is spoiled still stops, and so does one whose words are (S4, I13)', async () => {
    await redis.command('HSET', ships.key('stops'), `${key} e`, 'spoiled');
    const next = await ships.share();
    expect((await next.open()).stops).toEqual([{ key, marks: { engaged: 0, released: -1 } }]);
    await next.mark(key, 'engaged', 3, details);
    expect((await a.stops())[0]).toMatchObject({ key, marks: { engaged: 3 }, engaged: details });
  });

  test('a stop whose value is spoiled is named, written anew by whoever reads it, and released for good by a person (S4, I13)', async () => {
    const field = `${key} e`;
    for (const [n, spoiled] of ['spoiled', '9999999999999999 1-1 {}', '3 nothing {}'].entries()) {
      await redis.command('HSET', ships.key('stops'), field, spoiled);
      const one = await ships.share();
      expect((await one.open()).stops).toEqual([expect.objectContaining({ key, marks: { engaged: n, released: n - 1 } })]);
      expect(one.health).toMatchObject({ state: 'memory', why: expect.stringContaining(`:stops (${JSON.stringify(field)})`) });
      expect(await one.lineage.confirm(key, n)).toMatchObject({
        confirmed: [expect.anything(), expect.anything()],
        unconfirmed: [],
      });
      await one.mark(key, 'released', n, details);
      await one.close();
      const next = await ships.share();
      expect((await next.open()).stops).toEqual([expect.objectContaining({ key, marks: { engaged: n, released: n } })]);
      expect(next.health).toEqual({ state: 'ok' });
      await next.close();
    }
    // One that runs already reads it when it reads everything.
    await redis.command('HSET', ships.key('stops'), field, 'spoiled');
    await ships.proxies.get(a)!.mode('reset');
    await ships.proxies.get(a)!.heal();
    const written = async () => (await redis.command('HGET', ships.key('stops'), field)).startsWith('3 ');
    await until('it is written anew', written);
  });

  test('what is no stop is named until it is removed, and stops nobody (I13)', async () => {
    await redis.command('HSET', ships.key('stops'), 'mine', 'x', `${key} r`, 'spoiled');
    const one = await ships.share();
    expect((await one.open()).stops).toEqual([]);
    expect(one.health.why).toContain(`:stops ("mine", ${JSON.stringify(`${key} r`)})`);
    await redis.command('DEL', ships.key('stops'));
    await ships.proxies.get(one)!.mode('reset');
    await ships.proxies.get(one)!.heal();
    await until('it is well again', () => one.health.state === 'ok');
  });

  test('what begins as a stop does and goes on is none, whatever its value: nothing could write it anew (I13)', async () => {
    const [spoiled, well] = [`${key} e x`, `${key} e y`];
    await redis.command('HSET', ships.key('stops'), spoiled, 'spoiled', well, '5 1-1 {}');
    const one = await ships.share();
    expect((await one.open()).stops).toEqual([]);
    for (const field of [spoiled, well]) expect(one.health.why).toContain(JSON.stringify(field));
    expect(await one.stops()).toEqual([]);
  });

  test('one credential that cannot be read keeps no other from being taken back (I4)', async () => {
    const record = (id: string) => ({
      id,
      session: 'r-1',
      path: ['r-1'],
      broker: 'mail',
      audience: 'smtp',
      scope: [],
      process: a.processId,
      state: 'active' as const,
      at: 1,
      expiresAt: 2,
    });
    for (const id of ['g-1', 'g-2']) await a.grants!.put(record(id));
    await redis.command('HSET', `${ships.prefix}:{r-1}:g`, `g-1\n${a.processId}`, 'no json');
    expect((await a.grants!.list()).map((one) => one.record.id)).toEqual(['g-2']);
    expect(a.health.why).toContain('{r-1}:g');
  });

  test('a process whose words are spoiled is still waited for, and keeps nobody else from being asked (S10)', async () => {
    await b.serve!(async () => 'here', { keepsAlive: false });
    await redis.command('HSET', ships.key('proc'), 'p-spoiled', 'no json');
    await redis.command('HSET', ships.key('seen'), 'p-spoiled', '99999999999999-0');
    await redis.command('ZADD', ships.key('lease'), '99999999999999', 'p-spoiled');
    await a.mark(key, 'engaged', 0, details);
    expect((await a.lineage.confirm(key, 0)).confirmed).toContain('p-spoiled');
    const answers = await requestRedisControl({ url: redis.url, prefix: ships.prefix }, 'ping');
    expect(answers).toMatchObject([{ process: b.processId, result: 'here' }]);
  });

  test('a session whose words are spoiled is still found under its root, and still ends (I3)', async () => {
    await a.lineage.register(root);
    await redis.command('HSET', `${ships.prefix}:{r-1}:t`, '1', 'r-1\nno json');
    expect((await b.lineage.subtree('r-1', 'r-1')).sessions).toMatchObject([{ session: 'r-1', state: 'running' }]);
    a.lineage.note('r-1', 'r-1', 'completed');
    await a.flush();
    expect(await b.lineage.find('r-1', 'r-1')).toMatchObject({ session: 'r-1', state: 'completed' });
  });

  test('news in an inbox that is none is passed over, and the next is heard', async () => {
    const told: unknown[] = [];
    b.watch(({ children }) => children && told.push(...children));
    const inbox = ships.key(`in:${b.processId}`);
    const news = { parent: 'r-1', call: 't1-1', child: 'c-1', state: 'c' };
    for (const text of ['no json', '{"parent":1}', JSON.stringify(news)])
      await redis.command('XADD', inbox, '*', 't', 'child', 'd', text);
    await until('it is heard', () => told.length > 0);
    expect(told).toEqual([{ ...news, state: 'completed' }]);
  });
});
