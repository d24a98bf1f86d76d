// step-2-worker.ts: a process that runs sub-agents is halted, a workflow is stopped, and it is killed before it has confirmed: the
// stop is true all the same, and what it ran is taken up by the others, who leave it at rest until the release.

import { type HaltedWorker, haltWorkerOf, killWhileStopping } from './halted-worker.ts';
import { restStates, type Scene } from './scene.ts';

const workflow = 'resume-rewrite';

/** Leaves nothing engaged. */
export async function killWorkerInStop(scene: Scene): Promise<void> {
  const { checks, model } = scene;
  const { worker, goOn } = await haltWorker(scene);
  const { victim, lost } = worker;
  await killWhileStopping(
    scene,
    worker,
    () => scene.flip('engage', 'feature', workflow),
    ({ stop }) => stop.subject.workflow === workflow,
  );
  const waitOn = scene.standStill(workflow);
  goOn();
  const receipt = await scene.receipt('feature', workflow, 'done');
  const fencedAt = receipt.stages.fenced!;
  const ids = lost.map(({ id }) => id);
  // Over Redis the others may have taken up what it ran before there was a stop: then a last turn may end.
  const open = await scene.until('what it ran is with the others, at rest', async () => {
    const [views, journal] = [await scene.open(), await scene.journal()];
    const ended = new Set(journal.flatMap((record) => (record.t === 'settled' ? [record.s] : [])));
    const isAtRest = (id: string): boolean => views.some((view) => view.id === id && restStates.includes(view.state));
    return ids.every((id) => isAtRest(id) || ended.has(id)) && views;
  });
  checks.check(
    `killed in the middle of a stop, a process leaves ${lost.length} sub-agents of ${workflow} at rest with the others`,
    open.every((view) => view.workflow !== workflow || restStates.includes(view.state)) &&
      open.every((view) => view.process !== victim.process),
    open.filter((view) => view.workflow === workflow && !restStates.includes(view.state)),
  );
  const named = new Set(receipt.sessions.map((one) => one.session));
  const turns = (await scene.journal()).filter(
    (record) => record.t === 'turn' && record.at > fencedAt && (named.has(record.s) || ids.includes(record.s)),
  );
  checks.check('none of them begins a turn after the fence, in any process (I1)', turns.length === 0, turns);
  const late = model.log.filter((request) => request.tree.startsWith(`${workflow}/`) && request.at > receipt.stages.done!);
  checks.check(`the model is not asked by ${workflow} once the receipt says done`, late.length === 0, late);
  const bystanders = open.filter((view) => view.workflow !== workflow);
  const held = bystanders.filter((view) => view.decision.action !== 'run');
  checks.check(`no agent of another workflow is held (${bystanders.length} are open)`, held.length === 0, held);

  const asked = model.log.length;
  await scene.flip('release', 'feature', workflow);
  await scene.until('what it ran goes on with the others', async () => {
    const views = await scene.open();
    const again = new Set(model.log.slice(asked).map(({ session }) => session));
    return ids.every((id) => again.has(id) || !views.some((view) => view.id === id));
  });
  const epochs = (await scene.journal()).filter((record) => record.t === 'claim' && ids.includes(record.s));
  checks.check(
    'released, each of them is taken up by another process, and goes on',
    new Set(epochs.map(({ s }) => s)).size === ids.length,
    { ids, epochs },
  );
  waitOn();
  checks.check('another process has taken its place', scene.fleet.printed().includes(`(pid ${victim.pid}) is gone (SIGKILL)`));
}

/** Halts a worker that has sub-agents of the workflow in flight, and the fleet stands still. */
async function haltWorker(scene: Scene): Promise<{ worker: HaltedWorker; goOn: () => void }> {
  return scene.until('a worker has sub-agents in flight', async () => {
    const goOn = scene.standStill();
    const asking = new Set(scene.model.inFlight().map(({ session }) => session));
    const inFlight = (await scene.open()).filter((view) => view.workflow === workflow && asking.has(view.id));
    const worker = haltWorkerOf(scene, inFlight);
    if (worker) return { worker, goOn };
    goOn();
    return undefined;
  });
}
