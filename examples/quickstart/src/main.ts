// main.ts: level 1, for a loop of one's own. Starts a loop, stops it by flipping the flag file, sees it stop and go on.
// Checks itself: exits non-zero when anything is off.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = await mkdtemp(join(tmpdir(), 'offswitch-quickstart-'));
process.chdir(folder);
const userId = 'u-ada';
const sessionId = 's-1';
let turns = 0;
const oneTurn = async (): Promise<void> => {
  turns += 1;
  await new Promise((resolve) => setTimeout(resolve, 5));
};

// #region level-1
import { defineKillSwitches, flagFile, flagFileControl, openGate } from 'offswitch';

const switches = defineKillSwitches({
  global: { authorized: ['on-call', 'engineering-leadership'] },
  features: { 'batch-scoring': { authorized: ['on-call'] } }, // names are types: a typo in gate.decide does not compile
  user: { authorized: ['support'] },
  instance: { authorized: ['on-call'] },
});
await flagFileControl('switches.flagd.json').provision(switches, { apply: true }); // writes what is missing, nothing else
const gate = await openGate({ switches, source: flagFile('switches.flagd.json') });

async function agent() {
  while (turns < 100) {
    const decision = await gate.decide({ workflow: 'batch-scoring', userId, sessionId });
    if (decision.action === 'terminate') gate.end(sessionId);
    if (decision.action !== 'run') return decision; // pause or terminate: tier, reason, effect, and a notice for the user
    await oneTurn();
  }
  gate.end(sessionId); // over, as after a terminate: it is forgotten, and its switch is read no more
}
// #endregion

const control = flagFileControl('switches.flagd.json');
try {
  const running = agent();
  await control.engage({ flag: switches.user!, target: userId, reason: 'asked to stop', by: 'support' });
  const decision = await running;
  assert.equal(decision?.action, 'pause');
  assert.equal(decision?.reason, 'asked to stop');
  const reached = turns;
  assert.ok(reached < 100, 'the loop was stopped before its end');
  assert.equal(
    (await gate.decide({ workflow: 'batch-scoring', userId: 'u-ad', sessionId: 's-2' })).action,
    'run',
    'a bystander runs',
  );

  await control.release({ flag: switches.user!, target: userId, reason: 'all well', by: 'support' });
  const deadline = Date.now() + 5_000;
  while (gate.admits({ workflow: 'batch-scoring', userId }).action !== 'run') {
    assert.ok(Date.now() < deadline, 'released within five seconds');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.equal(await agent(), undefined, 'it goes on to its end');
  console.log(`quickstart: stopped after ${reached} turns, released, finished after ${turns}`);
} finally {
  await gate.close();
  await rm(folder, { recursive: true, force: true });
}
