// terminate.ts: ends for good what runs of a workflow or of a user: one instance order for each graph, previewed and confirmed.
//
// The switches of those tiers pause. To end is another act: it names sessions, so that what starts later is not ended with them.

import { randomBytes } from 'node:crypto';
import { checkId, unknownWorkflow } from '@offswitch/core';
import { formatStopKey, subjectKey } from '@offswitch/runtime';
import { type Command, type Done, done, type Who } from './command.ts';
import { confirm } from './confirm.ts';
import { readDeclared } from './declared.ts';
import { CommandError, exit } from './failure.ts';
import { wordsOf } from './flip.ts';
import { followStop, tellFollowed, tellRunning } from './follow.ts';
import { knownSessions } from './known.ts';
import { mustHaveBeenUsed } from './nothing-there.ts';
import { covered, headsOf } from './preview.ts';
import { clean, count, paint, tally } from './print.ts';
import { isEnded, type SessionLine } from './wire.ts';

export interface Whose {
  readonly workflow?: string | undefined;
  readonly user?: string | undefined;
}

/** Sessions named one by one before it is asked; the rest are counted. */
const namedSessions = 10;
/** Orders written at the same time. */
const atOnce = 16;

export async function terminate(command: Command, whose: Whose, who: Who, isYes: boolean): Promise<Done> {
  const { io, place } = command;
  const { workflow, user } = whose;
  if ((workflow === undefined) === (user === undefined))
    throw new CommandError(
      'subject_missing',
      'say whose sessions to end: --workflow <name> or --user <id>, one of the two',
      exit.usage,
    );
  const [tier, subject] =
    workflow === undefined ? (['user', checkId('userId', user)] as const) : (['feature', checkId('workflow', workflow)] as const);
  // What lies where a process left it is ended too, wherever it is next taken up.
  const { sessions: known, silent, damage, answers } = await knownSessions(place);
  const reached = covered(known, { tier, subject, isConversation: false });
  const heads = headsOf(reached);
  // What runs under a name that is declared no more is ended all the same; a name under which nothing runs may be a typo.
  if (heads.length === 0 && damage === undefined) {
    if (known.length === 0 && answers.answered.length === 0 && silent.length === 0) await mustHaveBeenUsed(place);
    const declared = await readDeclared(place).catch(() => undefined);
    if (workflow !== undefined && declared && !declared.switches.isWorkflow(workflow))
      throw unknownWorkflow(workflow, declared.switches.workflows);
  }
  const name = `${tier === 'user' ? 'user' : 'workflow'} ${clean(subject)}`;
  command.say(paint(io, 'bold', `terminate ${name}`));
  command.say(
    '  effect      Each of these sessions ends for good before its next call, with every sub-agent it started. Calls in flight are aborted. Work up to the last completed turn is kept. New ones may start',
  );
  command.say('  authorised  whoever can write the state. No flag source is needed, and none is asked');
  for (const one of silent) command.say(paint(io, 'yellow', `  warning     ${one}; what it runs is not among these`));
  if (damage !== undefined)
    command.say(paint(io, 'yellow', `  warning     ${clean(damage)}; what was left there is not among these`));
  command.say(`  right now   ends ${paint(io, 'bold', count(reached.length, 'session'))} in ${count(heads.length, 'graph')}`);
  if (heads.length === 0) {
    const names = [
      ...new Set(known.filter((one) => !isEnded(one)).map((one) => (tier === 'user' ? (one.user ?? '') : one.workflow))),
    ];
    const others = names.filter((one) => one !== '').slice(0, 5);
    command.say(
      paint(
        io,
        'yellow',
        `  warning     no live session of ${name}${others.length > 0 ? `; there are some of ${others.map(clean).join(', ')}` : ''}`,
      ),
    );
    return done(
      { stops: [], sessions: 0, silent, ...(damage === undefined ? {} : { problems: [damage] }) },
      silent.length > 0 || damage !== undefined ? exit.unconfirmed : exit.ok,
    );
  }
  command.say(`  workflows   ${tally(countBy(reached, (one) => one.workflow))}`);
  command.say(`  users       ${tally(countBy(reached, (one) => one.user ?? '(no user)'))}`);
  for (const one of heads.slice(0, namedSessions)) command.say(`              ${clean(one.id)} ${clean(one.agent)}`);
  if (heads.length > namedSessions) command.say(`              and ${heads.length - namedSessions} more`);
  await confirm(io, `End ${count(reached.length, 'session')} of ${name} for good?`, isYes);

  const orders = heads.map((head) => ({
    session: head.id,
    id: formatStopKey({
      kind: 'act',
      cause: 'operator',
      action: 'terminate',
      tier: 'instance',
      subject: subjectKey(head.id),
      id: `c${randomBytes(8).toString('hex')}`,
    }),
  }));
  const at = io.now();
  const standing: string[] = [];
  let failed: PromiseRejectedResult | undefined;
  for (let i = 0; i < orders.length && !failed; i += atOnce) {
    const marked = await Promise.allSettled(
      orders.slice(i, i + atOnce).map(async ({ id, session }) => {
        await place.mark(id, 'engaged', 0, { ...who, at, subject: session });
        standing.push(session);
      }),
    );
    failed = marked.find((one) => one.status === 'rejected');
  }
  if (failed && standing.length === 0) throw failed.reason;
  const heard = { answering: answers.answered.map(({ process }) => process), silent };
  await tellRunning(place, 'reread', heard);
  if (failed) throw inPart(standing, orders.length, failed.reason);
  command.say(`  ✓ recorded: ${count(orders.length, 'order')}`);
  const ids = new Set(orders.map(({ id }) => id));
  const followed = await followStop(command, (one) => ids.has(one.id), undefined, heard);
  tellFollowed(command, followed);
  // The last word on each: what a process ran that is not heard from may go on until it is, and the order waits for it there.
  const told = new Map(followed.receipts.flatMap((one) => one.sessions).map((one) => [one.session, one]));
  const unconfirmed = [...told.values()].filter((one) => one.state === 'unconfirmed');
  for (const one of unconfirmed.slice(0, namedSessions))
    command.say(
      paint(io, 'yellow', `  ! ${clean(one.session)} ${clean(one.agent)}: not known to have ended: ${clean(one.why ?? '')}`),
    );
  if (silent.length > 0)
    command.say(
      paint(io, 'yellow', '  ! what the process in the warning above ran may not be among these: run the command again'),
    );
  return done(
    {
      stops: orders,
      sessions: reached.length,
      confirmed: followed.isFenced && followed.processes > 0,
      processes: followed.processes,
      stages: followed.stages,
      receipts: followed.receiptIds,
      unconfirmed: unconfirmed.map((one) => one.session),
      silent: followed.silent,
      ...(damage === undefined ? {} : { problems: [damage] }),
    },
    followed.isFenced && silent.length === 0 && damage === undefined ? exit.ok : exit.unconfirmed,
  );
}

/** What was recorded takes hold, whatever became of the rest. */
function inPart(standing: readonly string[], all: number, cause: unknown): CommandError {
  const more = standing.length > namedSessions ? ` and ${standing.length - namedSessions} more` : '';
  const named = `${standing.slice(0, namedSessions).map(clean).join(', ')}${more}`;
  return new CommandError(
    'recorded_in_part',
    `${standing.length} of ${count(all, 'order')} are recorded and stand: ${named} (offswitch status). The others may not be: ${wordsOf(cause)}. Run the command again`,
    exit.failed,
    { cause },
  );
}

function countBy(sessions: readonly SessionLine[], of: (one: SessionLine) => string): Readonly<Record<string, number>> {
  const counts: Record<string, number> = Object.create(null);
  for (const one of sessions) counts[of(one)] = (counts[of(one)] ?? 0) + 1;
  return counts;
}
