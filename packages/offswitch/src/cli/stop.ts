// stop.ts: break-glass. Ends (or pauses) one session with no flag source at all: through the running process that has it, and
// where none answers straight into the folder, which stops it wherever it is next looked at.

import { randomBytes } from 'node:crypto';
import { checkId, type Stop, type StopAction } from '@offswitch/core';
import { formatStopKey, subjectKey } from '@offswitch/runtime';
import { type Command, type Done, done, type Who } from './command.ts';
import { confirm } from './confirm.ts';
import { CommandError, exit } from './failure.ts';
import { followStop, tellFollowed } from './follow.ts';
import { reachOf, showReach } from './preview.ts';
import { clean, paint } from './print.ts';
import { askAll, isReceipt, sessionsIn, statusIn } from './wire.ts';

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
  const reach = await reachOf(command, target);
  showReach(command, reach, 'stops', target);
  const isKnown = reach.knows(session);
  // Of a process that does not answer nobody knows what it has; that is warned of above.
  const isNobody = !isKnown && reach.silent.length === 0;
  if (isNobody)
    command.say(
      paint(
        io,
        'yellow',
        `  warning     no session ${clean(session)} is known in ${clean(place.folder)}: check the id (offswitch sessions --all). The stop is recorded all the same, for one that is known elsewhere only`,
      ),
    );
  await confirm(
    io,
    action === 'terminate' ? `End session ${clean(session)} for good?` : `Pause session ${clean(session)}?`,
    isYes,
  );

  const isIt = (one: Stop): boolean => one.cause === 'operator' && one.subject.sessionId === session && one.action === action;
  const latched =
    (await throughProcess(command, session, action, who, isIt)) ?? (await intoFolder(command, session, action, who));
  const followed = await followStop(command, (one) => isIt(one) || one.id === latched.id);
  tellFollowed(command, followed);
  return done(
    {
      stop: latched.id,
      latchedBy: latched.by,
      preview: reach.preview,
      ...(isKnown || isNobody ? { known: isKnown } : {}),
      confirmed: followed.isFenced && followed.processes > 0,
      processes: followed.processes,
      stages: followed.stages,
      receipts: followed.receiptIds,
      silent: followed.silent,
    },
    followed.isFenced && isKnown ? exit.ok : exit.unconfirmed,
  );
}

interface Latched {
  readonly id: string;
  readonly by: 'process' | 'folder';
}

/** `undefined` where no process has the session, or none has done it for sure. */
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
  const answers = await askAll(
    place,
    'stop',
    { session, action, ...who },
    (value) => (isReceipt(value) ? value.stop.id : ''),
    owner.process,
  );
  const [answered] = answers.answered;
  if (answered && answered.value !== '') return { id: answered.value, by: 'process' };
  if (answers.silent.some((one) => one.code === 'session_ended'))
    throw Object.assign(new Error(answers.silent[0]!.message), { code: 'session_ended' });
  // It answers when fenced, which may take longer than we wait: in force already is as good.
  const statuses = await askAll(place, 'status', {}, statusIn, owner.process);
  const found = statuses.answered.flatMap((one) => one.value.stops).find(isIt);
  return found && { id: found.id, by: 'process' };
}

async function intoFolder(command: Command, session: string, action: StopAction, who: Who): Promise<Latched> {
  const id = formatStopKey({
    kind: 'act',
    cause: 'operator',
    action,
    tier: 'instance',
    subject: subjectKey(session),
    id: `c${randomBytes(8).toString('hex')}`,
  });
  await command.place.mark(id, 'engaged', 0, { ...who, at: command.io.now(), subject: session });
  await command.place.ask('reread');
  command.say(`  ✓ recorded in ${clean(command.place.folder)}`);
  return { id, by: 'folder' };
}
