// over-redis.process.test.ts: the program that docs/redis.md shows, over a real Redis.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startLocalRedis, whyNoRedis } from '@offswitch/testing';
import { describe, expect, test } from 'vitest';

const program = fileURLToPath(new URL('../dist/over-redis.js', import.meta.url));
const why = whyNoRedis();
if (why !== undefined && process.env.OFFSWITCH_REQUIRE_REDIS === '1')
  test('runs here, as OFFSWITCH_REQUIRE_REDIS=1 asks', () => expect(why).toBe(undefined));

describe.skipIf(why !== undefined)('the program of the page about Redis', () => {
  test('runs an agent that the command sees in the same Redis, and ends by itself once it is closed', async () => {
    const server = await startLocalRedis();
    try {
      const { stdout } = await promisify(execFile)(process.execPath, [program], {
        env: { ...process.env, REDIS_URL: server.url },
        timeout: 60_000,
      });
      expect(stdout).toContain('over redis: an agent ran');
    } finally {
      await server.close();
    }
  });
});
