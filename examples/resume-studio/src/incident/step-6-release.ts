// step-6-release.ts: release: everything goes on and ends, but for what only a person can tell; then that, too.

import type { SessionView } from 'offswitch';
import { expectedOutputs } from '../planner-expect.ts';
import type { StuckLetter } from './letters.ts';
import { restStates, type Scene } from './scene.ts';

export async function releaseAll(scene: Scene, letters: readonly StuckLetter[], terminated: readonly string[]): Promise<void> {
  const { checks } = scene;
  scene.startFleet();
  await scene.open();
  scene.model.brake.speed *= 8;
  await scene.flip('release', 'global');
  const conversations = letters.map(({ conversation }) => conversation);
  const left = await scene.until('only the two with a letter of unknown outcome are left', async () => {
    const roots = (await scene.open()).filter((view) => view.parent === undefined);
    return roots.length === letters.length && roots.every((view) => restStates.includes(view.state)) && roots;
  });
  checks.check(
    'released, everything goes on and ends but for the sessions with a call of unknown outcome, which rest',
    left.every((view) => conversations.includes(view.conversation ?? '') && view.unknownCalls.length === 1),
    left,
  );
  checks.check(
    'and say how to settle it',
    left.every((view) => scene.fleet.printed().includes(`resolve ${view.id} ${view.unknownCalls[0]?.id} --happened | --did-not`)),
    scene.fleet.printed().slice(-1_000),
  );
  checkOutbox(scene, [...terminated, ...conversations], 'at most');
  for (const view of left) await resolveByOutbox(scene, view, letters);
  const code = await scene.until('the fleet ends', () =>
    scene.fleet.ended() === undefined ? undefined : { code: scene.fleet.ended() },
  );
  checks.check('resolved, the last two end as well, and the fleet with them', code.code === 0, code);
  checkOutbox(scene, terminated, 'exactly');
  checkOutputs(scene, terminated);
}

/** As a person would: looks into the outbox, and says what is there. */
async function resolveByOutbox(scene: Scene, view: SessionView, letters: readonly StuckLetter[]): Promise<void> {
  const stuck = letters.find(({ conversation }) => conversation === view.conversation);
  const [call] = view.unknownCalls;
  if (!stuck || !call) return;
  const isOut = scene.outbox().some(({ letter }) => letter === stuck.letter);
  const verdict = isOut ? ['--happened', '--value', JSON.stringify({ ok: true, letter: stuck.letter })] : ['--did-not'];
  const { code, json } = await scene.offswitch('resolve', view.id, call.id, ...verdict, '--by', 'on-call');
  scene.checks.check(
    `offswitch resolve says of ${stuck.letter} what is true: it ${isOut ? 'happened' : 'did not'}`,
    code === 0,
    json,
  );
}

/** `unfinished`: conversations that were terminated or have not ended, whose letters may be missing. */
function checkOutbox(scene: Scene, unfinished: readonly string[], how: 'at most' | 'exactly'): void {
  const counts = new Map<string, number>();
  for (const { letter } of scene.outbox()) counts.set(letter, (counts.get(letter) ?? 0) + 1);
  const { letters } = expectedOutputs(scene.seed, scene.documents, scene.adverts, ['cover-letter-draft']);
  const wrong = letters.filter((letter) => {
    const times = counts.get(letter) ?? 0;
    const mayBeMissing = unfinished.includes(`cover-letter-draft/${letter.slice(0, letter.indexOf('/'))}`);
    return times > 1 || (times === 0 && !mayBeMissing);
  });
  const strange = [...counts.keys()].filter((letter) => !letters.includes(letter));
  const what = `each letter is in the outbox ${how} once (${counts.size} of ${letters.length})`;
  scene.checks.check(what, wrong.length + strange.length === 0, { wrong, strange });
}

function checkOutputs(scene: Scene, terminated: readonly string[]): void {
  const of = (documents: Scene['documents'], ...only: Parameters<typeof expectedOutputs>[3][]) => {
    const { drafts, scores } = expectedOutputs(scene.seed, documents, scene.adverts, ...only);
    return [...drafts, ...scores];
  };
  const all = of(scene.documents);
  const lost = new Set(
    terminated.flatMap((conversation) => {
      const [workflow, document] = conversation.split('/');
      return of(
        scene.documents.filter(({ id }) => id === document),
        [workflow as 'batch-scoring'],
      );
    }),
  );
  const found = scene.outputs();
  const missing = all.filter((file) => !found.includes(file) && !lost.has(file));
  const strange = found.filter((file) => !all.includes(file));
  scene.checks.check(
    `the output is complete: ${found.length} files, and none that should not be (${lost.size} were for ${terminated.join(' and ')} to write)`,
    missing.length + strange.length === 0,
    { missing, strange },
  );
}
