// step-1-feature.ts: engage the feature switch of batch scoring, and look at who rests and who does not notice.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { documentsAtFirst, restStates, type Scene } from './scene.ts';
import { type LoggedRequest, watchModel } from './watched-model.ts';

const workflow = 'batch-scoring';
/** Turns of bystanders that the median is taken of, at least. */
const turnsMeasured = 24;
/** A turn may take this part longer. */
const tolerance = 0.2;
/** What a busy machine adds to one median and not to the other is within so many standard errors, 999 times in 1000. */
const standardErrors = 3.3;

/** Leaves batch scoring engaged. */
export async function engageFeature(scene: Scene): Promise<void> {
  const { checks } = scene;
  const of = (request: LoggedRequest): boolean => request.tree.startsWith(`${workflow}/`);
  const reference = await startReference(scene);
  try {
    const goOn = await standStillThreeDeep(scene);
    await scene.flip('engage', 'feature', workflow);
    goOn();
    const receipt = await scene.receipt('feature', workflow, 'done');
    const doneAt = receipt.stages.done!;
    const measureFrom = Date.now();
    await scene.until(`${turnsMeasured} turns of bystanders in both fleets`, () =>
      [scene.model.log, reference.log].every((log) => turnTimes(log, measureFrom).length >= turnsMeasured),
    );
    const waitOn = scene.standStill();

    const open = await scene.open();
    const covered = open.filter((view) => view.workflow === workflow);
    checks.check(
      `every agent of ${workflow} rests, sub-agents three deep included`,
      covered.every((view) => restStates.includes(view.state)) && covered.some((view) => view.path.length === 3),
      covered.filter((view) => !restStates.includes(view.state)),
    );
    const late = scene.model.log.filter((request) => of(request) && request.at > doneAt);
    checks.check(`the model is not asked by ${workflow} once the receipt says done`, late.length === 0, late);
    const ids = new Set(receipt.sessions.map((one) => one.session));
    const fencedAt = receipt.stages.fenced!;
    const turns = (await scene.journal()).filter((record) => record.t === 'turn' && ids.has(record.s) && record.at > fencedAt);
    checks.check('none of them begins a turn after the fence (I1)', turns.length === 0, turns);
    const bystanders = open.filter((view) => view.workflow !== workflow);
    const held = bystanders.filter((view) => view.decision.action !== 'run');
    checks.check(`no agent of another workflow is held (${bystanders.length} are open)`, held.length === 0, held);

    const stopped = turnTimes(scene.model.log, measureFrom);
    const unstopped = turnTimes(reference.log, measureFrom);
    const slower = median(stopped.map(ownMs)) - median(unstopped.map(ownMs));
    const usual = median(unstopped.map((turn) => turn.modelMs + turn.ownMs));
    const noise = standardErrors * Math.hypot(errorOfMedian(stopped.map(ownMs)), errorOfMedian(unstopped.map(ownMs)));
    const shown = `${slower.toFixed(0)} ms slower in a turn of ${usual.toFixed(0)} ms; the machine's own noise is ${noise.toFixed(0)} ms`;
    checks.check(
      `the bystanders' median turn stays within ${tolerance * 100} % of the same seed's unstopped run beside it (${shown})`,
      slower <= tolerance * usual + noise,
    );
    await reference.interrupt();
    waitOn();
  } finally {
    await reference.close();
  }
}

/** Stands still when two trees of the workflow are three deep, their deepest in a first turn, which is never the last. */
async function standStillThreeDeep(scene: Scene): Promise<() => void> {
  return scene.until('two trees of batch scoring have grown three deep', async () => {
    const goOn = scene.standStill();
    const open = await scene.open();
    const deep = open.filter(
      (view) => view.workflow === workflow && view.path.length === 3 && view.turn === 1 && view.calls.length > 0,
    );
    if (new Set(deep.map((view) => view.root)).size >= 2) return goOn;
    goOn();
    return undefined;
  });
}

interface TurnTime {
  /** Model time injected for the reply, not what a timer made of it. Milliseconds. */
  readonly modelMs: number;
  /** What went by from the reply's end until the same agent asked again: its tools, and all that a stop could add. Milliseconds. */
  readonly ownMs: number;
}

const ownMs = (turn: TurnTime): number => turn.ownMs;

/**
 * Turns of bystanders, of the deepest agents, since a turn of the others contains its sub-agents' turns. The unstopped run
 * goes beside the stopped one, on the same machine in the same seconds: a busy machine slows both, and what differs beyond
 * chance is what the stop did. Model time is injected, and which turns fall into a window is chance, so what is compared is
 * the time of a turn without it.
 */
function turnTimes(log: readonly LoggedRequest[], from: number): TurnTime[] {
  const before = new Map<string, LoggedRequest>();
  const times: TurnTime[] = [];
  for (const request of log) {
    if (request.role !== 'fact-checker' || request.tree.startsWith(`${workflow}/`)) continue;
    const last = before.get(request.session);
    before.set(request.session, request);
    if (last?.endedAt !== undefined && last.at >= from) times.push({ modelMs: last.modelMs, ownMs: request.at - last.endedAt });
  }
  return times;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Standard error of a median, from the median absolute deviation: 1.4826 of it is a normal's deviation, and 1.2533 the median's share. */
function errorOfMedian(values: readonly number[]): number {
  const middle = median(values);
  return (1.2533 * 1.4826 * median(values.map((one) => Math.abs(one - middle)))) / Math.sqrt(values.length);
}

/** The same fleet with the same seed, which nobody stops. */
async function startReference(scene: Scene) {
  const folder = mkdtempSync(join(tmpdir(), 'studio-reference-'));
  const model = await watchModel(scene.seed, scene.model.brake.speed);
  // Its state is kept as the other's is: over Redis in one of its own.
  const own = ['--state', join(folder, 'state'), '--store', scene.store];
  const fleet = scene.spawn(folder, documentsAtFirst, { OPENAI_BASE_URL: model.url }, own);
  return {
    log: model.log,
    /** Ctrl-C, checked. */
    async interrupt(): Promise<void> {
      const code = await fleet.kill('SIGINT');
      const said = /parked \d+ trees of agents .* resumes them/.test(fleet.printed());
      scene.checks.check('Ctrl-C parks a fleet in full flight, says so, and ends it with 0', code === 0 && said, {
        code,
        printed: fleet.printed().slice(-600),
      });
    },
    async close(): Promise<void> {
      if (fleet.ended() === undefined) await fleet.kill('SIGKILL');
      await model.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
