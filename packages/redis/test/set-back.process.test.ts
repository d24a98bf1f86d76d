// set-back.process.test.ts: Redis comes back as it was a moment before it was killed, or on a machine whose clock is ahead or behind: after a
// loss of power under `everysec`, or when a replica takes over that had not got the last of it.

import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { formatStopKey, type StateStore, subjectKey } from '@offswitch/runtime';
import { type LocalRedis, startLocalRedis } from '@offswitch/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { functionName } from '../src/lua/library.ts';
import { type Fleet, fleet } from './fleet.ts';
import { describeRedis } from './real-redis.ts';
import { until } from './until.ts';

const details = { reason: 'it went wrong', by: 'ada', at: 1000 };
const stopKey = (id: string): string =>
  formatStopKey({ kind: 'act', cause: 'operator', action: 'pause', tier: 'instance', subject: subjectKey(id), id: 'o-1' });
const root = (id: string) => ({ session: id, path: [id], agent: 'writer', workflow: 'drafts', isLocalRoot: true });
const turn = (n: number) => ({ t: 'turn', s: 'r-1', e: 1, at: 1, turn: n }) as const;

describeRedis('a Redis that comes back as it was a moment before', () => {
  let redis: LocalRedis;
  let ships: Fleet;
  let a: StateStore;
  let b: StateStore;
  beforeEach(async () => {
    redis = await startLocalRedis({ config: [['auto-aof-rewrite-percentage', '0']] });
    ships = await fleet(redis);
    a = ships.store;
    b = await ships.share();
    await a.open();
    await b.open();
  });
  afterEach(async () => {
    await ships.close();
    await redis.close();
  });

  /** What is written from here on is lost when it is called: Redis is killed, and starts with what was on the disk. */
  async function moment(): Promise<() => Promise<void>> {
    await redis.command('CONFIG', 'SET', 'appendfsync', 'always');
    await redis.command('SET', 'written', '1');
    const folder = (await redis.command('CONFIG', 'GET', 'dir')).split('\n')[1]!;
    const kept = join(folder, 'kept');
    cpSync(join(folder, 'appendonlydir'), kept, { recursive: true });
    return async () => {
      await redis.kill();
      rmSync(join(folder, 'appendonlydir'), { recursive: true });
      cpSync(kept, join(folder, 'appendonlydir'), { recursive: true });
      await redis.start();
    };
  }

  const turnsIn = async (store: StateStore): Promise<number[]> => {
    await ships.kill(store);
    const { journals } = await b.lineage.adopt(['writer']);
    return journals.flatMap(({ records }) => records.flatMap((one) => (one.t === 'turn' ? [one.turn] : [])));
  };

  test('gets the records that it had acknowledged again, each once and in order, and everybody goes on (S7, I14)', async () => {
    await a.lineage.register(root('r-1'));
    a.append('r-1', { t: 'session', s: 'r-1', e: 1, at: 1, root: 'r-1', path: ['r-1'], agent: 'writer', workflow: 'drafts' });
    a.append('r-1', turn(1));
    await a.flush();
    const back = await moment();
    for (let n = 2; n < 6; n++) {
      a.append('r-1', turn(n));
      await a.flush();
    }
    await back();
    a.append('r-1', turn(6));
    await until('all is written', () =>
      a.flush().then(
        () => true,
        () => false,
      ),
    );
    await until('both go on', () => [a, b].every((one) => one.health.state === 'ok' && !one.lineage.isCutOff()));
    expect(await turnsIn(a)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('gets again what a process registered, wrote and ended, although that process writes nothing more (I3)', async () => {
    await a.lineage.register(root('r-0'));
    a.append('r-0', turn(0));
    await a.flush();
    const back = await moment();
    await a.lineage.register(root('r-1'));
    await a.lineage.register(root('r-2'));
    a.lineage.note('r-2', 'r-2', 'completed');
    await a.flush();
    await back();
    await until(
      'it ended there too',
      async () => (await b.lineage.find('r-2', 'r-2').catch(() => undefined))?.state === 'completed',
    );
    expect(await b.lineage.find('r-1', 'r-1')).toMatchObject({ state: 'running', process: a.processId });
    const child = { ...root('c-1'), path: ['r-1', 'c-1'], call: 'k' };
    await until('b goes on', () => !b.lineage.isCutOff());
    expect(await b.lineage.register(child)).toEqual({ status: 'registered' });
  });

  test('or with everything it had raises no session from the dead that was cleared away since it ended (I12)', async () => {
    await a.lineage.register(root('r-1'));
    a.lineage.note('r-1', 'r-1', 'completed');
    await a.flush();
    // As when it is kept for less long than Redis is away.
    await redis.command('DEL', ...[...'mnxktoc'].map((name) => `${ships.prefix}:{r-1}:${name}`));
    await redis.kill();
    await redis.start();
    await until('it is known again', async () => (await b.lineage.find('r-1', 'r-1').catch(() => undefined)) !== undefined);
    await until('it has ended', async () => (await b.lineage.find('r-1', 'r-1'))?.state === 'completed');
    expect(await redis.command('SMEMBERS', ships.key(`agents:${a.processId}`))).toBe('');
    expect(Number(await redis.command('PTTL', `${ships.prefix}:{r-1}:n`))).toBeGreaterThan(0);
  });

  test('has its processes write again what they lent and what they told of a stop, and tells them so in no other case (I4, S10)', async () => {
    let setBack = 0;
    a.watch((change) => {
      if (change.isSetBack) setBack++;
    });
    await ships.proxies.get(a)!.mode('reset');
    await ships.proxies.get(a)!.heal();
    await b.mark(stopKey('s-0'), 'engaged', 0, details);
    await until('both have heard of it', async () =>
      (await b.lineage.confirm(stopKey('s-0'), 0)).confirmed.includes(a.processId),
    );
    expect(setBack).toBe(0);
    await (await moment())();
    await until('it is told', () => setBack === 1);
  });

  // Several, since it was a matter of which connection was back first.
  test('learns of the end of a session whose registration it has lost, also where it is told before it is asked (I3)', async () => {
    const ids = Array.from({ length: 6 }, (_, i) => `r-${i}`);
    for (const id of ids) {
      const back = await moment();
      await a.lineage.register(root(id));
      const down = back();
      a.lineage.note(id, id, 'completed');
      await down;
      await until('all is written', () =>
        a.flush().then(
          () => true,
          () => false,
        ),
      );
      expect((await b.lineage.find(id, id))?.state).toBe('completed');
    }
  });

  test('counts nobody as having taken a stop in for what it read before, also where its clock is behind (I1, S10)', async () => {
    const back = await moment();
    // As a server numbers it whose clock is an hour ahead of the one that comes back.
    const ahead = `${Date.now() + 3_600_000}-0`;
    const seq = Number(await redis.command('HGET', ships.key('meta'), 'seq').then((found) => found || '0')) + 1;
    const heard: string[] = [];
    b.watch((change) => heard.push(...(change.stops ?? []).map((one) => one.key)));
    await redis.command('HSET', ships.key('meta'), 'seq', String(seq), 'tail', ahead);
    const event = ['t', 'stop', 'k', stopKey('lost'), 's', 'e', 'n', '0', 'd', JSON.stringify(details)];
    await redis.command('XADD', ships.key('ev'), ahead, 'q', String(seq), ...event);
    await until('b has heard of it', () => heard.includes(stopKey('lost')));
    const [, life] = /^life\..*\n(.*)$/m.exec(await redis.command('HGETALL', ships.key('meta')))!;
    await back();
    await until('both are back', () => ![a, b].some((one) => one.lineage.isCutOff()));
    await ships.proxies.get(b)!.mode('black-hole');
    // What b said of it was under way when Redis was killed.
    await redis.command('FCALL', functionName('seen'), '1', ships.key('ev'), ships.prefix, b.processId, ahead, life!);
    await a.mark(stopKey('new'), 'engaged', 0, details);
    const { confirmed } = await a.lineage.confirm(stopKey('new'), 0);
    expect([confirmed, b.lineage.isCutOff()]).toEqual([[b.processId], true]);
    await ships.proxies.get(b)!.heal();
    await until('b goes on', () => !b.lineage.isCutOff());
    // Before it may go on, not when the clock has caught up.
    expect(heard).toContain(stopKey('new'));
    await a.mark(stopKey('next'), 'engaged', 0, details);
    await a.lineage.confirm(stopKey('next'), 0);
    expect(heard).toContain(stopKey('next'));
  });

  test('hears requests and news of its own inbox although its clock is behind, and answers no request twice', async () => {
    const asked: string[] = [];
    await b.serve!(async (method) => void asked.push(method), { keepsAlive: false });
    const back = await moment();
    const inbox = ships.key(`in:${b.processId}`);
    const request = (id: string) => ['t', 'ask', 'm', id, 'd', '{}', 'r', id, 'i', id];
    await redis.command('XADD', inbox, `${Date.now() + 3_600_000}-0`, ...request('lost'));
    await until('it is heard', () => asked.includes('lost'));
    await back();
    await until('b is back', () => !b.lineage.isCutOff());
    await redis.command('XADD', inbox, '*', ...request('lost'));
    await redis.command('XADD', inbox, '*', ...request('new'));
    await until('it is heard too', () => asked.includes('new'));
    expect(asked).toEqual(['lost', 'new']);
  });

  for (const [what, byMs] of [
    ['ahead', 8 * 60_000],
    ['behind', -8 * 60_000],
  ] as const)
    test(`counts no lease as run out, or as longer than it is, by a clock that is ${what} (I1, I11)`, async () => {
      await b.lineage.register({ ...root('r-1'), agent: 'researcher' });
      await ships.proxies.get(a)!.mode('refuse');
      await ships.proxies.get(b)!.mode('black-hole');
      // What a clock that jumps says of what was written before is what older, or younger, data says to one that does not.
      const times = (await redis.command('ZRANGE', ships.key('lease'), '0', '-1', 'WITHSCORES')).split('\n');
      const now = Number(await redis.command('HGET', ships.key('meta'), 'now'));
      for (let i = 0; i < times.length; i += 2)
        await redis.command('ZADD', ships.key('lease'), String(Number(times[i + 1]) - byMs), times[i]!);
      await redis.command('HSET', ships.key('meta'), 'now', String(now - byMs));
      await redis.kill();
      await redis.start();
      await ships.proxies.get(a)!.heal();
      // Its lease may have outlasted all this, so that it says nothing of the connection.
      const isMarked = () =>
        a.mark(stopKey('s-1'), 'engaged', 0, details).then(
          () => true,
          () => false,
        );
      await until('a is back', async () => (await isMarked()) && !a.lineage.isCutOff());
      await a.lineage.adopt(['researcher']);
      const mayGoOn = !b.lineage.isCutOff();
      const owner = await redis.command('HGET', `${ships.prefix}:{r-1}:o`, 'r-1');
      expect(mayGoOn && owner !== b.processId).toBe(false);
      // Its lease has run out by its own clock before anybody counts it as gone, and it is counted as gone.
      expect([(await a.lineage.confirm(stopKey('s-1'), 0)).confirmed, b.lineage.isCutOff()]).toEqual([[b.processId], true]);
    });
});
