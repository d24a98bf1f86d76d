// step-3-instance.ts: engage the instance switch for one session: its whole subtree ends for good, and nobody else.

import type { JournalRecord, ReceiptSession, SessionView } from 'offswitch';
import { haltWorkerOf, killWhileStopping } from './halted-worker.ts';
import { type PlacedSession, restStates, type Scene } from './scene.ts';

/** Where several processes run the session's tree, one of them is killed in the middle. Returns the conversation that was terminated. */
export async function engageInstance(scene: Scene, spared: readonly string[]): Promise<string> {
  const { checks, model } = scene;
  const { target, goOn } = await findTarget(scene, spared);
  const conversation = target.conversation ?? '';
  await engageNobody(scene, target);

  const subtree = (await scene.open()).filter((view) => view.path.includes(target.id));
  const inFlight = model.inFlight().filter((request) => request.tree === conversation);
  const flip = (): Promise<unknown> => scene.flip('engage', 'instance', target.id);
  const asking = new Set(inFlight.map(({ session }) => session));
  const worker = haltWorkerOf(
    scene,
    subtree.filter(({ id }) => asking.has(id)),
  );
  if (scene.processes > 1)
    checks.check(
      'a process that has one of its sub-agents at work is halted, to be killed in the middle of it',
      worker !== undefined,
      {
        inFlight,
        subtree: subtree.map(({ id, process, pid }) => ({ id, process, pid })),
      },
    );
  if (worker) await killWhileStopping(scene, worker, flip, ({ stop }) => stop.subject.sessionId === target.id);
  else await flip();
  const fencedAt = (await scene.receipt('instance', target.id, 'fenced')).stages.fenced!;
  await scene.until('the requests in flight are aborted', () => inFlight.every((request) => request.end !== undefined));
  checks.check(
    `the ${inFlight.length} HTTP requests in flight in its subtree are aborted`,
    inFlight.length > 0 && inFlight.every((request) => request.end === 'aborted'),
    inFlight,
  );
  goOn();
  await scene.requests(15, 'bystanders', (request) => request.tree !== conversation);
  const waitOn = scene.standStill();

  const isClear = ({ state }: ReceiptSession): boolean => state === 'stopped' || state === 'already-ended';
  const receipt = await scene.until('the receipt knows the end of each session', async () => {
    const found = await scene.receipt('instance', target.id, 'done');
    return (worker === undefined || found.sessions.every(isClear)) && found;
  });
  const named = new Map(receipt.sessions.map((one) => [one.session, one]));
  const missing = subtree.filter((view) => !named.has(view.id));
  checks.check(`the receipt names each of the ${subtree.length} open sessions of the subtree`, missing.length === 0, missing);
  const unclear = receipt.sessions.filter((one) => !isClear(one) || !Number.isInteger(one.checkpointTurn));
  checks.check('and of each its end and its last completed turn', unclear.length === 0, unclear);
  const calls = receipt.sessions.flatMap((one) => one.calls.map((call) => `${one.session} ${call.id}`));
  const open = receipt.sessions.flatMap((one) => one.calls.filter((call) => call.outcome === 'in-flight'));
  const journal = await scene.journal();
  const lost = subtree.flatMap((view) =>
    view.calls
      .filter(({ id }) => !calls.includes(`${view.id} ${id}`))
      .map(({ id, kind, name }) => ({
        session: view.id,
        process: view.process,
        id,
        kind,
        name,
        records: recordsOf(journal, view.id, id),
      }))
      // One that was seen under way and had ended by the time of the stop is none of its calls: tools go on while the model is held.
      .filter(({ records }) => !records.some(({ t, at }) => t === 'end' && at < receipt.stop.since)),
  );
  checks.check('and the outcome of every call that was under way', open.length === 0 && lost.length === 0 && calls.length > 0, {
    open,
    lost,
    since: receipt.stop.since,
  });
  const records = journal.filter((record) => record.t === 'call' && named.has(record.s) && record.at > fencedAt);
  // One that was on its way by then is aborted when it comes; that its call had begun before, the journal says.
  const wasOnItsWay = ({ session, turn, end }: (typeof model.log)[number]): boolean =>
    end === 'aborted' &&
    journal.some(
      (one) => one.t === 'call' && one.kind === 'model' && one.s === session && one.turn === turn && one.at <= fencedAt,
    );
  const asked = model.log.filter((request) => request.tree === conversation && request.at > fencedAt && !wasOnItsWay(request));
  checks.check('no call starts in the subtree after the fence (I1)', records.length + asked.length === 0, { records, asked });
  if (worker) {
    const ids = worker.lost.map(({ id }) => id);
    const ends = receipt.sessions.filter(({ session }) => ids.includes(session));
    checks.check(
      `killed in the middle of it, a process leaves ${ids.length} sub-agents to be ended, each once, by the others`,
      ends.length === ids.length && ends.every((one) => one.state === 'stopped' && one.process !== worker.victim.process),
      ends,
    );
    const twice = receipt.sessions.filter((one, at, all) => all.findIndex(({ session }) => session === one.session) !== at);
    checks.check('no session is in the receipt twice', twice.length === 0, twice);
  }
  checks.check(
    'nobody else is terminated',
    (await terminated(scene)).every((id) => named.has(id)),
    await terminated(scene),
  );
  waitOn();
  return conversation;
}

/** What the journal says of a call: that it began, and how it ended. */
function recordsOf(journal: readonly JournalRecord[], session: string, call: string): readonly JournalRecord[] {
  const begun = journal.find((record) => record.t === 'call' && record.s === session && record.id === call);
  if (begun?.t !== 'call') return [];
  const isOfIt = (record: JournalRecord): boolean =>
    (record.t === 'call' || record.t === 'end') && record.s === session && record.turn === begun.turn && record.key === begun.key;
  return journal.filter(isOfIt);
}

/** A tree that is three deep with a reply of the model under way (outside the first process where there are several), and the fleet at a standstill. */
async function findTarget(scene: Scene, spared: readonly string[]): Promise<{ target: SessionView; goOn: () => void }> {
  return scene.until('there is a tree three deep with calls under way', async () => {
    const goOn = scene.standStill();
    const open = await scene.open();
    const asking = new Set(scene.model.inFlight().map(({ session }) => session));
    const isElsewhere = ({ pid }: PlacedSession): boolean => scene.processes === 1 || pid !== scene.fleet.pid;
    const root = open.find(
      (view) =>
        view.parent === undefined &&
        view.state === 'running' &&
        !spared.includes(view.conversation ?? '') &&
        open.some((one) => one.root === view.id && one.path.length === 3 && one.calls.some((call) => call.kind === 'model')) &&
        open.some((one) => one.root === view.id && asking.has(one.id) && isElsewhere(one)),
    );
    if (root && bystanderOf(scene, open, root)) return { target: root, goOn };
    goOn();
    return undefined;
  });
}

/** An id that differs in one character from a live session's is nobody's. */
async function engageNobody(scene: Scene, target: SessionView): Promise<void> {
  const bystander = bystanderOf(scene, await scene.open(), target);
  if (!bystander) throw new Error('there is no bystander left to be spared');
  const last = bystander.id.at(-1) === '0' ? '1' : '0';
  const nobody = `${bystander.id.slice(0, -1)}${last}`;
  const json = await scene.flip('engage', 'instance', nobody);
  const preview = json.preview as { readonly sessions: number; readonly nearest: readonly string[] };
  scene.checks.check(
    'an id that differs from a session in one character stops nobody, and the command names the session it is near to',
    preview.sessions === 0 && preview.nearest.includes(bystander.id),
    preview,
  );
  const view = (await scene.open()).find((one) => one.id === bystander.id);
  scene.checks.check('the session with the near id is untouched', view?.decision.action === 'run', view);
}

/** Another root whose model is being asked: it stays as it is while the fleet stands still. */
function bystanderOf(scene: Scene, open: readonly SessionView[], target: SessionView): SessionView | undefined {
  const asking = new Set(scene.model.inFlight().map((request) => request.tree));
  return open.find(
    (view) =>
      view.parent === undefined && view.id !== target.id && view.state === 'running' && asking.has(view.conversation ?? ''),
  );
}

/** Turns the whole instance flag on, as a slip of the hand does (S11). */
export async function engageEverybodysInstance(scene: Scene, inDelivery: readonly string[]): Promise<void> {
  const { checks, model } = scene;
  const before = await terminated(scene);
  let goOn = scene.standStill();
  await scene.switches.everybodysInstance(true);
  const status = await scene.until('the fleet says that the instance switch is on for everybody', async () => {
    const found = (await scene.statuses()).map(({ switches }) =>
      switches.find(({ flag, cause }) => flag.tier === 'instance' && cause === 'untargeted'),
    );
    return found.every((one) => one !== undefined) && found[0];
  });
  goOn();
  await scene.until('everybody is held', async () => {
    // A letter on its way keeps its tree from resting; it starts nothing all the same.
    const open = (await scene.open()).filter((view) => !inDelivery.includes(view.conversation ?? ''));
    return model.inFlight().length === 0 && open.every((view) => restStates.includes(view.state));
  });
  const asked = model.log.length;
  await scene.refresh();
  checks.check('the whole instance flag on holds everybody: the model is not asked', model.log.length === asked);
  checks.check('it terminates nobody (S11)', (await terminated(scene)).length === before.length, await terminated(scene));
  checks.check(
    'it says so: in the status as untargeted, and as an alarm where the fleet runs',
    status.state === 'unknown' && /ALARM: .*killswitch\.instance/.test(scene.fleet.printed()),
    { status, printed: scene.fleet.printed().slice(-800) },
  );
  goOn = scene.standStill();
  await scene.switches.everybodysInstance(false);
  await scene.until('somebody goes on', () => model.inFlight().length > 0);
  checks.check('turned off again, they go on', true);
  goOn();
}

/** Sessions whose end in the journal is `terminated`. */
async function terminated(scene: Scene): Promise<readonly string[]> {
  await scene.open();
  return (await scene.journal()).flatMap((record) =>
    record.t === 'settled' && record.status === 'terminated' ? [record.s] : [],
  );
}
