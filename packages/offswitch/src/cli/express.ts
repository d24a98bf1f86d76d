// express.ts: the express lane: a flip that its control has confirmed goes into the state folder too, so that no process waits for
// its source to tell.
//
// Where control and source share a counter (the flag file) the latch carries the flip's position. Elsewhere it is pending: it
// stops at once, takes its n from the first live reading that says engaged, and until then is released by act alone (S3).

import { randomBytes } from 'node:crypto';
import { type Flip, isEngaged } from '@offswitch/core';
import { awaitedSeries, formatStopKey, parseStopKey, pendingSeries, type StoredStop, seriesKey } from '@offswitch/runtime';
import type { Command, Who } from './command.ts';
import { type FlipPlan, type FlipTarget, targetKey, wordsOf } from './flip.ts';
import { paint } from './print.ts';
import { askAll, statusIn } from './wire.ts';

/**
 * The stop goes into the state folder: it takes hold in every process without the source being read, and it stands when the
 * source is lost before a process has seen it (S4). That of a conversation covers its sessions to come; those that live,
 * `sessions`, are ended each by its own stop too, which no release lifts (S6).
 */
export async function latchFlip(command: Command, plan: FlipPlan, flip: Flip, sessions: Iterable<string> = []): Promise<void> {
  const { target } = plan;
  const n = flip.position?.n;
  const series = flip.position?.series ?? (await seriesOf(command, plan));
  // A file that gave no position has refused; what it said stands in the error.
  if (plan.wired?.file && n === undefined) return;
  const id = `c${randomBytes(8).toString('hex')}`;
  const inName = n === undefined ? pendingSeries(series, id) : seriesKey(series);
  const targets = [target, ...[...sessions].map((subject) => ({ tier: 'instance', subject, isConversation: false }) as const)];
  try {
    for (const one of targets) {
      const words = {
        reason: flip.reason,
        by: flip.by,
        at: flip.at,
        subject: one.subject ?? '',
        ...(series === '' ? {} : { series }),
      };
      await command.place.mark(keyOf(one, inName), 'engaged', n ?? 0, words);
    }
  } catch (error) {
    const where = plan.wired?.title ?? 'the source';
    command.say(paint(command.io, 'yellow', `  ! it is in ${where}, but not in the state folder: ${wordsOf(error)}`));
  }
}

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
 * released: no reading will do it, since none has said engaged yet. The ids of those that were released.
 */
export async function releasePending(command: Command, plan: FlipPlan, who: Who): Promise<readonly string[]> {
  const released: string[] = [];
  for (const one of await command.place.stops()) {
    if (!isPendingOf(one, plan.target)) continue;
    await command.place.mark(one.key, 'released', one.marks.engaged, {
      ...who,
      at: command.io.now(),
      ...(plan.target.subject === undefined ? {} : { subject: plan.target.subject }),
    });
    released.push(one.key);
  }
  return released;
}

function isPendingOf({ key: name, marks }: StoredStop, target: FlipTarget): boolean {
  const key = parseStopKey(name);
  if (key?.kind !== 'switch' || key.tier !== target.tier || !isEngaged(marks)) return false;
  // A session that was ended stays ended; a conversation's latch lets new runs start.
  if (key.tier === 'instance' && !target.isConversation) return false;
  return key.subject === targetKey(target) && awaitedSeries(key.series) !== undefined;
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
