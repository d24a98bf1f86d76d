// step-4-global.ts: engage global: everything rests, whatever it is, and what is born now is born paused.

import type { SessionView } from 'offswitch';
import { restStates, type Scene } from './scene.ts';

export async function engageGlobal(scene: Scene): Promise<void> {
  const { checks, model } = scene;
  const goOn = scene.standStill();
  await scene.flip('engage', 'global');
  const engagedAt = (await scene.receipt('global', '', 'fenced')).stages.fenced!;
  goOn();
  await scene.receipt('global', '', 'done');
  const born = (view: SessionView): boolean => view.parent === undefined && view.since > engagedAt;
  const open = await scene.until('a session is born under the stop, and everything rests', async () => {
    const views = await scene.open();
    return views.some(born) && views.every((view) => restStates.includes(view.state)) && model.inFlight().length === 0 && views;
  });
  checks.check(`everything rests: ${open.length} agents`, open.length > 0);
  const byId = new Map(open.map((view) => [view.id, view]));
  const parents = open.flatMap((view) => (view.parent === undefined ? [] : [byId.get(view.parent)]));
  checks.check(
    `parents with resting children rest as well (${parents.length} of them have)`,
    parents.length > 0 && parents.every((parent) => parent !== undefined && restStates.includes(parent.state)),
  );
  const newborn = open.filter(born);
  const asked = new Set(model.log.map((request) => request.session));
  checks.check(
    `a new session is born paused: of ${newborn.length} none has taken a turn`,
    newborn.every((view) => view.turn === 0 && view.decision.action === 'pause' && !asked.has(view.id)),
    newborn,
  );
  const before = model.log.length;
  await scene.refresh();
  checks.check('the model is not asked any more', model.log.length === before);
}
