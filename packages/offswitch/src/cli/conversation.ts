// conversation.ts: a terminate of a conversation ends its sessions for good, and its release lets new runs start (S6).
//
// What covers the conversation is heard by the processes that run. A session that a process which died has left, or that lies in a frozen
// one, has not heard of it when it is let go. So each session that is known gets a stop of its own, which no release lifts: when the
// conversation is ended, and again, for those that have begun since, before it is let go.

import { isEngaged } from '@offswitch/core';
import { conversationKey, formatStopKey, parseStopKey, type StoredStop, subjectKey } from '@offswitch/runtime';
import { type Command, stopOf } from './command.ts';
import { CommandError, exit } from './failure.ts';
import { knownSessions } from './known.ts';
import type { Place } from './place.ts';
import { headsOf } from './preview.ts';
import { clean, count } from './print.ts';
import { askAll, isEnded, isRecord, type SessionLine, silentOnes } from './wire.ts';

export interface OfConversation {
  /** Those that have not ended, with nobody of them above: a stop against each ends them all. */
  readonly sessions: readonly string[];
  /** Why there may be more, in words. */
  readonly unknown: readonly string[];
}

/** `subject`: the conversation as it stands in the name of a stop. `leftWithinMs`: as in `knownSessions`. */
export async function sessionsOf(place: Place, subject: string, leftWithinMs?: number): Promise<OfConversation> {
  const [{ sessions, answers, silent, damage }, pings] = await Promise.all([
    knownSessions(place, leftWithinMs),
    askAll(place, 'ping', {}, (value) => isRecord(value) && value.kind === 'gate'),
  ]);
  // A gate alone has no ends: it calls ended what it refuses for as long as it does.
  const gates = new Set(pings.answered.filter(({ value }) => value).map(({ process }) => process));
  const atGates = new Set(
    answers.answered.filter(({ process }) => gates.has(process)).flatMap(({ value }) => value.map(({ id }) => id)),
  );
  const byId = new Map(sessions.map((one) => [one.id, one]));
  const isOf = ({ conversation }: SessionLine): boolean =>
    conversation !== undefined && conversationKey(conversation) === subject;
  const open = sessions.filter(
    (one) => (!isEnded(one) || atGates.has(one.id)) && one.path.some((id) => isOf(byId.get(id) ?? one)),
  );
  return { sessions: headsOf(open).map(({ id }) => id), unknown: [...silent, ...(damage === undefined ? [] : [clean(damage)])] };
}

/**
 * Before stops of a conversation are let go: gives each of its sessions that has not ended a stop of its own. Throws
 * `sessions_unknown` while nobody can say which those are.
 */
export async function endSessions(
  command: Command,
  latches: readonly Pick<StoredStop, 'key' | 'marks' | 'engaged'>[],
): Promise<void> {
  const { place } = command;
  if (latches.length === 0) return;
  // Who answers has heard of it: what begins there from here on is born ended.
  const silent = silentOnes(await askAll(place, 'reread', {}, () => undefined));
  if (silent.length > 0) throw unheard(silent);
  const ended = new Set((await place.stops()).flatMap(endedBy));
  let written = 0;
  for (const latch of latches) {
    const key = parseStopKey(latch.key);
    if (!key) continue;
    const { sessions, unknown } = await sessionsOf(place, key.subject);
    if (unknown.length > 0) throw unheard(unknown);
    for (const session of sessions) {
      const subject = subjectKey(session);
      if (ended.has(subject)) continue;
      const words = latch.engaged ?? { reason: 'its conversation was ended', at: command.io.now() };
      await place.mark(formatStopKey({ ...key, subject }), 'engaged', Math.max(latch.marks.engaged, 0), {
        ...words,
        subject: session,
      });
      ended.add(subject);
      written++;
    }
  }
  if (written > 0) command.say(`  ✓ recorded: ${count(written, 'session')} of it, not known to have ended yet, will not go on`);
}

/** The session, as it stands in the name of a stop, that this one ends for good. */
function endedBy(stored: StoredStop): readonly string[] {
  const key = parseStopKey(stored.key);
  return key?.tier === 'instance' && isEngaged(stored.marks) && stopOf(stored)?.action === 'terminate' ? [key.subject] : [];
}

function unheard(why: readonly string[]): CommandError {
  return new CommandError(
    'sessions_unknown',
    `${why.join('; ')}. A session of the conversation that is not known of now would go on after the release, so nothing was released: try again when every process answers, or is gone`,
    exit.unconfirmed,
  );
}
