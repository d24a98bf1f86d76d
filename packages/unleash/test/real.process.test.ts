// The real unleash-server 7.5.1 on a real Postgres: what the scripted one only says.

import { describeSourceFaults, describeSwitchSource } from '@offswitch/testing';
import { type LocalUnleash, startLocalUnleash, whyNoLocalUnleash } from '@offswitch/testing/unleash';
import { afterAll, describe, expect, test } from 'vitest';
import { realHarness } from './real-harness.ts';

const why = whyNoLocalUnleash();
let starting: Promise<LocalUnleash> | undefined;
const server = (): Promise<LocalUnleash> => {
  starting ??= startLocalUnleash({ revisionEveryMs: 25 });
  return starting;
};
afterAll(async () => {
  await (await starting)?.close();
});

describe('the real Unleash server', () => {
  test.runIf(process.env.OFFSWITCH_REQUIRE_UNLEASH === '1')('runs here, as OFFSWITCH_REQUIRE_UNLEASH=1 asks', () => {
    expect(why).toBe(undefined);
  });
});

describe.skipIf(why !== undefined)(`over the real Unleash server${why === undefined ? '' : ` (skipped: ${why})`}`, () => {
  test('starts and answers, installed first where it was not', { timeout: 600_000 }, async () => {
    const { url, source } = await server();
    const response = await fetch(`${source.url}/client/features`, { headers: { authorization: source.token } });
    expect([response.status, url]).toEqual([200, expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/)]);
  });

  describeSwitchSource('unleash, against the real server', async (switches) => realHarness(await server(), switches));

  describeSourceFaults('unleash, against the real server', async (switches) => realHarness(await server(), switches), {
    staleWithinMs: 4000,
    recoverWithinMs: 8000,
  });
});
