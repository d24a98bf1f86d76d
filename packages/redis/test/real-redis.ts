// real-redis.ts: where there is no Redis on the machine, tests are skipped by name; in CI they fail.

import { whyNoRedis } from '@offswitch/testing';
import { describe, expect, test } from 'vitest';

/** `describe` with a real server, or one skipped test that says why not. */
export function describeRedis(name: string, body: () => void): void {
  const why = whyNoRedis();
  if (why === undefined) describe(name, body);
  else if (process.env.OFFSWITCH_REQUIRE_REDIS === '1')
    test(`${name}: runs here, as OFFSWITCH_REQUIRE_REDIS=1 asks`, () => expect(why).toBe(undefined));
  else test.skip(`${name}: skipped, ${why}`, () => {});
}
