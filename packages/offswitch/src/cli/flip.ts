// flip.ts: what engaging and releasing a switch have in common: who may, through which control, and above which position.

import { randomBytes } from 'node:crypto';
import type { Flip, Inspection, Order, Stop, SwitchFlag, Tier } from '@offswitch/core';
import { actionOf, isEngaged, subjectId } from '@offswitch/core';
import { conversationKey, formatStopKey, parseStopKey, type StoredStop, seriesKey, subjectKey } from '@offswitch/runtime';
import type { Command, Who } from './command.ts';
import { controlOf, type Wired } from './control-of.ts';
import { type Declared, flagFor, needDeclared } from './declared.ts';
import { CommandError } from './failure.ts';
import { inTime } from './in-time.ts';
import { clean, paint } from './print.ts';
import { seenAtVendor } from './seen.ts';
import { askAll, statusIn } from './wire.ts';

export interface FlipTarget {
  readonly tier: Tier;
  readonly subject: string | undefined;
  readonly isConversation: boolean;
}

export interface FlipPlan {
  readonly target: FlipTarget;
  readonly flag: SwitchFlag;
  /** Absent where the switches cannot be flipped from here: `refusal` says why. */
  readonly wired: Wired | undefined;
  readonly refusal: CommandError | undefined;
  readonly inspection: Inspection | undefined;
  /** What kept the switch from being looked at. */
  readonly warning: string | undefined;
  readonly above: number | undefined;
  /** Of a vendor's switch: the highest position at which anybody has read it; see `seenAtVendor`. */
  readonly seen: number | undefined;
  readonly declared: Declared;
}

export async function planFlip(command: Command, target: FlipTarget): Promise<FlipPlan> {
  const declared = await needDeclared(command.place);
  const flag = flagFor(declared.switches, target.tier, target.subject);
  let wired: Wired;
  try {
    wired = await controlOf(command, declared);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return {
      target,
      flag,
      wired: undefined,
      refusal: error,
      inspection: undefined,
      warning: undefined,
      above: undefined,
      seen: undefined,
      declared,
    };
  }
  // The vendor is looked at meanwhile.
  const asked = wired.file ? undefined : seenAtVendor(command, flag, target, declared.source.series);
  let inspection: Inspection | undefined;
  let warning: string | undefined;
  try {
    const looked = wired.control.inspect(declared.switches);
    inspection = (await (wired.file ? looked : inTime(lookWithinMs, looked))).find((one) => one.key === flag.key);
  } catch (error) {
    // A vendor that does not answer must not keep a stop from being made.
    if (wired.file) throw error;
    warning = `${wired.title} could not be asked about the switch: ${wordsOf(error)}`;
  }
  const above = wired.file ? await highestSeen(command, target, declared.source.series) : undefined;
  return { target, flag, wired, refusal: undefined, inspection, warning, above, seen: await asked, declared };
}

/** How long a vendor may take to say how the switch is set, before anybody is asked to confirm. Milliseconds. A stop must not wait for it. */
const lookWithinMs = 2_000;

/** Any thrown thing, as words for a terminal. */
export function wordsOf(error: unknown): string {
  return clean(error instanceof Error ? error.message.replace(/^\[[\w-]+\] /, '') : String(error));
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
    command.say(paint(command.io, 'yellow', `  warning     ${wordsOf(error)}`));
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

/** Who may, what it does, and what is wrong with the switch. */
export function showFlip(command: Command, verb: string, plan: FlipPlan): void {
  const { io } = command;
  const { flag, wired, inspection, refusal, warning } = plan;
  command.say(
    `${paint(io, 'bold', `${verb} ${flag.key}`)}${plan.target.subject === undefined || flag.tier === 'feature' ? '' : ` for ${clean(plan.target.subject)}`}`,
  );
  command.say(`  effect      ${clean(flag.effect)}`);
  const who = flag.authorized.map(clean).join(', ');
  if (wired) {
    command.say(`  authorised  ${who}. ${wired.enforcement}`);
    command.say(`  written to  ${clean(wired.location)}`);
  } else {
    const kind = clean(plan.declared.source.kind);
    const why =
      refusal?.code === 'no_control' ? `the switches are read from ${kind}, which this command cannot flip` : refusal?.message;
    command.say(`  authorised  ${who}. What is written to enforces nobody: whoever can write there can stop`);
    command.say(`  written to  ${clean(command.place.folder)} alone, as an operator's stop: ${why}`);
  }
  if (warning !== undefined) command.say(paint(io, 'yellow', `  warning     ${warning}`));
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

export function tellFlip(command: Command, { title, file }: Wired, flip: Flip): void {
  const at = flip.position?.n === undefined ? '' : ` at ${file ? 'revision' : 'position'} ${flip.position.n}`;
  command.say(flip.changed ? `  ✓ written to ${title} and read back${at}` : `  ${title} said so already${at}`);
}

/**
 * What the source could not be made to say, the folder can: an operator's stop of the same reach (break-glass), released by act.
 * `error`: the refusal of the control, or that there is none.
 */
export async function stopWithoutSource(command: Command, plan: FlipPlan, who: Who, error: unknown): Promise<string> {
  const { target, wired, flag } = plan;
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
  if (wired) {
    const title = wired.title.startsWith('the ') ? `The ${wired.title.slice(4)}` : wired.title;
    warn(`${wired.title} could not be flipped: ${wordsOf(error)}`);
    warn(`so it is recorded in ${clean(command.place.folder)} alone, as an operator's stop. ${title} does not show it`);
    if (!wired.file) warn(`flip ${flag.key} there too, so that the record says so; a release there does not release this stop`);
  } else {
    const kind = clean(plan.declared.source.kind);
    const why = plan.refusal?.code === 'no_control' ? `${kind} has no control here` : wordsOf(plan.refusal);
    warn(`${why}: recorded in ${clean(command.place.folder)} alone, as an operator's stop. ${kind} does not show it`);
    warn(`flip ${flag.key} there too, so that the record says so; a release there does not release this stop`);
  }
  const wayOut =
    actionOf(target.tier) === 'terminate' && !target.isConversation
      ? 'it is for good'
      : `to release it: offswitch release --stop ${id} --reason ...`;
  command.say(`  ${wayOut}`);
  return id;
}

/** The target as it stands in the name of its stop. */
export function targetKey(target: FlipTarget): string {
  const subject = target.subject ?? '';
  return target.isConversation ? conversationKey(subject) : subjectKey(subject);
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
