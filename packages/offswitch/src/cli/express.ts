// express.ts: the express lane: a flip goes into the state folder or Redis too, so that no process waits for its source to tell.
//
// Where control and source share a counter (the flag file) the latch carries the position at which the flip was confirmed. A
// vendor's is pending: made before the vendor is asked, which may take its time, it stops at once, takes its n from the first live
// reading that says engaged above what had been read before, and until then is released by act alone (S3).

import { randomBytes } from 'node:crypto';
import { type Flip, isEngaged } from '@offswitch/core';
import { awaitedSeries, formatStopKey, parseStopKey, pendingSeries, type StoredStop, seriesKey } from '@offswitch/runtime';
import type { Command, Who } from './command.ts';
import { type FlipPlan, type FlipTarget, targetKey, wordsOf } from './flip.ts';
import { clean, paint } from './print.ts';
import { askAll, statusIn } from './wire.ts';

/**
 * The confirmed flip of a flag file goes into the state folder or Redis: it takes hold in every process without the file being read, and it
 * stands when the file is lost before a process has seen it (S4). That of a conversation covers its sessions to come; those that
 * live, `sessions`, are ended each by its own stop too, which no release lifts (S6).
 */
export async function latchFlip(command: Command, target: FlipTarget, flip: Flip, sessions: Iterable<string>): Promise<void> {
  const { series, n } = flip.position ?? {};
  if (series === undefined || n === undefined) return;
  try {
    for (const one of [target, ...eachOf(sessions)])
      await command.place.mark(keyOf(one, seriesKey(series)), 'engaged', n, {
        reason: flip.reason,
        by: flip.by,
        at: flip.at,
        subject: one.subject ?? '',
        series,
      });
  } catch (error) {
    command.say(
      paint(command.io, 'yellow', `  ! it is in the flag file, but not in ${clean(command.place.folder)}: ${wordsOf(error)}`),
    );
  }
}

/**
 * The same for a flip that a vendor is about to be asked for. Returns the names of what it latched; none where the folder cannot be
 * written. `from`: the lowest position at which a reading that says engaged can be this flip.
 */
export async function latchPending(
  command: Command,
  plan: FlipPlan,
  who: Who,
  sessions: Iterable<string>,
  from: number = lowest(plan),
): Promise<readonly string[]> {
  const { target } = plan;
  const series = await seriesOf(command, plan);
  const inName = pendingSeries(series, `c${randomBytes(8).toString('hex')}`);
  const latched: string[] = [];
  try {
    for (const one of [target, ...eachOf(sessions)]) {
      const key = keyOf(one, inName);
      const words = { ...who, at: command.io.now(), subject: one.subject ?? '', ...(series === '' ? {} : { series }) };
      await command.place.mark(key, 'engaged', from, words);
      latched.push(key);
    }
  } catch (error) {
    const what = `${clean(command.place.folder)} cannot be written, so the stop takes hold when it is read at ${plan.wired?.title}`;
    command.say(paint(command.io, 'yellow', `  ! ${what}: ${wordsOf(error)}`));
  }
  return latched;
}

/** Above everything that was read before. */
const lowest = ({ seen }: FlipPlan): number => (seen === undefined ? 0 : seen + 1);

/**
 * The vendor said engaged before it was asked, so that its position may not move: what is read at the very one that was seen takes
 * over too. The first latch, `keys`, is let go when the second stands.
 */
export async function latchUnmoved(
  command: Command,
  plan: FlipPlan,
  who: Who,
  sessions: Iterable<string>,
  keys: readonly string[],
): Promise<void> {
  if (plan.seen === undefined || keys.length === 0) return;
  const stands = await latchPending(command, plan, who, sessions, plan.seen);
  if (stands.length < keys.length) return;
  for (const [at, key] of keys.entries())
    await letGo(command, plan, key, `it was engaged already; ${stands[at]} stands in its place`);
}

/** Lets go of what was latched for a flip that the vendor has refused: an operator's stop stands in its place. A terminate stays. */
export async function unlatchPending(command: Command, plan: FlipPlan, keys: readonly string[], act: string): Promise<void> {
  const { target } = plan;
  if (target.tier === 'instance' && !target.isConversation) return;
  const [own] = keys;
  if (own !== undefined) await letGo(command, plan, own, `the source refused the flip; ${act} stands in its place`);
}

/** Where that fails, one stop more stands: that is said, and hides none (S10). */
async function letGo(command: Command, plan: FlipPlan, key: string, reason: string): Promise<void> {
  const words = { reason, by: 'offswitch', at: command.io.now(), subject: plan.target.subject ?? '' };
  try {
    await command.place.mark(key, 'released', lowest(plan), words);
  } catch (error) {
    command.say(paint(command.io, 'yellow', `  ! ${clean(key)} stands too, and could not be let go of: ${wordsOf(error)}`));
  }
}

const eachOf = (sessions: Iterable<string>): FlipTarget[] =>
  [...sessions].map((subject) => ({ tier: 'instance', subject, isConversation: false }));

/** The latch of a conversation lets new runs start again, with no process there to read the flag. */
export async function unlatchConversation(command: Command, target: FlipTarget, flip: Flip): Promise<void> {
  const { series, n } = flip.position ?? {};
  if (!target.isConversation || series === undefined || n === undefined) return;
  const key = keyOf(target, seriesKey(series));
  const stored = (await command.place.stops()).find((one) => one.key === key);
  if (!stored || !isEngaged(stored.marks)) return;
  const { reason, by, at } = flip;
  await command.place.mark(key, 'released', n, { reason, by, at, subject: target.subject ?? '', series });
}

/**
 * What the express lane left pending for this target. What awaits another history, of a vendor that was swapped, is not meant. Asked
 * before the vendor is: a stop that somebody makes meanwhile is not released.
 */
export async function pendingOf(command: Command, plan: FlipPlan): Promise<readonly StoredStop[]> {
  const series = await seriesOf(command, plan);
  return (await command.place.stops()).filter((one) => isPendingOf(one, plan.target, series));
}

/**
 * Releases it by act, once the control has confirmed that the vendor says released: no reading will do it, since none has said
 * engaged yet. The ids of those that were released.
 */
export async function releasePending(
  command: Command,
  plan: FlipPlan,
  who: Who,
  pending: readonly StoredStop[],
): Promise<readonly string[]> {
  const released: string[] = [];
  for (const one of pending) {
    await command.place.mark(one.key, 'released', one.marks.engaged, {
      ...who,
      at: command.io.now(),
      ...(plan.target.subject === undefined ? {} : { subject: plan.target.subject }),
    });
    released.push(one.key);
  }
  return released;
}

function isPendingOf({ key: name, marks }: StoredStop, target: FlipTarget, series: string): boolean {
  const key = parseStopKey(name);
  if (key?.kind !== 'switch' || key.tier !== target.tier || !isEngaged(marks)) return false;
  // A session that was ended stays ended; a conversation's latch lets new runs start.
  if (key.tier === 'instance' && !target.isConversation) return false;
  const awaited = awaitedSeries(key.series);
  return key.subject === targetKey(target) && (awaited === '' || (series !== '' && awaited === seriesKey(series)));
}

/** The series that the application reads: as it wrote it down, else as a running process says; '' where nothing was read yet. */
async function seriesOf(command: Command, plan: FlipPlan): Promise<string> {
  const { series } = plan.declared.source;
  if (series !== undefined) return series;
  const { answered } = await askAll(command.place, 'status', {}, statusIn);
  return answered.flatMap((one) => one.value.switches).find((line) => line.series !== undefined)?.series ?? '';
}

function keyOf(target: FlipTarget, series: string): string {
  return formatStopKey({ kind: 'switch', tier: target.tier, subject: targetKey(target), series });
}
