// takeover.process.test.ts: graphs that go from one process to another over a real Redis, and graphs whose root is gone: each has
// one process, nobody waits for ever, and nothing is kept of what is over.

import { defineKillSwitches } from '@offswitch/core';
import { type RedisStoreOptions, redisStore } from '@offswitch/redis';
import { createRuntime, newPathKey, pathKeysFromEnv, type Runtime, type StateStore } from '@offswitch/runtime';
import { type LocalRedis, memorySource, startLocalRedis } from '@offswitch/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
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
