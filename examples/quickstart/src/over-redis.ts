// over-redis.ts: level 2 over Redis: the state of an application on several machines. REDIS_URL names the Redis; the command, told of
// the same one, sees its agent. Checks itself: exits non-zero when anything is off.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const folder = await mkdtemp(join(tmpdir(), 'offswitch-over-redis-'));
process.chdir(folder);
const command = fileURLToPath(new URL('../../../packages/offswitch/bin/offswitch.js', import.meta.url));
let seen = '';
/** Somebody looks, while the call is made. */
const callModel = async (_signal: AbortSignal): Promise<string> => {
  const env = { ...process.env, OFFSWITCH_STATE: process.env.REDIS_URL };
  seen = (await promisify(execFile)(process.execPath, [command, 'sessions'], { env })).stdout;
  return 'cats';
};

// #region over-redis
import { redisStore } from '@offswitch/redis';
import { createRuntime, defineKillSwitches, flagFile, flagFileControl } from 'offswitch';

const switches = defineKillSwitches({
  global: { authorized: ['on-call'] },
  features: { newsletter: { authorized: ['on-call'] } },
  instance: { authorized: ['on-call'] },
});
await flagFileControl('switches.flagd.json').provision(switches, { apply: true });
const runtime = await createRuntime({
  switches,
  source: flagFile('switches.flagd.json'), // a file is for one machine; over several, the source of your dashboard
  store: redisStore({ url: process.env.REDIS_URL! }), // the same on each machine
});

const newsletter = runtime.agent('newsletter', (session) =>
  session.turn((turn) => turn.model('small', (signal) => callModel(signal))),
);
const outcome = await newsletter.run(undefined, { userId: 'u-ada' });
await runtime.close(); // gives up its lease, and closes its connections
// #endregion
assert.deepEqual(outcome, { status: 'completed', session: outcome.session, result: 'cats' });
assert.ok(seen.includes(outcome.session), `the command sees ${outcome.session} in: ${seen}`);
await rm(folder, { recursive: true });
console.log('over redis: an agent ran, and the command saw it there');
