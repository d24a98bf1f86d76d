// stop.ts: break-glass. Ends (or pauses) one session with no flag source at all: straight into the state, from where every process takes
// it in. A process that hangs is told of, and waited for by nothing that a person has said yes to (S3).

import { randomBytes } from 'node:crypto';
import { checkId, isEngaged, type Stop, type StopAction } from '@offswitch/core';
import { formatStopKey, parseStopKey, subjectKey } from '@offswitch/runtime';
import { type Command, type Done, done, type Who } from './command.ts';
import { confirm } from './confirm.ts';
import { CommandError, exit } from './failure.ts';
import { wordsOf } from './flip.ts';
import { followStop, tellFollowed, tellRunning } from './follow.ts';
import { inTime } from './in-time.ts';
import type { Place } from './place.ts';
import { countWithinMs, type Reach, reachOf, showReach } from './preview.ts';
import { clean, paint } from './print.ts';
import { askAll, isEnded, isReceipt, sessionsIn, statusIn } from './wire.ts';

export async function stop(command: Command, session: string, action: StopAction, who: Who, isYes: boolean): Promise<Done> {
  const { io, place } = command;
  checkId('sessionId', session);
  // Ids are minted by a runtime, which makes the folder first: where there is none, a stop would reach nobody, and say done.
  if (!place.exists())
    throw new CommandError(
      'no_folder',
      `there is no state folder ${clean(place.folder)}, so nothing was stopped; name the application's with --state`,
    );
  command.say(paint(io, 'bold', `stop session ${clean(session)}`));
  command.say(
    action === 'terminate'
      ? '  effect      This session ends for good before its next call, with every sub-agent it started. Calls in flight are aborted. Work up to the last completed turn is kept'
      : '  effect      This session pauses before its next turn, with every sub-agent it started, until a person releases it',
  );
  command.say('  authorised  whoever can write the state. No flag source is needed, and none is asked');
  const target = { tier: 'instance', subject: session, isConversation: false } as const;
  const isIt = (one: Stop): boolean => one.cause === 'operator' && one.subject.sessionId === session && one.action === action;
  const earlier = earlierAct(command, session, action).catch(() => undefined);
  const reaching = reachOf(command, target);
  const latch = async (): Promise<Latched> => {
    const latched = await inState(command, session, action, who, isIt);
    if (latched.by === 'folder') command.say(`  ✓ recorded in ${clean(place.folder)}`);
    return latched;
  };
  let latched: Latched | undefined;
  let told: Promise<unknown> | undefined;
  if (isYes && !(await isIn(reaching))) {
    latched = await latch();
    told = place.ask('reread');
  }
  const reach = await reaching;
  showReach(command, reach, 'stops', target);
  const known = reach.find(session);
  const before = reach.knows(session) ? undefined : await toldBefore(command, session, await earlier);
  const isKnown = reach.knows(session) || before !== undefined;
  // Of what does not answer, or cannot be read, nobody knows what is in it; that is warned of above.
  const isAllTold = reach.silent.length === 0 && reach.damage === undefined;
  const isNobody = !isKnown && isAllTold;
  if (isNobody)
    command.say(
      paint(
        io,
        'yellow',
        `  warning     no session ${clean(session)} is known in ${clean(place.folder)}: check the id (offswitch sessions --all). The stop is recorded all the same, for one that is known elsewhere only`,
      ),
    );
  if (before !== undefined)
    command.say(
      `  before      this order was given before, and nobody has the session any more: offswitch receipts ${clean(before)}`,
    );
  if (!latched) {
    // Under one that has ended something may run on, in another process too.
    if (known && isEnded(known) && reach.processes > 0 && reach.preview.sessions === 0 && isAllTold)
      throw new CommandError('session_ended', `session ${clean(session)} has ended already (${clean(known.state)})`);
    await confirm(
      io,
      action === 'terminate' ? `End session ${clean(session)} for good?` : `Pause session ${clean(session)}?`,
      isYes,
    );
    latched = await latch();
    told = tellRunning(place, 'reread', reach);
  }
  await told;

  const { id, by } = latched;
  const followed = await followStop(command, (one) => isIt(one) || one.id === id, undefined, reach);
  tellFollowed(command, followed);
  return done(
    {
      stop: id,
      latchedBy: by,
      preview: reach.preview,
      ...(reach.namesake === undefined ? {} : { namesake: reach.namesake }),
      ...(before === undefined ? {} : { before }),
      ...(isKnown || isNobody ? { known: isKnown } : {}),
      confirmed: followed.isFenced && followed.processes > 0,
      processes: followed.processes,
      stages: followed.stages,
      receipts: followed.receiptIds,
      silent: followed.silent,
      ...(reach.damage === undefined ? {} : { problems: [reach.damage] }),
    },
    followed.isFenced && isKnown ? exit.ok : exit.unconfirmed,
  );
}

interface Latched {
  readonly id: string;
  readonly by: 'process' | 'folder';
}

/** How long an order that was said yes to waits for the count of what it stops. Milliseconds: processes that are well answer in a few. */
const countFirstMs = 500;

const isIn = (reaching: Promise<Reach>): Promise<boolean> =>
  inTime(
    countFirstMs,
    reaching.then(
      () => true,
      () => true,
    ),
  ).catch(() => false);

/** The same order again is the same stop, so that one release lifts it. */
async function earlierAct({ place }: Command, session: string, action: StopAction): Promise<string | undefined> {
  const found = (await place.stops()).find(({ key: name, marks }) => {
    const key = parseStopKey(name);
    const isOperators = key?.kind === 'act' && key.cause === 'operator' && key.action === action && key.tier === 'instance';
    return isOperators && key.subject === subjectKey(session) && isEngaged(marks);
  });
  return found?.key;
}

/** The receipt of the same order given before, where that names the session: those that have ended nobody remembers for ever. */
async function toldBefore({ place }: Command, session: string, earlier: string | undefined): Promise<string | undefined> {
  if (earlier === undefined) return undefined;
  const receipts = await inTime(countWithinMs, place.receipts()).catch(() => []);
  return receipts.find(({ id, sessions }) => id === earlier && sessions.some((one) => one.session === session))?.id;
}

/** Under the name of the same order given before. Where that has been released, a mark under it would stop nobody. */
async function record(command: Command, session: string, action: StopAction, who: Who): Promise<string> {
  const { io, place } = command;
  const words = { ...who, at: io.now(), subject: session };
  const earlier = await earlierAct(command, session, action).catch(() => undefined);
  if (earlier !== undefined) {
    await place.mark(earlier, 'engaged', 0, words);
    if (await isInForce(place, earlier)) return earlier;
  }
  const id = formatStopKey({
    kind: 'act',
    cause: 'operator',
    action,
    tier: 'instance',
    subject: subjectKey(session),
    id: `c${randomBytes(8).toString('hex')}`,
  });
  await place.mark(id, 'engaged', 0, words);
  return id;
}

/** What cannot be read back is not taken to be. */
async function isInForce(place: Place, id: string): Promise<boolean> {
  const stops = await place.stops().catch(() => []);
  return stops.some(({ key, marks }) => key === id && isEngaged(marks));
}

async function inState(
  command: Command,
  session: string,
  action: StopAction,
  who: Who,
  isIt: (stop: Stop) => boolean,
): Promise<Latched> {
  try {
    return { id: await record(command, session, action, who), by: 'folder' };
  } catch (error) {
    const latched = await throughProcess(command, session, action, who, isIt);
    if (!latched) throw error;
    command.say(paint(command.io, 'yellow', `  ! ${clean(wordsOf(error))}; the process that has it was told instead`));
    return latched;
  }
}

/** Where the state cannot be written: `undefined` where no process has the session, or none has done it. */
async function throughProcess(
  command: Command,
  session: string,
  action: StopAction,
  who: Who,
  isIt: (stop: Stop) => boolean,
): Promise<Latched | undefined> {
  const { place } = command;
  const known = await askAll(place, 'sessions', {}, sessionsIn);
  const owner = known.answered.find((one) => one.value.some((line) => line.id === session && line.state !== 'elsewhere'));
  if (!owner) return undefined;
  const { answered } = await askAll(
    place,
    'stop',
    { session, action, ...who },
    (value) => (isReceipt(value) ? value.stop.id : ''),
    owner.process,
  );
  const id = answered.find((one) => one.value !== '')?.value;
  if (id !== undefined) return { id, by: 'process' };
  // It answers when fenced, which may take longer than we wait: in force already is as good.
  const statuses = await askAll(place, 'status', {}, statusIn, owner.process);
  const found = statuses.answered.flatMap((one) => one.value.stops).find(isIt);
  return found && { id: found.id, by: 'process' };
}
