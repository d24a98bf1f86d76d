// flip.ts: what engaging and releasing a switch have in common: who may, where it is written, and above which position.

import { randomBytes } from 'node:crypto';
import type { Flip, Inspection, Order, Stop, SwitchFlag, Tier } from '@offswitch/core';
import { actionOf, isEngaged, subjectId } from '@offswitch/core';
import type { FlagFileControl } from '@offswitch/flag-file';
import { formatStopKey, parseStopKey, type StoredStop, seriesKey, subjectKey } from '@offswitch/runtime';
import type { Command, Who } from './command.ts';
import { type Declared, flagFor, needDeclared } from './declared.ts';
import { CommandError } from './failure.ts';
import { clean, paint } from './print.ts';
import { askAll, statusIn } from './wire.ts';

export interface FlipTarget {
  readonly tier: Tier;
  readonly subject: string | undefined;
  readonly isConversation: boolean;
}

export interface FlipPlan {
  readonly target: FlipTarget;
  readonly flag: SwitchFlag;
  readonly control: FlagFileControl;
  readonly inspection: Inspection | undefined;
  readonly above: number | undefined;
  readonly declared: Declared;
}

export async function planFlip(command: Command, target: FlipTarget): Promise<FlipPlan> {
  const declared = await needDeclared(command.place);
  const flag = flagFor(declared.switches, target.tier, target.subject);
  const { kind, location, series } = declared.source;
  if (kind !== 'flag-file' || location === undefined) {
    throw new CommandError(
      'no_control',
      `the switches are read from ${clean(kind)}${location ? ` (${clean(location)})` : ''}, which this command cannot flip: flip ${flag.key} there. ` +
        'To stop one session without it: offswitch stop <session> --reason ...',
    );
  }
  const control = command.place.control(location, series);
  const inspection = (await control.inspect(declared.switches)).find((one) => one.key === flag.key);
  return { target, flag, control, inspection, above: await highestSeen(command, target, series), declared };
}

/**
 * The position the flip must be above (S3): the highest at which this very stop was read engaged, and the highest that anybody
 * has seen of this file, since a process takes a file that was restored from before that for old and does not believe it.
 * Other stops are not lifted by that: what the file lost of them is written back in the same write (lost.ts).
 */
async function highestSeen(command: Command, target: FlipTarget, series: string | undefined): Promise<number | undefined> {
  let stored: readonly StoredStop[];
  try {
    stored = await command.place.stops();
  } catch (error) {
    command.say(paint(command.io, 'yellow', `  warning     ${clean(error instanceof Error ? error.message : String(error))}`));
    return undefined;
  }
  const own = stored.filter((one) => {
    const key = parseStopKey(one.key);
    if (key?.kind !== 'switch' || key.tier !== target.tier) return false;
    return target.subject === undefined || target.isConversation || key.subject === subjectKey(target.subject);
  });
  // Another vendor's counter says nothing about the file's revision. A file's series is named so unless the application named it.
  const files = own.filter((one) => one.engaged?.series?.startsWith('file:') === true);
  const marks = (files.length > 0 ? files : own).map(highestMark);
  if (series !== undefined && !stored.some(isNameless)) {
    marks.push(...stored.filter((one) => inSeries(one, series)).map(highestMark));
    const { answered } = await askAll(command.place, 'status', {}, statusIn);
    for (const { value } of answered)
      for (const line of value.switches) if (line.series === series && Number.isSafeInteger(line.n)) marks.push(line.n!);
  }
  return marks.length === 0 ? undefined : Math.max(0, ...marks);
}

const highestMark = (one: StoredStop): number => Math.max(one.marks.engaged, one.marks.released);

function inSeries(one: StoredStop, series: string): boolean {
  const key = parseStopKey(one.key);
  return key?.kind === 'switch' && key.series === seriesKey(series);
}

/** A user's stop whose words were lost: it cannot be written back, so no other flip may pass it. */
function isNameless(one: StoredStop): boolean {
  const key = parseStopKey(one.key);
  return (
    key?.kind === 'switch' &&
    key.tier === 'user' &&
    key.subject.startsWith('~') &&
    one.engaged?.subject === undefined &&
    isEngaged(one.marks)
  );
}

/**
 * The express lane: the stop goes into the state folder too, at the position the file now has. It takes hold in every process
 * without the file being read, and it stands when the file is lost before a process has seen it (S4). A conversation has no
 * stop of its own there: its sessions have, once they are read.
 */
export async function latchFlip(command: Command, plan: FlipPlan, flip: Flip): Promise<void> {
  const { target } = plan;
  const { series, n } = flip.position ?? {};
  if (target.isConversation || series === undefined || n === undefined) return;
  const subject = target.subject ?? '';
  const key = formatStopKey({
    kind: 'switch',
    tier: target.tier,
    subject: subjectKey(subject),
    series: seriesKey(series),
  });
  try {
    await command.place.mark(key, 'engaged', n, { reason: flip.reason, by: flip.by, at: flip.at, subject, series });
  } catch (error) {
    command.say(
      paint(
        command.io,
        'yellow',
        `  ! it is in the flag file, but not in the state folder: ${clean(error instanceof Error ? error.message : String(error))}`,
      ),
    );
  }
}

/** Who may, what it does, and what is wrong with the switch. */
export function showFlip(command: Command, verb: string, plan: FlipPlan): void {
  const { io } = command;
  const { flag, control, inspection } = plan;
  command.say(
    `${paint(io, 'bold', `${verb} ${flag.key}`)}${plan.target.subject === undefined || flag.tier === 'feature' ? '' : ` for ${clean(plan.target.subject)}`}`,
  );
  command.say(`  effect      ${clean(flag.effect)}`);
  command.say(
    `  authorised  ${flag.authorized.map(clean).join(', ')}. A flag file enforces nobody: whoever can write it can flip it`,
  );
  command.say(`  written to  ${clean(control.location)}`);
  for (const one of inspection?.findings ?? []) {
    command.say(paint(io, one.severity === 'error' ? 'red' : 'yellow', `  ${one.severity.padEnd(10)}  ${clean(one.message)}`));
  }
}

/** The order goes out; what comes back was read back from the file. */
export function order(plan: FlipPlan, who: Who): Order {
  const { target, flag, above } = plan;
  const isTargeted = target.tier === 'user' || target.tier === 'instance';
  return {
    flag,
    ...(isTargeted && target.subject !== undefined
      ? { target: target.subject, targetKind: target.isConversation ? ('conversation' as const) : ('session' as const) }
      : {}),
    reason: who.reason,
    by: who.by,
    ...(above === undefined ? {} : { above }),
  };
}

export function tellFlip(command: Command, flip: Flip): void {
  const at = flip.position?.n === undefined ? '' : ` at revision ${flip.position.n}`;
  command.say(flip.changed ? `  ✓ written to the flag file and read back${at}` : `  the flag file said so already${at}`);
}

/**
 * What the file could not be made to say, the folder can: an operator's stop of the same reach (break-glass). Throws `error`, the
 * refusal of the file, for a conversation, which the folder has no name for.
 */
export async function stopWithoutFile(command: Command, target: FlipTarget, who: Who, error: unknown): Promise<string> {
  if (target.isConversation) throw error;
  const subject = target.subject ?? '';
  const id = formatStopKey({
    kind: 'act',
    cause: 'operator',
    action: actionOf(target.tier),
    tier: target.tier,
    subject: subjectKey(subject),
    id: `c${randomBytes(8).toString('hex')}`,
  });
  const { reason, by } = who;
  await command.place.mark(id, 'engaged', 0, { reason, by, at: command.io.now(), subject });
  const why = clean(error instanceof Error ? error.message.replace(/^\[[\w-]+\] /, '') : String(error));
  command.say(paint(command.io, 'yellow', `  ! the flag file could not be flipped: ${why}`));
  command.say(
    paint(
      command.io,
      'yellow',
      "  ! so it is recorded in the state folder alone, as an operator's stop. The flag file does not show it",
    ),
  );
  const wayOut =
    actionOf(target.tier) === 'terminate' ? 'it is for good' : `to release it: offswitch release --stop ${id} --reason ...`;
  command.say(`  ${wayOut}`);
  return id;
}

/** Whether a stop in force is the one of this flip. */
export function isStopOf(target: FlipTarget, sessions: ReadonlySet<string>): (stop: Stop) => boolean {
  return (stop) => {
    if (stop.cause !== 'switch' || stop.tier !== target.tier) return false;
    const id = subjectId(stop.tier, stop.subject);
    return target.tier === 'global' || (target.isConversation ? id !== undefined && sessions.has(id) : id === target.subject);
  };
}
