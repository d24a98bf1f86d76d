// express.ts: the express lane: a flip goes into the state folder too, so that no process waits for its source to tell.
//
// Where control and source share a counter (the flag file) the latch carries the position at which the flip was confirmed. A
// vendor's is pending: made before the vendor is asked, which may take its time, it stops at once, takes its n from the first live
// reading that says engaged, and until then is released by act alone (S3).

import { randomBytes } from 'node:crypto';
import { type Flip, isEngaged } from '@offswitch/core';
import { awaitedSeries, formatStopKey, parseStopKey, pendingSeries, type StoredStop, seriesKey } from '@offswitch/runtime';
import type { Command, Who } from './command.ts';
import { type FlipPlan, type FlipTarget, targetKey, wordsOf } from './flip.ts';
import { paint } from './print.ts';
import { askAll, statusIn } from './wire.ts';

/**
 * The confirmed flip of a flag file goes into the state folder: it takes hold in every process without the file being read, and it
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
    command.say(paint(command.io, 'yellow', `  ! it is in the flag file, but not in the state folder: ${wordsOf(error)}`));
  }
}

/** The same for a flip that a vendor is about to be asked for. Returns the names of what it latched; none where the folder cannot be written. */
export async function latchPending(
  command: Command,
  plan: FlipPlan,
  who: Who,
  sessions: Iterable<string>,
): Promise<readonly string[]> {
  const { target } = plan;
  const series = await seriesOf(command, plan);
  const inName = pendingSeries(series, `c${randomBytes(8).toString('hex')}`);
  const latched: string[] = [];
  try {
    for (const one of [target, ...eachOf(sessions)]) {
      const key = keyOf(one, inName);
      const words = { ...who, at: command.io.now(), subject: one.subject ?? '', ...(series === '' ? {} : { series }) };
      await command.place.mark(key, 'engaged', 0, words);
      latched.push(key);
    }
  } catch (error) {
    const what = `the state folder cannot be written, so the stop takes hold when it is read at ${plan.wired?.title}`;
    command.say(paint(command.io, 'yellow', `  ! ${what}: ${wordsOf(error)}`));
  }
  return latched;
}

/** Lets go of what was latched for a flip that the vendor has refused: an operator's stop stands in its place. A terminate stays. */
export async function unlatchPending(command: Command, target: FlipTarget, keys: readonly string[], act: string): Promise<void> {
  if (target.tier === 'instance' && !target.isConversation) return;
  const [own] = keys;
  if (own === undefined) return;
  const words = { reason: `the source refused the flip; ${act} stands in its place`, by: 'offswitch', at: command.io.now() };
  await command.place.mark(own, 'released', 0, { ...words, subject: target.subject ?? '' });
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
 * Releases by act what the express lane left pending for this target, once the control has confirmed that the vendor says
 * released: no reading will do it, since none has said engaged yet. What awaits another history, of a vendor that was swapped, is
 * not meant. The ids of those that were released.
 */
export async function releasePending(command: Command, plan: FlipPlan, who: Who): Promise<readonly string[]> {
  const released: string[] = [];
  const series = await seriesOf(command, plan);
  for (const one of await command.place.stops()) {
    if (!isPendingOf(one, plan.target, series)) continue;
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
