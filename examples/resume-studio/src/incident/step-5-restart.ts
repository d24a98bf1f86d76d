// step-5-restart.ts: kill -9, and start again: with the stop still engaged, and with every way in which the switches can be lost.
// Nothing runs.

import { type Loss, restStates, type Scene } from './scene.ts';

/** Leaves the fleet killed and the switches as they were, engaged. */
export async function restartWithoutFlags(scene: Scene): Promise<void> {
  const count = (await scene.open()).length;
  await scene.fleet.kill('SIGKILL');
  const { switches } = scene;
  const none: Loss = { what: 'global still engaged', begin: () => undefined };
  for (const loss of [none, ...switches.losses()]) {
    loss.begin();
    await startAndSeeNothing(
      scene,
      loss.what,
      () => {
        if (loss !== none) switches.checkLoss(scene, loss);
      },
      count,
    );
  }
  switches.heal();
}

async function startAndSeeNothing(scene: Scene, state: string, alsoLook: () => void, count: number): Promise<void> {
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
  alsoLook();
  await scene.fleet.kill('SIGKILL');
}
