// still-held.ts: whom a release lets go on, and whom something else still holds: releasing one stop releases no other (S1).

import { isEngaged, type Stop } from '@offswitch/core';
import { isConversationKey, parseStopKey } from '@offswitch/runtime';
import { type Command, stopOf } from './command.ts';
import { type FlipTarget, targetKey } from './flip.ts';
import { confirmWithinMs, type followRelease, isForeign } from './follow.ts';
import { clean, paint } from './print.ts';
import { askAll, statusIn } from './wire.ts';

/** What is in force, as running processes say and as the state has it, where it can be read. */
export async function inForce(command: Command): Promise<readonly Stop[]> {
  const [statuses, stored] = await Promise.all([
    askAll(command.place, 'status', {}, statusIn),
    command.place.stops().catch(() => []),
  ]);
  const told = statuses.answered.flatMap((one) => one.value.stops);
  const written = stored.flatMap((one) => (isEngaged(one.marks) ? (stopOf(one) ?? []) : []));
  return [...new Map([...written, ...told].map((stop) => [stop.id, stop])).values()];
}

/** Of the same reach as this switch, and made by an operator or a breaker: no release of the switch lets go of it. */
export function isOtherOf(target: FlipTarget, { id }: Stop): boolean {
  const key = parseStopKey(id);
  return key?.kind === 'act' && key.tier === target.tier && key.subject === targetKey(target);
}

export async function othersOf(command: Command, target: FlipTarget): Promise<readonly Stop[]> {
  return (await inForce(command)).filter((stop) => isOtherOf(target, stop));
}

export function tellOthers(command: Command, others: readonly Stop[]): void {
  for (const stop of others) {
    const whose = stop.cause === 'operator' ? "an operator's stop" : `a stop of the ${stop.breaker ?? stop.cause} breaker`;
    const isForGood = stop.action === 'terminate' && !isConversationKey(parseStopKey(stop.id)?.subject ?? '');
    const wayOut = isForGood ? 'it is for good' : `to release it: offswitch release --stop ${clean(stop.id)} --reason ...`;
    command.say(
      paint(command.io, 'yellow', `  ! ${whose} of the same reach is still in force (${clean(stop.reason)}); ${wayOut}`),
    );
  }
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
