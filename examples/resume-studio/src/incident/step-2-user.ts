// step-2-user.ts: release the workflow, engage one user: only that user's agents rest, whatever their workflow.

import { restStates, type Scene } from './scene.ts';
import type { LoggedRequest } from './watched-model.ts';

const user = 'u-ann';
/** The id differs in one character. */
const neighbour = 'u-anne';

/** Releases batch scoring, and leaves nothing engaged. */
export async function engageUser(scene: Scene): Promise<void> {
  const { checks } = scene;
  const ownerOf = new Map(scene.documents.map((document) => [document.id, document.owner]));
  const userOf = ({ tree }: LoggedRequest): string | undefined => ownerOf.get(tree.slice(tree.indexOf('/') + 1));

  let goOn = scene.standStill();
  await scene.flip('release', 'feature', 'batch-scoring');
  await scene.until('batch scoring goes on', () => scene.model.inFlight().some(({ tree }) => tree.startsWith('batch-scoring/')));
  checks.check('released, batch scoring goes on by itself', true);
  const json = await scene.flip('engage', 'user', user);
  const { byUser = {} } = json.preview as { readonly byUser?: Readonly<Record<string, number>> };
  checks.check(
    `the command says beforehand that only agents of ${user} are covered`,
    Object.keys(byUser).join() === user,
    byUser,
  );
  goOn();
  const receipt = await scene.receipt('user', user, 'done');
  await scene.requests(15, 'other users', (request) => userOf(request) !== user);

  const open = await scene.open();
  const own = open.filter((view) => view.user === user);
  const others = open.filter((view) => view.user !== user);
  const awake = own.filter((view) => !restStates.includes(view.state));
  checks.check(`every agent of ${user} rests (${own.length})`, own.length > 0 && awake.length === 0, awake);
  const held = others.filter((view) => view.decision.action !== 'run');
  checks.check(`no agent of anybody else is held (${others.length} are open)`, others.length > 0 && held.length === 0, held);
  const doneAt = receipt.stages.done!;
  const late = scene.model.log.filter((request) => userOf(request) === user && request.at > doneAt);
  checks.check(`the model is not asked for ${user} once the receipt says done`, late.length === 0, late);
  checks.check(
    `the receipt names agents of ${user} alone`,
    receipt.sessions.length > 0 && receipt.sessions.every((one) => one.user === user),
    receipt.sessions.filter((one) => one.user !== user),
  );
  const neighbours = others.filter((view) => view.user === neighbour);
  checks.check(
    `${neighbour} is not taken for ${user}`,
    neighbours.every((view) => view.decision.action === 'run') && !receipt.sessions.some((one) => one.user === neighbour),
  );

  goOn = scene.standStill();
  await scene.flip('release', 'user', user);
  goOn();
}
