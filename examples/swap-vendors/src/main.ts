// main.ts: the same program on four sources, one after the other, on one state folder: stopped, released, and swapped while it is
// stopped. Checks itself: exits non-zero when anything is off.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { folderStore, type Order, requestControl } from 'offswitch';
import { type Local, local } from './local.ts';
import { type Program, start, switches } from './program.ts';
import { sources } from './sources.ts';

type Name = keyof typeof sources;
const all = Object.keys(sources) as Name[];
const isName = (word: string): word is Name => all.some((one) => one === word);
const usage = `node examples/swap-vendors/dist/main.js [${all.join(' ')}]     one program on all of them, or on those, one after the other`;
const words = process.argv.slice(2);
if (words.includes('--help')) {
  console.log(usage);
  process.exit(0);
}
const unknown = words.filter((word) => !isName(word));
if (unknown.length > 0) {
  console.error(`no such source: ${unknown.join(', ')}\n\n${usage}`);
  process.exit(2);
}
const asked = words.filter(isName);
const names = asked.length > 0 ? asked : all;

const folder = await mkdtemp(join(tmpdir(), 'offswitch-swap-'));
process.chdir(folder);
const stopUser = { flag: switches.user!, target: 'u-ada', reason: 'asked to stop', by: 'support' } satisfies Order;
const stopWorkflow = { flag: switches.feature('batch-scoring'), reason: 'bad scores', by: 'on-call' } satisfies Order;

/** Bound of each wait. Milliseconds. */
const withinMs = 15_000;
async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const deadline = Date.now() + withinMs; !isSo(); ) {
    assert.ok(Date.now() < deadline, `within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const admits = ({ gate }: Program, userId: string): boolean =>
  gate.admits({ workflow: 'batch-scoring', userId }).action === 'run';

async function stopAndRelease(name: Name, { control }: Local, program: Program): Promise<void> {
  const working = program.work('u-ada', `s-${name}`);
  await until('it works', () => program.turns() > 0);
  await control.engage(stopUser);
  const decision = await working;
  assert.equal(decision.action, 'pause');
  assert.ok(admits(program, 'u-ad'), 'nobody else is stopped');
  await control.release(stopUser);
  await until('released, it may go on', () => admits(program, 'u-ada'));
  console.log(`${name}: stopped after ${program.turns()} turns, released, goes on`);
}

const closing: (() => Promise<void>)[] = [];
try {
  /** The vendor whose stop is in force when the next one is read. */
  let left: Name | undefined;
  for (const name of names) {
    const here = await local(name);
    if (!here) {
      console.log(`${name}: skipped, its server does not run on this machine`);
      continue;
    }
    closing.push(here.close);
    await here.control.provision(switches, { apply: true });
    const program = await start(sources[name](here.env));
    if (left !== undefined) {
      // S3: what one vendor engaged no other releases, whatever it says; a person does, by name and with a reason.
      assert.equal(admits(program, 'u-ada'), false, `the stop of ${left} is in force under ${name}`);
      const stops = await folderStore().stops();
      const stop = stops.find(({ key, marks }) => key.startsWith('switch.feature.') && marks.engaged > marks.released);
      await requestControl('.offswitch', 'release', { stop: stop!.key, reason: `moved to ${name}`, by: 'on-call' });
      await until('released by act, it may go on', () => admits(program, 'u-ada'));
      console.log(`${name}: the stop of ${left} outlived the swap, and was released by a person`);
    }
    await stopAndRelease(name, here, program);
    await here.control.engage(stopWorkflow);
    await until('the workflow is stopped', () => !admits(program, 'u-ada'));
    left = name;
    await program.gate.close();
  }
} finally {
  for (const close of closing) await close();
  await rm(folder, { recursive: true, force: true });
}
