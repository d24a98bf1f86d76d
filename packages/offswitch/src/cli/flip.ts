// flip.ts: what engaging and releasing a switch have in common: who may, where it is written, and above which position.

import { randomBytes } from 'node:crypto';
import type { Flip, Inspection, Order, Stop, SwitchFlag, Tier } from '@offswitch/core';
import { actionOf, isEngaged, subjectId } from '@offswitch/core';
import type { FlagFileControl } from '@offswitch/flag-file';
import { conversationKey, formatStopKey, parseStopKey, type StoredStop, seriesKey, subjectKey } from '@offswitch/runtime';
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
  /** Absent where the switches are read from something this command cannot flip. */
  readonly control: FlagFileControl | undefined;
  readonly inspection: Inspection | undefined;
  readonly above: number | undefined;
  readonly declared: Declared;
}

export async function planFlip(command: Command, target: FlipTarget): Promise<FlipPlan> {
  const declared = await needDeclared(command.place);
  const flag = flagFor(declared.switches, target.tier, target.subject);
  const { kind, location, series } = declared.source;
  if (kind !== 'flag-file' || location === undefined)
    return { target, flag, control: undefined, inspection: undefined, above: undefined, declared };
  const control = command.place.control(location, series);
  const inspection = (await control.inspect(declared.switches)).find((one) => one.key === flag.key);
  return { target, flag, control, inspection, above: await highestSeen(command, target, series), declared };
}

/** Why there is nothing to flip from here, and the way out. */
export function noControl({ declared, flag }: FlipPlan): CommandError {
  const { kind, location } = declared.source;
  return new CommandError(
    'no_control',
    `the switches are read from ${clean(kind)}${location ? ` (${clean(location)})` : ''}, which this command cannot flip: flip ${flag.key} there. ` +
      "An operator's stop that was made here is released by act: offswitch release --stop <id> --reason ...",
  );
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
 * without the file being read, and it stands when the file is lost before a process has seen it (S4). That of a conversation
 * covers its sessions to come; those that live, `sessions`, are ended each by its own stop too, which no release lifts (S6).
 */
export async function latchFlip(command: Command, plan: FlipPlan, flip: Flip, sessions: Iterable<string> = []): Promise<void> {
  const { target } = plan;
  const { series, n } = flip.position ?? {};
  if (series === undefined || n === undefined) return;
  const subject = target.subject ?? '';
  const keys = [{ subject, key: switchKey(target, series) }];
  for (const id of sessions)
    keys.push({ subject: id, key: switchKey({ tier: 'instance', subject: id, isConversation: false }, series) });
  try {
    for (const one of keys)
      await command.place.mark(one.key, 'engaged', n, {
        reason: flip.reason,
        by: flip.by,
        at: flip.at,
        subject: one.subject,
        series,
      });
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

/** The name of a target's stop by its switch. */
function switchKey(target: FlipTarget, series: string): string {
  return formatStopKey({ kind: 'switch', tier: target.tier, subject: targetKey(target), series: seriesKey(series) });
}

/** The target as it stands in the name of its stop. */
export function targetKey(target: FlipTarget): string {
  const subject = target.subject ?? '';
  return target.isConversation ? conversationKey(subject) : subjectKey(subject);
}

/** The latch of a conversation lets new runs start again, with no process there to read the flag. */
export async function unlatchConversation(command: Command, target: FlipTarget, flip: Flip): Promise<void> {
  const { series, n } = flip.position ?? {};
  if (!target.isConversation || series === undefined || n === undefined) return;
  const key = switchKey(target, series);
  const stored = (await command.place.stops()).find((one) => one.key === key);
  if (!stored || !isEngaged(stored.marks)) return;
  const { reason, by, at } = flip;
  await command.place.mark(key, 'released', n, { reason, by, at, subject: target.subject ?? '', series });
}

/** Who may, what it does, and what is wrong with the switch. */
export function showFlip(command: Command, verb: string, plan: FlipPlan): void {
  const { io } = command;
  const { flag, control, inspection } = plan;
  command.say(
    `${paint(io, 'bold', `${verb} ${flag.key}`)}${plan.target.subject === undefined || flag.tier === 'feature' ? '' : ` for ${clean(plan.target.subject)}`}`,
  );
  command.say(`  effect      ${clean(flag.effect)}`);
  const who = flag.authorized.map(clean).join(', ');
  if (control) {
    command.say(`  authorised  ${who}. A flag file enforces nobody: whoever can write it can flip it`);
    command.say(`  written to  ${clean(control.location)}`);
  } else {
    command.say(`  authorised  ${who}. The state folder enforces nobody: whoever can write it can stop`);
    command.say(
      `  written to  ${clean(command.place.folder)} alone, as an operator's stop: the switches are read from ${clean(plan.declared.source.kind)}, which this command cannot flip`,
    );
  }
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
 * What the source could not be made to say, the folder can: an operator's stop of the same reach (break-glass), released by act.
 * `error`: the refusal of the flag file, or that there is no control.
 */
export async function stopWithoutFile(command: Command, plan: FlipPlan, who: Who, error: unknown): Promise<string> {
  const { target, control, flag } = plan;
  const subject = target.subject ?? '';
  const id = formatStopKey({
    kind: 'act',
    cause: 'operator',
    action: actionOf(target.tier),
    tier: target.tier,
    subject: targetKey(target),
    id: `c${randomBytes(8).toString('hex')}`,
  });
  const { reason, by } = who;
  await command.place.mark(id, 'engaged', 0, { reason, by, at: command.io.now(), subject });
  const warn = (text: string): void => command.say(paint(command.io, 'yellow', `  ! ${text}`));
  const kind = control ? 'flag file' : clean(plan.declared.source.kind);
  if (control) {
    const why = clean(error instanceof Error ? error.message.replace(/^\[[\w-]+\] /, '') : String(error));
    warn(`the flag file could not be flipped: ${why}`);
    warn("so it is recorded in the state folder alone, as an operator's stop. The flag file does not show it");
  } else {
    warn(`${kind} has no control here: recorded in the state folder alone, as an operator's stop. ${kind} does not show it`);
    warn(`flip ${flag.key} there too, so that the record says so; a release there does not release this stop`);
  }
  const wayOut =
    actionOf(target.tier) === 'terminate' && !target.isConversation
      ? 'it is for good'
      : `to release it: offswitch release --stop ${id} --reason ...`;
  command.say(`  ${wayOut}`);
  return id;
}

/** Whether a stop in force is the one of this flip. */
export function isStopOf(target: FlipTarget, sessions: ReadonlySet<string>): (stop: Stop) => boolean {
  return (stop) => {
    if (stop.cause !== 'switch' || stop.tier !== target.tier) return false;
    const id = subjectId(stop.tier, stop.subject);
    if (target.isConversation && stop.subject.conversationId === target.subject) return true;
    return target.tier === 'global' || (target.isConversation ? id !== undefined && sessions.has(id) : id === target.subject);
  };
}
