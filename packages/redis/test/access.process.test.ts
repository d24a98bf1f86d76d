// access.process.test.ts: whose Redis it is, and what its user may do there.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { redisStore } from '@offswitch/redis';
import { formatStopKey, type StateStore } from '@offswitch/runtime';
import { type LocalRedis, startLocalRedis } from '@offswitch/testing';
import { afterEach, expect, test } from 'vitest';
import { describeRedis } from './real-redis.ts';

const details = { reason: 'a drill', by: 'ada', at: 1000 };
const key = (id: string): string =>
  formatStopKey({ kind: 'act', cause: 'operator', action: 'pause', tier: 'global', subject: '-', id });
const leaseMs = 20_000;

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function server(): Promise<LocalRedis> {
  const one = await startLocalRedis();
  open.push(one);
  return one;
}

function storeAt(url: string, anchor: string | false): StateStore {
  const one = redisStore({ url, anchor, leaseMs });
  open.push(one);
  return one;
}

describeRedis('a Redis that belongs to another system', () => {
  test('is held by who finds it by mistake, and gets none of its stops (I7, S4)', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'offswitch-redis-access-'));
    const anchor = join(folder, 'redis.json');
    const [staging, production] = [await server(), await server()];
    const before = storeAt(staging.url, anchor);
    await before.open();
    await before.mark(key('drill'), 'engaged', 0, details);
    await before.close();
    const theirs = storeAt(production.url, false);
    await theirs.open();
    const heard: string[] = [];
    theirs.watch((change) => heard.push(...(change.stops ?? []).map((one) => one.key)));
    const wrong = storeAt(production.url, anchor);
    expect((await wrong.open()).stops.map((one) => one.key)).toEqual([key('drill')]);
    await expect(wrong.mark(key('late'), 'engaged', 0, details)).rejects.toMatchObject({ code: 'store_failed' });
    // What is heard comes in order: nothing is on its way any more.
    await theirs.mark(key('own'), 'engaged', 0, details);
    await expect(wrong.stops()).rejects.toMatchObject({ code: 'store_failed' });
    expect([heard, (await theirs.stops()).map((one) => one.key)]).toEqual([[], [key('own')]]);
    expect(wrong.health).toMatchObject({ state: 'failed', why: expect.stringContaining('not the store that was known') });
    await wrong.close();
    rmSync(folder, { recursive: true, force: true });
  });
});

describeRedis('the user of a store in Redis', () => {
  test('that docs/redis.md names may do all that is needed', async () => {
    const redis = await server();
    const docs = readFileSync(new URL('../../../docs/redis.md', import.meta.url), 'utf8');
    const line = /^ACL SETUSER agents .*$/m.exec(docs)![0];
    expect(await redis.command(...line.split(' '))).toBe('OK');
    const one = storeAt(redis.url.replace('//', '//agents:secret@'), false);
    await one.open();
    expect([one.health, one.lineage.isCutOff()]).toEqual([{ state: 'ok' }, false]);
    await one.mark(key('o-1'), 'engaged', 0, details);
    expect((await one.lineage.confirm(key('o-1'), 0)).unconfirmed).toEqual([]);
    const root = { session: 'r-1', path: ['r-1'], agent: 'writer', workflow: 'drafts', isLocalRoot: true };
    expect(await one.lineage.register(root)).toEqual({ status: 'registered' });
    one.append('r-1', { t: 'turn', s: 'r-1', e: 1, at: 1, turn: 1 });
    one.lineage.note('r-1', 'r-1', 'completed');
    await one.flush();
    expect((await one.lineage.adopt(['writer'])).journals).toEqual([]);
    await one.close();
    expect(await redis.command('ZCARD', 'os1:{ctl}:lease')).toBe('0');
  });

  test('that may not do what is needed is told so in the health, by what is missing (S13)', async () => {
    const redis = await server();
    await redis.command(
      'ACL',
      'SETUSER',
      'agents',
      'on',
      '>secret',
      '~os1:*',
      '-@all',
      '+@connection',
      '+fcall',
      '+function|load',
    );
    const one = storeAt(redis.url.replace('//', '//agents:secret@'), false);
    await one.open();
    expect(one.health).toMatchObject({ state: 'failed', why: expect.stringMatching(/can't run|to run the '\w+' command/) });
  });
});
