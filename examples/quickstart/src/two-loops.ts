// two-loops.ts: level 1 over two processes: a loop of one's own starts a process with a loop of its own, and a stop of the first session
// ends both. Both run this file. Checks itself: exits non-zero when anything is off.

import assert from 'node:assert/strict';
import type { SpawnOptions } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  type Arrival,
  defineKillSwitches,
  flagFile,
  flagFileControl,
  folderStore,
  newPathKey,
  openGate,
  spawnCarrying,
  takeToken,
} from 'offswitch';
import { givenFolder } from './given.ts';
import { until } from './until.ts';

process.env.OFFSWITCH_PATH_KEYS ??= newPathKey();
const script = fileURLToPath(import.meta.url);
const started = givenFolder();
const folder = started ?? mkdtempSync(join(tmpdir(), 'offswitch-two-loops-'));
const switches = defineKillSwitches({
  global: { authorized: ['on-call'] },
  features: { newsletter: { authorized: ['on-call'] }, research: { authorized: ['on-call'] } },
  instance: { authorized: ['on-call'] },
});
const control = flagFileControl(join(folder, 'switches.flagd.json'));
await control.provision(switches, { apply: true });
const source = flagFile(join(folder, 'switches.flagd.json'));
let turns = 0;
const oneTurn = async (): Promise<void> => {
  turns += 1;
  process.send?.(turns);
  await sleep(5);
};

// #region gate
const gate = await openGate({ switches, source, store: folderStore(join(folder, '.offswitch')) });

async function loop(workflow: 'newsletter' | 'research', sessionId: string, parent?: Arrival) {
  try {
    for (;;) {
      const decision = await gate.decide({ workflow, sessionId, ...(parent ? { parent } : {}) });
      if (decision.action === 'terminate') return decision;
      if (decision.action === 'run') await oneTurn();
      else await sleep(1_000); // a pause: ask again
    }
  } finally {
    gate.end(sessionId); // over: its switch is read no more, and nothing begins under it
  }
}
// #endregion
if (started === undefined) await above();
else await below();

async function above(): Promise<void> {
  const sessionId = 's-newsletter';
  const ended = loop('newsletter', sessionId);
  await until('a turn of the first loop', () => turns > 0);
  const options: SpawnOptions = { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] };
  // #region above
  // For a session that has asked this gate. carry() gives headers and an MCP _meta as well.
  const other = await spawnCarrying(() => gate.carry(sessionId), process.execPath, [script, folder], options);
  // #endregion
  let told = 0;
  other.on('message', () => told++);
  await until('turns of the other loop', () => told > 3);
  await control.engage({ flag: switches.instance!, target: sessionId, reason: 'runaway', by: 'on-call' });
  assert.equal((await ended).reason, 'runaway');
  await until('the other loop ends with it', () => other.exitCode !== null);
  assert.equal(other.exitCode, 0, 'for the same reason');
  await gate.close();
  rmSync(folder, { recursive: true });
  console.log(`two-loops: a stop of one session ended two loops, in two processes, after ${turns} and ${told} turns`);
}

async function below(): Promise<void> {
  // #region below
  const path = takeToken();
  const parent = path === undefined ? undefined : await gate.accept(path);
  const decision = await loop('research', 's-research', parent); // a child of the session that started this process
  // #endregion
  assert.equal(decision.reason, 'runaway');
  await gate.close();
  process.disconnect();
}
