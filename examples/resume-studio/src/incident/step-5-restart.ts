// step-5-restart.ts: kill -9, and start again: with the stop still engaged, and with every way in which a flag file can be
// lost. Nothing runs.

import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { restStates, type Scene } from './scene.ts';

/** `released`: the flag file as it was before anything was engaged. Leaves the fleet killed and the engaged file in place. */
export async function restartWithoutFlags(scene: Scene, released: string): Promise<void> {
  const engaged = readFileSync(scene.flags, 'utf8');
  const count = (await scene.open()).length;
  await scene.fleet.kill('SIGKILL');
  const states: readonly (readonly [string, () => void])[] = [
    ['global still engaged', () => undefined],
    ['the flag file missing', () => rmSync(scene.flags)],
    ['the flag file empty', () => writeFileSync(scene.flags, '')],
    ['the flag file corrupt', () => writeFileSync(scene.flags, engaged.slice(0, engaged.length / 2))],
    ['the flag file older than before', () => writeFileSync(scene.flags, released)],
  ];
  for (const [state, change] of states) {
    change();
    await startAndSeeNothing(scene, state, count);
    if (state.endsWith('missing')) {
      const isTold = scene.fleet.printed().includes('is gone, and is not made anew');
      scene.checks.check('the missing flag file is not made anew, and the fleet says so', isTold && !existsSync(scene.flags));
    }
  }
  writeFileSync(scene.flags, engaged);
}

async function startAndSeeNothing(scene: Scene, state: string, count: number): Promise<void> {
  const { checks, model } = scene;
  const look = () => ({ requests: model.log.length, letters: scene.outbox().length, files: scene.outputs().length });
  const before = look();
  scene.startFleet();
  await scene.until(`with ${state} the fleet has taken in what was left`, async () => {
    const open = await scene.open();
    return open.length >= count && open.every((view) => restStates.includes(view.state));
  });
  // Twice: what could go on has had its chance in between.
  await scene.refresh();
  await scene.refresh();
  const open = await scene.open();
  const after = look();
  checks.check(
    `with ${state} nothing runs: ${open.length} agents rest, no model call, no letter, no file`,
    JSON.stringify(after) === JSON.stringify(before) && open.every((view) => restStates.includes(view.state)),
    { before, after, running: open.filter((view) => !restStates.includes(view.state)) },
  );
  const why = open.filter((view) => view.decision.action === 'run').map((view) => view.id);
  checks.check(`with ${state} each of them says what holds it`, why.length === 0, why);
  await scene.fleet.kill('SIGKILL');
}
