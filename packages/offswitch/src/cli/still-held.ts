// still-held.ts: whom a release lets go on, and whom something else still holds: releasing one stop releases no other (S1).

import { isEngaged, type Stop } from '@offswitch/core';
import { isConversationKey, parseStopKey } from '@offswitch/runtime';
import { type Command, stopOf } from './command.ts';
import { type FlipTarget, targetKey, wordsOf } from './flip.ts';
import { confirmWithinMs, type followRelease, isForeign } from './follow.ts';
import { clean, paint } from './print.ts';
import { askAll, statusIn } from './wire.ts';

/** What is in force, as running processes say and as the state has it. Rejects where that cannot be read. */
export async function inForce(command: Command): Promise<readonly Stop[]> {
  const [statuses, stored] = await Promise.all([askAll(command.place, 'status', {}, statusIn), command.place.stops()]);
  const told = statuses.answered.flatMap((one) => one.value.stops);
  const written = stored.flatMap((one) => (isEngaged(one.marks) ? (stopOf(one) ?? []) : []));
  return [...new Map([...written, ...told].map((stop) => [stop.id, stop])).values()];
}

/**
 * Of the same reach as this switch, and not let go of by its release: made by an operator or a breaker, or by another history of the switch than `series`.
 * A session's own switch ends it for good, whichever history said so.
 */
export function isOtherOf(target: FlipTarget, stop: Stop, series?: string): boolean {
  const key = parseStopKey(stop.id);
  if (key?.tier !== target.tier || key.subject !== targetKey(target)) return false;
  return key.kind === 'act' || ((target.tier !== 'instance' || target.isConversation) && isForeign(stop, series));
}

export interface Others {
  readonly others: readonly Stop[];
  /** What kept them from being looked at. */
  readonly problems?: readonly string[];
}

/** After the release, but for `told`: what cannot be read then is said, and does not undo what was done. */
export async function othersOf(
  command: Command,
  target: FlipTarget,
  series: string | undefined,
  told: readonly Stop[] = [],
): Promise<Others> {
  try {
    const others = (await inForce(command)).filter((stop) => isOtherOf(target, stop, series));
    return { others: others.filter(({ id }) => !told.some((one) => one.id === id)) };
  } catch (error) {
    return { others: [], problems: [`what else holds them could not be looked at: ${wordsOf(error)}`] };
  }
}

export function tellOthers(command: Command, { others, problems = [] }: Others): void {
  for (const one of problems) command.say(paint(command.io, 'yellow', `  ! ${one}`));
  for (const stop of others) {
    const isForGood = stop.action === 'terminate' && !isConversationKey(parseStopKey(stop.id)?.subject ?? '');
    const wayOut = isForGood ? 'it is for good' : `to release it: offswitch release --stop ${clean(stop.id)} --reason ...`;
    command.say(
      paint(command.io, 'yellow', `  ! ${whose(stop)} of the same reach is still in force (${clean(stop.reason)}); ${wayOut}`),
    );
  }
}

function whose({ cause, breaker }: Stop): string {
  if (cause === 'switch') return 'a stop that another history of the switch engaged';
  return cause === 'operator' ? "an operator's stop" : `a stop of the ${breaker ?? cause} breaker`;
}

/** `what` is said to be confirmed where it is; `series`: the history that the release was made in. */
export function tellHeld(
  command: Command,
  after: Awaited<ReturnType<typeof followRelease>>,
  what: string | undefined,
  series?: string,
): void {
  const { io } = command;
  for (const one of after.silent) command.say(paint(io, 'yellow', `  ! ${one}`));
  if (after.processes === 0 && after.silent.length === 0) {
    command.say('  no process is running; it takes effect at start');
    return;
  }
  for (const stop of after.held) {
    const why = isForeign(stop, series)
      ? 'Another history engaged it'
      : `Not released within ${confirmWithinMs / 1000} s: look again (offswitch status)`;
    const wayOut = `to release it by act: offswitch release --stop ${clean(stop.id)} --reason ...`;
    command.say(paint(io, 'yellow', `  ! still in force: ${clean(stop.id)}. ${why}; ${wayOut}`));
  }
  if (what !== undefined && after.held.length === 0 && after.silent.length === 0)
    command.say(`  ✓ ${what}: confirmed by every running process`);
}
