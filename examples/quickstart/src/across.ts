// across.ts: level 3: a graph over two processes. The agent of one starts a sub-agent in another; a stop of the first reaches the second.
// Both run this file. Checks itself: exits non-zero when anything is off.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './until.ts';

const folder = process.env.ACROSS_FOLDER ?? mkdtempSync(join(tmpdir(), 'offswitch-across-'));
const script = fileURLToPath(import.meta.url);
process.env.ACROSS_FOLDER = folder;
const called = join(folder, 'called');
const ended = join(folder, 'ended');
const callModel = async (): Promise<void> => {
  appendFileSync(called, '.');
  await new Promise((resolve) => setTimeout(resolve, 5));
};

// #region across
import {
  createRuntime,
  defineKillSwitches,
  flagFile,
  flagFileControl,
  folderStore,
  newPathKey,
  spawnCarrying,
  takeToken,
} from 'offswitch';

process.env.OFFSWITCH_PATH_KEYS ??= newPathKey(); // paths are signed with it: what is started here inherits it, others are given it
const switches = defineKillSwitches({
  global: { authorized: ['on-call'] },
  features: { newsletter: { authorized: ['on-call'] }, research: { authorized: ['on-call'] } },
  instance: { authorized: ['on-call'] },
});
const flags = join(folder, 'switches.flagd.json');
await flagFileControl(flags).provision(switches, { apply: true });
// On one machine a folder is shared; over several, redisStore({ url }) of @offswitch/redis.
const runtime = await createRuntime({ switches, source: flagFile(flags), store: folderStore(join(folder, '.offswitch')) });

const research = runtime.agent('research', async (session) => {
  for (;;) await session.turn((turn) => turn.model('small', () => callModel()));
});
const newsletter = runtime.agent('newsletter', (session) =>
  session.turn((turn) =>
    turn.tool(
      'research',
      {},
      // Any way to another process will do: session.carry() is headers, an MCP _meta and an environment variable.
      async () => once(await spawnCarrying(() => session.carry(), process.execPath, [script], { stdio: 'inherit' }), 'exit'),
      { delegates: true },
    ),
  ),
);
const path = takeToken(); // set in a process that an agent of another one started
if (path) await research.run(undefined, { parent: await runtime.accept(path) });
// #endregion
else await orchestrate();
await runtime.close();
if (path) appendFileSync(ended, '');
else {
  await until('the other process has ended', () => existsSync(ended));
  rmSync(folder, { recursive: true });
}

async function orchestrate(): Promise<void> {
  const run = newsletter.start(undefined, { userId: 'u-ada' });
  await until('calls in the other process', () => calls() > 3);
  const { id, stages } = await runtime.stop({ session: run.id, reason: 'runaway', by: 'on-call' });
  assert.ok(stages.fenced, 'nothing new starts, in either process');
  const before = calls();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(calls(), before, 'no call of the other process after the fence');
  assert.equal((await run.outcome).status, 'terminated');
  await until('one receipt of both', async () => {
    const receipt = (await runtime.receipts()).find((one) => one.id === id);
    return receipt?.sessions.length === 2 && receipt.stages.done !== undefined;
  });
  console.log(`across: a stop of one session ended two, in two processes, after ${before} calls; one receipt names both`);
}

function calls(): number {
  return existsSync(called) ? readFileSync(called, 'utf8').length : 0;
}
