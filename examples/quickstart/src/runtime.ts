// runtime.ts: level 2: an agent whose turns, calls and sub-agents are governed. Pauses it, resumes it, terminates it, reads
// the receipt. Checks itself: exits non-zero when anything is off.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = await mkdtemp(join(tmpdir(), 'offswitch-runtime-'));
process.chdir(folder);
const sent: string[] = [];
const callModel = async (prompt: string, signal: AbortSignal): Promise<string> => {
  signal.throwIfAborted();
  return `about ${prompt}`;
};
const sendEmail = async (text: string, key: string): Promise<void> => {
  await new Promise((resolve) => setTimeout(resolve, 60));
  sent.push(`${key} ${text}`);
};

// #region level-2
import { createRuntime, defineKillSwitches, flagFile, flagFileControl } from 'offswitch';

const switches = defineKillSwitches({
  global: { authorized: ['on-call'] },
  features: { newsletter: { authorized: ['on-call'] } },
  instance: { authorized: ['on-call'] },
});
await flagFileControl('switches.flagd.json').provision(switches, { apply: true });
const runtime = await createRuntime({ switches, source: flagFile('switches.flagd.json') });

const research = runtime.agent('research', (session, topic: string) =>
  session.turn((turn) => turn.model('small', (signal) => callModel(topic, signal))),
);
const newsletter = runtime.agent('newsletter', async (session, topics: string[]) => {
  let done = (session.state as number | undefined) ?? 0; // the last checkpoint: after a pause or a crash it goes on from there
  while (done < topics.length) {
    done = await session.turn(async (turn) => {
      const found = await turn.spawn(research, topics[done]!); // a child: stopped when its parent is
      if (found.status === 'completed') {
        await turn.tool('send-email', found.result, (text, { idempotencyKey }) => sendEmail(text, idempotencyKey));
      }
      return done + 1; // becomes the checkpoint
    });
  }
  return done;
});
const run = newsletter.start(['cats', 'dogs', 'newts', 'owls'], { userId: 'u-ada' });
// #endregion

const control = flagFileControl('switches.flagd.json');
const until = async (what: string, holds: () => boolean): Promise<void> => {
  const deadline = Date.now() + 10_000;
  while (!holds()) {
    assert.ok(Date.now() < deadline, `${what} within ten seconds`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
};
try {
  await until('the first letter', () => sent.length === 1);
  await control.engage({ flag: switches.feature('newsletter'), reason: 'typo in the template', by: 'on-call' });
  await until('it rests', () => runtime.session(run.id)?.state === 'paused');
  const sentAtRest = sent.length;
  await control.release({ flag: switches.feature('newsletter'), reason: 'mended', by: 'on-call' });
  assert.deepEqual(await run.outcome, { status: 'completed', session: run.id, result: 4 });
  assert.equal(new Set(sent).size, 4, 'each letter once');

  const runaway = newsletter.start(Array.from({ length: 1000 }, (_, i) => `topic ${i}`));
  await until('a letter of the runaway', () => sent.length > 4);
  const receipt = await runtime.stop({ session: runaway.id, reason: 'runaway', by: 'on-call' });
  assert.ok(receipt.stages.fenced, 'nothing new starts');
  assert.equal((await runaway.outcome).status, 'terminated');
  const sentAtEnd = sent.length;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(sent.length, sentAtEnd, 'no letter after the end');
  console.log(`runtime: rested after ${sentAtRest} letters, finished 4, terminated a runaway after ${sentAtEnd - 4}`);
} finally {
  await runtime.close();
  await rm(folder, { recursive: true, force: true });
}
