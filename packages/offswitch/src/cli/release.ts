// release.ts: lets go again: of a switch through its control, of a stop by act, of a tripped breaker.

import { type Breaker, type Inspection, isEngaged, type Stop, unknownWorkflow } from '@offswitch/core';
import { isConversationKey, parseStopKey, type StoredStop } from '@offswitch/runtime';
import { type Command, type Done, done, stopOf, type Who } from './command.ts';
import { confirm } from './confirm.ts';
import { controlOf } from './control-of.ts';
import { endSessions } from './conversation.ts';
import { readDeclared } from './declared.ts';
import { pendingOf, releasePending, unlatchConversation } from './express.ts';
import { CommandError, exit } from './failure.ts';
import { type FlipTarget, isStopOf, planFlip, showFlip, targetKey, tellFlip, wordsOf } from './flip.ts';
import { flipThrough } from './flip-through.ts';
import { followRelease } from './follow.ts';
import { reachOf, showReach } from './preview.ts';
import { age, clean, count, paint } from './print.ts';
import { inForce, isOtherOf, type Others, othersOf, tellHeld, tellOthers } from './still-held.ts';
import { askAll, silentOnes, statusIn, stopsIn, subjectName } from './wire.ts';

export async function release(command: Command, target: FlipTarget, who: Who, isYes: boolean): Promise<Done> {
  const [plan, reach] = await Promise.all([planFlip(command, target), reachOf(command, target)]);
  if (!plan.wired) throw plan.refusal;
  showFlip(command, 'release', plan);
  if (target.tier === 'instance') {
    command.say(
      '  right now   starts nothing: a session that was ended stays ended; a new run of that id or conversation is permitted again',
    );
  } else {
    showReach(command, reach, 'lets go on, where nothing else holds them,', target);
  }
  const subject = clean(target.subject ?? '');
  const named =
    target.tier === 'global'
      ? 'all agents'
      : target.tier === 'feature'
        ? `every agent of the workflow ${subject}`
        : target.tier === 'user'
          ? `every agent of user ${subject}`
          : '';
  // A name with a typo in it releases nobody, and would say that it had.
  if (!(await inForce(command)).some((stop) => isStopOf(target, new Set())(stop) || isOtherOf(target, stop)))
    command.say(
      paint(
        command.io,
        'yellow',
        `  warning     no stop of ${target.tier}${subject === '' ? '' : ` ${subject}`} is in force here: check the name (offswitch status)`,
      ),
    );
  await confirm(command.io, target.tier === 'instance' ? `Permit new runs of ${subject}?` : `Let ${named} go on?`, isYes);

  if (target.isConversation)
    await endSessions(
      command,
      (await command.place.stops()).filter((one) => isLatchOf(one, target)),
    );
  const before = await pendingOf(command, plan);
  const flip = await flipThrough(command, plan, plan.wired, 'release', who);
  tellFlip(command, plan.wired, flip);
  await unlatchConversation(command, target, flip);
  const pending = await releasePending(command, plan, who, before);
  if (pending.length > 0) command.say('  ✓ what no process had read yet is released by act');
  await command.place.ask('refresh');
  // An ended session stays ended, so its stop stays in force and is not waited for.
  const { series } = plan.declared.source;
  if (target.tier === 'instance') {
    const others = await othersOf(command, target, series);
    tellOthers(command, others);
    return done({ flip, ...others }, isNobody(others) ? exit.ok : exit.unconfirmed);
  }
  const after = await followRelease(command, isStopOf(target, new Set()), { key: plan.flag.key, who, series });
  const others = await othersOf(command, target, series, after.held);
  tellHeld(command, after, isNobody(others) ? 'released' : 'the switch is released', series);
  tellOthers(command, others);
  const isConfirmed = after.held.length === 0 && after.silent.length === 0 && isNobody(others);
  return done(
    {
      flip,
      pending,
      preview: reach.preview,
      confirmed: isConfirmed && after.processes > 0,
      processes: after.processes,
      held: after.held,
      ...others,
      silent: after.silent,
    },
    isConfirmed ? exit.ok : exit.unconfirmed,
  );
}

const isNobody = ({ others, problems }: Others): boolean => others.length === 0 && problems === undefined;

/** What the release of a conversation's switch may let go of, here or in a process that reads it. Operators' stops are released by act. */
function isLatchOf({ key: name, marks }: StoredStop, target: FlipTarget): boolean {
  const key = parseStopKey(name);
  return key?.kind === 'switch' && key.tier === 'instance' && key.subject === targetKey(target) && isEngaged(marks);
}

/**
 * Releases one stop by act, named by its id (S3). Works with no process alive, unless the source still says engaged. `allowance`: of a
 * breaker's stop, how much more is allowed, in the breaker's unit.
 */
export async function releaseStop(
  command: Command,
  id: string,
  allowance: number | undefined,
  who: Who,
  isYes: boolean,
): Promise<Done> {
  const { place } = command;
  const key = parseStopKey(id);
  const stored = (await place.stops()).find((one) => one.key === id);
  const statuses = await askAll(place, 'status', {}, statusIn);
  const stop =
    statuses.answered.flatMap((one) => one.value.stops).find((one) => one.id === id) ??
    (stored && isEngaged(stored.marks) ? stopOf(stored) : undefined);
  if (!stop || !key)
    throw new CommandError('unknown_stop', `no stop ${JSON.stringify(clean(id))} is in force; those that are: offswitch status`);
  if (stop.action === 'terminate' && !isConversationKey(key.subject)) {
    throw new CommandError(
      'release_refused',
      `${clean(id)} ended its session for good, and is not released; going on is a new run`,
    );
  }
  const breaker = key.kind === 'act' ? key.breaker : undefined;
  if (allowance !== undefined && breaker === undefined)
    throw new CommandError('allowance_extra', `${clean(id)} is no breaker's stop: there is nothing to allow more of`, exit.usage);
  showStop(command, stop);
  if (breaker !== undefined) command.say(`  allows      ${moreWords(allowance)}`);
  await confirm(command.io, `Release this stop of ${stop.tier} ${clean(subjectName(stop.subject))}?`, isYes);
  if (stop.action === 'terminate') await endSessions(command, [stored ?? { key: id, marks: { engaged: 0, released: -1 } }]);
  if (statuses.answered.length > 0)
    return tellReleased(
      command,
      await askEach(command, { stop: id, ...(allowance === undefined ? {} : { allowance }), ...who }),
      (one) => one.id === id,
    );

  if (key.kind === 'switch') await refuseWhileEngaged(command, stop);
  await place.mark(id, 'released', Math.max(stored?.marks.engaged ?? 0, 0), {
    ...who,
    at: command.io.now(),
    ...(stored?.engaged?.subject === undefined ? {} : { subject: stored.engaged.subject }),
    ...(allowance === undefined ? {} : { allowance }),
  });
  const silent = silentOnes(statuses);
  for (const one of silent) command.say(paint(command.io, 'yellow', `  ! ${one}`));
  command.say(
    `  ✓ recorded. ${silent.length > 0 ? 'It takes effect where it is read' : 'No process is running; it takes effect at start'}`,
  );
  return done({ released: [stop], confirmed: false, processes: 0, silent }, silent.length > 0 ? exit.unconfirmed : exit.ok);
}

/** Releases what a breaker stopped, many at once; `allowance` is how much more each may use, in the breaker's unit. */
export async function releaseBreaker(
  command: Command,
  breaker: Breaker,
  filter: { readonly workflow?: string; readonly allowance?: number },
  who: Who,
  isYes: boolean,
): Promise<Done> {
  const declared = await readDeclared(command.place);
  if (declared && filter.workflow !== undefined && !declared.switches.isWorkflow(filter.workflow))
    throw unknownWorkflow(filter.workflow, declared.switches.workflows);
  const statuses = await askAll(command.place, 'status', {}, statusIn);
  if (statuses.answered.length === 0) {
    throw new CommandError(
      'no_process',
      `no process is running on ${command.place.folder}, so the sessions cannot be told by workflow: start the application, or release each with offswitch release --stop <id>`,
    );
  }
  const stops = statuses.answered.flatMap((one) => one.value.stops).filter((one) => one.breaker === breaker);
  command.say(
    `release breaker ${breaker}: ${count(new Set(stops.map((one) => one.id)).size, 'stop')} in force${filter.workflow ? `, of which those of ${clean(filter.workflow)}` : ''}`,
  );
  command.say(
    `  effect      each session it paused goes on, where nothing else holds it, and is allowed ${moreWords(filter.allowance)}`,
  );
  await confirm(command.io, `Let the sessions that the ${breaker} breaker paused go on?`, isYes);
  const answer = await askEach(command, { breaker, ...filter, ...who });
  return tellReleased(command, answer, () => false);
}

const moreWords = (allowance: number | undefined): string =>
  allowance === undefined ? 'the same threshold again' : `${allowance} more`;

/** Asks every process: each knows the workflow of its own sessions, and whose stop it is not says so. */
async function askEach(command: Command, params: Readonly<Record<string, unknown>>): Promise<readonly Stop[]> {
  const answers = await askAll(command.place, 'release', params, stopsIn);
  const released = new Map(answers.answered.flatMap((one) => one.value).map((stop) => [stop.id, stop]));
  // Another process may have released it a moment before: `unknown_stop` beside a success is no failure.
  const failed = answers.silent.find((one) => one.code !== 'unknown_stop') ?? answers.silent[0];
  if (failed && (released.size === 0 || failed.code !== 'unknown_stop')) {
    throw new CommandError(failed.code, clean(failed.message.replace(/^\[[\w-]+\] /, '')));
  }
  return [...released.values()];
}

async function tellReleased(command: Command, released: readonly Stop[], isIt: (stop: Stop) => boolean): Promise<Done> {
  const after = await followRelease(command, (stop) => isIt(stop) || released.some((one) => one.id === stop.id));
  command.say(`  ${released.length === 0 ? 'nothing was in force' : `✓ ${count(released.length, 'stop')} released`}`);
  tellHeld(command, after, released.length > 0 ? 'released' : undefined);
  const { held, silent, processes } = after;
  const isConfirmed = held.length === 0 && silent.length === 0;
  return done(
    { released, confirmed: isConfirmed && processes > 0, processes, held, silent },
    isConfirmed ? exit.ok : exit.unconfirmed,
  );
}

function showStop(command: Command, stop: Stop): void {
  command.say(paint(command.io, 'bold', `release ${clean(stop.id)}`));
  command.say(
    `  reason      ${clean(stop.reason)}${stop.by === undefined ? '' : ` (${clean(stop.by)})`}, ${age(command.io.now(), stop.since)}`,
  );
  command.say(
    stop.action === 'terminate'
      ? '  effect      new runs of the conversation may start; those that were ended stay ended'
      : '  effect      paused sessions go on, where nothing else holds them',
  );
}

/** A source that says engaged would stop it again at once; saying "released" would be untrue. */
async function refuseWhileEngaged(command: Command, stop: Stop): Promise<void> {
  const declared = await readDeclared(command.place);
  if (!declared) return;
  let inspections: readonly Inspection[];
  let location: string;
  try {
    const wired = await controlOf(command, declared);
    ({ location } = wired);
    inspections = await wired.control.inspect(declared.switches);
  } catch (error) {
    // No process reads it and nobody can ask: the act stands, and is undone by the first reading that says engaged.
    const what = `${declared.source.kind} could not be asked whether it still says engaged`;
    command.say(paint(command.io, 'yellow', `  ! ${clean(what)}: ${wordsOf(error)}`));
    return;
  }
  const name = subjectName(stop.subject);
  const one = inspections.find(({ flag }) => flag.tier === stop.tier && (flag.tier !== 'feature' || flag.workflow === name));
  if (one?.engaged === 'everybody' || (one?.engaged === 'targets' && one.targets.includes(name))) {
    throw new CommandError(
      'release_refused',
      `${one.key} still says engaged in ${clean(location)}: release it there with offswitch release ${stop.tier} ${clean(name)} --reason ...`,
    );
  }
}
