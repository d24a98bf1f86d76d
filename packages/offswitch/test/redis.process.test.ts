// redis.process.test.ts: the command over state in a real Redis: the same words, and no folder.

import { redisStore } from '@offswitch/redis';
import { formatStopKey, subjectKey } from '@offswitch/runtime';
import { type LocalRedis, startLocalRedis, whyNoRedis } from '@offswitch/testing';
import { createRuntime, flagFile, type Runtime } from 'offswitch';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { redisPlace } from '../src/cli/redis-place.ts';
import { Bench, switches } from './bench.ts';

const why = whyNoRedis();
if (why !== undefined && process.env.OFFSWITCH_REQUIRE_REDIS === '1')
  test('runs here, as OFFSWITCH_REQUIRE_REDIS=1 asks', () => expect(why).toBe(undefined));

const stopKey = formatStopKey({
  kind: 'act',
  cause: 'operator',
  action: 'terminate',
  tier: 'instance',
  subject: subjectKey('s-1'),
  id: 'o-1',
});

describe.skipIf(why !== undefined)('offswitch --state redis://', () => {
  let bench: Bench;
  let server: LocalRedis;
  const runtimes: Runtime[] = [];
  beforeEach(async () => {
    bench = new Bench();
    await bench.provision();
    server = await startLocalRedis();
    bench.installed.set('@offswitch/redis', await import('@offswitch/redis'));
  });
  afterEach(async () => {
    bench.isOver = true;
    for (const runtime of runtimes.splice(0)) await runtime.close();
    await bench.close();
    await server.close();
  });
  const start = async () => {
    const runtime = await createRuntime({
      switches,
      source: flagFile(bench.file),
      store: redisStore({ url: server.url, anchor: false }),
    });
    runtimes.push(runtime as Runtime);
    return runtime;
  };
  const cli = (args: readonly string[]) => bench.cli(['--state', server.url, ...args, '--json']);

  test('sees, stops, ends and tells of what runs in every process, and leaves no process of its own behind', async () => {
    const [one, two] = [await start(), await start()];
    const a = bench.agentOn(one, 'resume-rewrite').start(undefined, { userId: 'u-1' });
    const b = bench.agentOn(two, 'batch-scoring').start(undefined, { userId: 'u-2' });
    const seen = await cli(['sessions']);
    expect((seen.json.sessions as { id: string }[]).map((one) => one.id).sort()).toEqual([a.id, b.id].sort());
    const stopped = await cli(['stop', a.id, '--reason', 'runaway', '--yes']);
    expect(stopped).toMatchObject({ code: 0, json: { confirmed: true, processes: 2 } });
    expect((await a.outcome).status).toBe('terminated');
    expect((await cli(['terminate', '--user', 'u-2', '--reason', 'r', '--yes'])).code).toBe(0);
    expect((await b.outcome).status).toBe('terminated');
    const receipts = await cli(['receipts']);
    expect(receipts.code).toBe(0);
    expect(JSON.stringify(receipts.json)).toContain(a.id);
    expect(await cli(['ghosts'])).toMatchObject({ code: 0, json: { ghosts: [] } });
    expect((await cli(['audit', 'verify'])).code).toBe(0);
    expect((await cli(['status'])).code).toBe(0);
  });

  test('calls what is well in a Redis without an append-only file neither unwritten nor left behind', async () => {
    await server.close();
    server = await startLocalRedis({ appendOnly: false });
    const runtime = await start();
    expect(runtime.store.health.state).toBe('memory');
    bench.agentOn(runtime, 'resume-rewrite').start(undefined, { userId: 'u-1' });
    const { code, out } = await bench.cli(['--state', server.url.replace('redis:', 'Valkey:'), 'sessions']);
    expect(code).toBe(0);
    expect(out).toContain('resume-rewrite');
    expect(out).not.toContain('could not write');
  });

  test('records a stop with no process running, under which the next is born (S4, I2)', async () => {
    const first = await start();
    await first.close();
    const engaged = await cli(['engage', 'global', '--reason', 'r', '--yes']);
    expect(engaged.code).toBe(0);
    const next = await start();
    expect(next.stops()).toHaveLength(1);
    expect((await cli(['release', 'global', '--reason', 'well again', '--yes'])).code).toBe(0);
  });

  test('whoever looks while Redis has lost its data leaves it as it is: the stops that a living process knows come back, and it is not called well (S4)', async () => {
    const fleet = redisStore({ url: server.url, anchor: false });
    try {
      await fleet.open({ runsSessions: true });
      await fleet.mark(stopKey, 'engaged', 0, { reason: 'leaked data', at: 1 });
      await server.command('FLUSHALL');
      const looked = await cli(['status']);
      expect(looked).toMatchObject({ code: 1, json: { problems: [expect.stringContaining('or has lost its data')] } });
      await vi.waitFor(async () => expect(fleet.health.why).toContain('has lost its data'), { timeout: 10_000 });
      await vi.waitFor(
        async () => expect((await cli(['status'])).json.stops).toMatchObject([{ id: stopKey, reason: 'leaked data' }]),
        { timeout: 10_000 },
      );
    } finally {
      await fleet.close();
    }
  });

  test('the first thing ever done in a new Redis may be a stop, under which the first process is born (S4, I2)', async () => {
    expect((await cli(['stop', 's-1', '--reason', 'runaway', '--yes'])).code).toBe(4);
    const first = await start();
    expect(first.stops()).toMatchObject([{ tier: 'instance', subject: { sessionId: 's-1' }, reason: 'runaway' }]);
    expect(first.store.health).toEqual({ state: 'ok' });
    expect((await cli(['status'])).code).toBe(0);
  });

  test('one command opens the store once, however many orders it writes: opening reads every stop there is', async () => {
    const runtime = await start();
    const agent = bench.agentOn(runtime, 'resume-rewrite');
    const runs = Array.from({ length: 20 }, () => agent.start(undefined, { userId: 'u-1' }));
    let opened = 0;
    bench.installed.set('@offswitch/redis', {
      ...(await import('@offswitch/redis')),
      redisStore: (options: Parameters<typeof redisStore>[0]) => {
        opened++;
        return redisStore(options);
      },
    });
    expect((await cli(['terminate', '--user', 'u-1', '--reason', 'r', '--yes'])).code).toBe(0);
    for (const { outcome } of runs) expect((await outcome).status).toBe('terminated');
    expect(opened).toBe(1);
    expect((await cli(['audit', 'verify'])).code).toBe(0);
    // Nothing of the command is left among the processes that must confirm.
    expect(await runtime.store.lineage.processes()).toHaveLength(1);
  });

  test('is not given up because Redis does not answer for a moment (S4)', async () => {
    await (await start()).close();
    server.halt();
    const engaging = cli(['engage', 'global', '--reason', 'r', '--yes']);
    // Another one that finds it silent says so; by then the command has found the same.
    const silent = redisStore({ url: server.url, anchor: false });
    await silent.open();
    expect(silent.health.state).toBe('failed');
    server.goOn();
    await silent.close();
    expect((await engaging).code).toBe(0);
  });

  /** Redis is killed as soon as this is asked of what runs; `preview`: and a mark was written. */
  async function dies(when: 'preview' | 'refresh'): Promise<void> {
    const real = await import('@offswitch/redis');
    let marked = (): void => {};
    const isMarked = new Promise<void>((resolve) => {
      marked = resolve;
    });
    bench.installed.set('@offswitch/redis', {
      ...real,
      redisStore: (options: Parameters<typeof redisStore>[0]) => {
        const store = redisStore(options);
        const { mark } = store;
        return Object.assign(store, {
          mark: async (...of: Parameters<typeof mark>) => {
            await mark.apply(store, of);
            marked();
          },
        });
      },
      requestRedisControl: async (...of: Parameters<typeof real.requestRedisControl>) => {
        if (of[1] === when) {
          if (when === 'preview') await isMarked;
          await server.kill();
        }
        return real.requestRedisControl(...of);
      },
    });
  }

  test('a stop that was said yes to is told to be made, and not to be confirmed, where Redis goes away while it still counts (S10)', async () => {
    await (await start()).close();
    await dies('preview');
    const ran = await cli(['stop', 's-1', '--reason', 'r', '--yes']);
    expect(ran).toMatchObject({ code: 4, json: { latchedBy: 'folder', confirmed: false } });
    expect(ran.json.silent).not.toEqual([]);
  });

  test('a release is told to be made, and not to be confirmed, where Redis goes away after it (S10)', async () => {
    await start();
    expect((await cli(['engage', 'global', '--reason', 'r', '--yes'])).code).toBe(0);
    await dies('refresh');
    const ran = await cli(['release', 'global', '--reason', 'r', '--yes']);
    expect(ran).toMatchObject({ code: 4, json: { flip: { reason: 'r' }, confirmed: false } });
    expect(ran.json.silent).not.toEqual([]);
  });

  test('reaches an application with a prefix of its own, and with none the default one', async () => {
    const runtime = await createRuntime({
      switches,
      source: flagFile(bench.file),
      store: redisStore({ url: server.url, anchor: false, prefix: '{os1}' }),
    });
    runtimes.push(runtime as Runtime);
    const one = bench.agentOn(runtime, 'resume-rewrite').start(undefined, { userId: 'u-1' });
    const listed = async (state: string) => (await bench.cli(['--state', state, 'sessions', '--json'])).json.sessions;
    expect(await listed(server.url)).toBeUndefined();
    expect(await listed(`${server.url}?prefix={os1}`)).toMatchObject([{ id: one.id }]);
    const prefixed = `${server.url}/0?prefix=%7Bos1%7D`;
    expect(await bench.cli(['--state', prefixed, 'stop', one.id, '--reason', 'r', '--yes', '--json'])).toMatchObject({
      code: 0,
      json: { confirmed: true, processes: 1 },
    });
    expect((await one.outcome).status).toBe('terminated');
  });

  test('of a database in which no application has written anything says no "nothing is wrong": it may be a typo', async () => {
    await (await start()).close();
    const typo = `${server.url}/5`;
    for (const [code, ...args] of [
      [0, 'ghosts'],
      [0, 'terminate', '--user', 'u-1', '--reason', 'r', '--yes'],
      [0, 'audit'],
      [0, 'sessions'],
      [0, 'receipts'],
      [0, 'audit', 'verify'],
    ] as const) {
      const ran = await bench.cli(['--state', typo, ...args, '--json']);
      expect(ran).toMatchObject({ code: 1, json: { error: { code: 'no_state' } } });
      const used = await bench.cli(['--state', server.url, ...args, '--json']);
      expect(used.code).toBe(code);
      expect(used.json.error).toBeUndefined();
    }
  });

  test.each(['?timeout=5', '?prefix=a&prefix=b', '?prefix=a&x=1', '/db', '/0/1', '#x'])(
    'refuses %s after the host, which may be the rest of a password, and repeats none of it',
    async (rest) => {
      const ran = await bench.cli(['--state', `redis://ann:12/secret@127.0.0.1:1${rest}`, 'status']);
      expect(ran.code).toBe(2);
      expect(ran.err + ran.out).not.toContain('secret');
      expect((await bench.cli(['--state', `${server.url}${rest}`, 'status'])).code).toBe(2);
    },
  );

  test('says what is missing where nothing answers, or the package is not there, without repeating a password', async () => {
    const nowhere = await bench.cli(['--state', 'redis://ann:secret@127.0.0.1:1', 'status']);
    expect(nowhere.code).toBe(1);
    expect(nowhere.err + nowhere.out).not.toContain('secret');
    bench.installed.clear();
    const missing = await bench.cli(['--state', server.url, 'status']);
    expect(missing.err).toContain('npm install @offswitch/redis redis');
    expect(redisPlace('redis://ann:secret@localhost:6379').folder).toBe('redis://localhost:6379');
  });
});
