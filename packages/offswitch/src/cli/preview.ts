// preview.ts: what a flip would stop right now, counted before anybody is asked to confirm it.

import type { Tier } from '@offswitch/core';
import type { Command } from './command.ts';
import { clean, count, paint, tally } from './print.ts';
import { type Answers, askAll, isEnded, mergeSessions, type Preview, previewIn, type SessionLine, sessionsIn } from './wire.ts';

export interface Reach {
  readonly preview: Preview;
  /** Processes that answered. */
  readonly processes: number;
  /** Processes that run and did not answer, as sentences. */
  readonly silent: readonly string[];
}

/** Asks the running processes. Several that share a folder know of each other's sessions, so then sessions are counted one by one. */
export async function reachOf(command: Command, tier: Tier, subject: string | undefined): Promise<Reach> {
  const params = { tier, ...(subject === undefined ? {} : { subject }) };
  const answers = await askAll(command.place, 'preview', params, previewIn);
  const previews = answers.answered.map((one) => one.value);
  const base = { processes: previews.length, silent: silentOnes(answers) };
  if (previews.length <= 1) return { ...base, preview: previews[0] ?? { sessions: 0, byWorkflow: {}, byUser: {}, nearest: [] } };
  const sessions = mergeSessions((await askAll(command.place, 'sessions', {}, sessionsIn)).answered);
  const counted = countCovered(sessions, tier, subject);
  const nearest = counted.sessions > 0 ? [] : [...new Set(previews.flatMap((one) => one.nearest))].slice(0, 5);
  return { ...base, preview: { ...counted, nearest } };
}

export function silentOnes(answers: Answers<unknown>): readonly string[] {
  return answers.silent.map((one) => clean(`process ${one.pid} did not answer (${one.code}): ${one.message}`));
}

/** The live sessions of a tier and subject, and all beneath them. */
export function covered(sessions: readonly SessionLine[], tier: Tier, subject: string | undefined): readonly SessionLine[] {
  const byId = new Map(sessions.map((one) => [one.id, one]));
  const own = (one: SessionLine): boolean =>
    tier === 'global' ||
    (tier === 'feature' && one.workflow === subject) ||
    (tier === 'user' && one.user === subject) ||
    (tier === 'instance' && (one.id === subject || one.conversation === subject));
  return sessions.filter((one) => !isEnded(one) && one.path.some((id) => own(byId.get(id) ?? one)));
}

function countCovered(sessions: readonly SessionLine[], tier: Tier, subject: string | undefined): Omit<Preview, 'nearest'> {
  const byWorkflow: Record<string, number> = Object.create(null);
  const byUser: Record<string, number> = Object.create(null);
  const found = covered(sessions, tier, subject);
  for (const one of found) {
    byWorkflow[one.workflow] = (byWorkflow[one.workflow] ?? 0) + 1;
    byUser[one.user ?? '(no user)'] = (byUser[one.user ?? '(no user)'] ?? 0) + 1;
  }
  return { sessions: found.length, byWorkflow, byUser };
}

/** Shows the counts, or why there are none. `verb`: `stops`, `sets going`. */
export function showReach(command: Command, reach: Reach, verb: string, tier: Tier, subject: string | undefined): void {
  const { io } = command;
  for (const one of reach.silent) command.say(paint(io, 'yellow', `  warning     ${one}`));
  if (reach.processes === 0) {
    command.say(
      reach.silent.length > 0
        ? '  right now   what it stops cannot be counted: no running process answered'
        : `  right now   no process is running on ${clean(command.place.folder)}`,
    );
    return;
  }
  const { preview } = reach;
  command.say(`  right now   ${verb} ${paint(io, 'bold', count(preview.sessions, 'session'))}`);
  if (preview.sessions > 0) {
    command.say(`  workflows   ${tally(preview.byWorkflow)}`);
    command.say(`  users       ${tally(preview.byUser)}`);
  } else if (tier === 'user' || tier === 'instance') {
    // Ids that differ in one character are somebody else's.
    const nearest = preview.nearest.length > 0 ? `; nearest: ${preview.nearest.map(clean).join(', ')}` : '';
    command.say(paint(io, 'yellow', `  warning     no live session of ${tier} ${clean(subject ?? '')}${nearest}`));
  }
}
