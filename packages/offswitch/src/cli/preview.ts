// preview.ts: what a flip would stop right now, counted before anybody is asked to confirm it.

import type { Command } from './command.ts';
import { type FlipTarget, wordsOf } from './flip.ts';
import { knownSessions } from './known.ts';
import { clean, count, paint, tally } from './print.ts';
import { askAll, isEnded, type Preview, previewIn, type SessionLine, silentOnes } from './wire.ts';

export interface Reach {
  readonly preview: Preview;
  /** What the id is known as, where nobody knows it as what it was named. */
  readonly namesake?: 'session' | 'conversation';
  /** This session, where anybody knows of it: a process that runs it, or what one that is gone has left. What cannot be read is not known. */
  find(session: string): SessionLine | undefined;
  /** Does anybody know of it, or of one under it? */
  knows(session: string): boolean;
  /** Processes that answered. */
  readonly processes: number;
  /** Which these are. */
  readonly answering: readonly string[];
  /** Processes that run and did not answer, as sentences. */
  readonly silent: readonly string[];
  /** What could not be read; then there may be more. */
  readonly damage?: string;
}

/** How long reading what was left may hold up a stop. Milliseconds. As long as a process may take to answer (place.ts): 5,000 sessions took 2.5 s. */
export const countWithinMs = 3000;

/** Of running processes, and of what those that are gone have left: that is stopped where it is next taken up (S12). */
export async function reachOf(command: Command, target: FlipTarget): Promise<Reach> {
  const { place } = command;
  // A process that hangs is waited for once. What cannot be counted keeps nobody from stopping it.
  const [answers, { sessions, left, damage }] = await Promise.all([
    askAll(place, 'preview', previewParams(target), previewIn),
    knownSessions(place, countWithinMs).catch((error) => ({ sessions: [], left: [], damage: wordsOf(error) })),
  ]);
  const counted = countCovered(sessions, target);
  const namesake = namesakeOf([...sessions, ...left], target);
  const nearest = counted.sessions > 0 ? [] : [...new Set(answers.answered.flatMap((one) => one.value.nearest))].slice(0, 5);
  return {
    preview: { ...counted, nearest },
    ...(namesake === undefined ? {} : { namesake }),
    find: (session) => [...sessions, ...left].find(({ id }) => id === session),
    knows: (session) => [...sessions, ...left].some(({ path }) => path.includes(session)),
    processes: answers.answered.length,
    answering: answers.answered.map(({ process }) => process),
    silent: silentOnes(answers),
    ...(damage === undefined ? {} : { damage }),
  };
}

/** What a process is asked, to count those it has. */
export function previewParams({ tier, subject, isConversation }: FlipTarget): Readonly<Record<string, string>> {
  return { tier, ...(subject === undefined ? {} : { subject }), ...(isConversation ? { kind: 'conversation' } : {}) };
}

function namesakeOf(known: readonly SessionLine[], { tier, subject, isConversation }: FlipTarget): Reach['namesake'] {
  if (tier !== 'instance') return undefined;
  const isSession = known.some(({ id }) => id === subject);
  const isOne = known.some(({ conversation }) => conversation === subject);
  if (isSession === isOne || isOne === isConversation) return undefined;
  return isOne ? 'conversation' : 'session';
}

/** The live sessions of a tier and subject, and all beneath them, also of what was detached from there (S2). */
export function covered(sessions: readonly SessionLine[], { tier, subject, isConversation }: FlipTarget): readonly SessionLine[] {
  const byId = new Map(sessions.map((one) => [one.id, one]));
  const isOwn = (id: string, { workflow, user, conversation }: Partial<Omit<SessionLine, 'id'>>): boolean =>
    tier === 'global' ||
    (tier === 'feature' && workflow === subject) ||
    (tier === 'user' && user === subject) ||
    (tier === 'instance' && (isConversation ? conversation : id) === subject);
  // Whoever is above it and is not among them has ended, or its process does not answer: the path says who that is.
  const isUnder = ({ path, above = [] }: SessionLine): boolean =>
    path.some((id) => isOwn(id, byId.get(id) ?? above.find(({ session }) => session === id) ?? {}));
  const isLeft = ({ left = [] }: SessionLine): boolean =>
    (tier === 'feature' && left.some(({ workflow }) => workflow === subject)) ||
    (tier === 'user' && left.some(({ user }) => user === subject));
  return sessions.filter((one) => !isEnded(one) && (isLeft(one) || isUnder(one)));
}

/** Those with nobody above them who is ended too: an order against each ends them all. */
export function headsOf(sessions: readonly SessionLine[]): readonly SessionLine[] {
  const ids = new Set(sessions.map((one) => one.id));
  return sessions.filter((one) => !one.path.slice(0, -1).some((above) => ids.has(above)));
}

function countCovered(sessions: readonly SessionLine[], target: FlipTarget): Omit<Preview, 'nearest'> {
  const byWorkflow: Record<string, number> = Object.create(null);
  const byUser: Record<string, number> = Object.create(null);
  const found = covered(sessions, target);
  for (const one of found) {
    byWorkflow[one.workflow] = (byWorkflow[one.workflow] ?? 0) + 1;
    byUser[one.user ?? '(no user)'] = (byUser[one.user ?? '(no user)'] ?? 0) + 1;
  }
  return { sessions: found.length, byWorkflow, byUser };
}

/** Shows the counts, or why there are none. `verb`: `stops`, `sets going`. */
export function showReach(command: Command, reach: Reach, verb: string, target: FlipTarget): void {
  const { io } = command;
  const { tier } = target;
  const subject = clean(target.subject ?? '');
  for (const one of reach.silent) command.say(paint(io, 'yellow', `  warning     ${one}`));
  if (reach.damage !== undefined)
    command.say(paint(io, 'yellow', `  warning     ${clean(reach.damage)}; what was left there is not counted`));
  if (reach.namesake !== undefined)
    command.say(
      paint(
        io,
        'yellow',
        reach.namesake === 'conversation'
          ? `  warning     ${subject} is the id of a conversation, and of no session: engage instance ${subject} --conversation stops each session of it`
          : `  warning     ${subject} is the id of a session, and of no conversation: leave out --conversation`,
      ),
    );
  const { preview } = reach;
  const isNobody = reach.processes === 0;
  const nobody =
    reach.silent.length > 0 ? 'no running process answered' : `no process is running on ${clean(command.place.folder)}`;
  if (isNobody && preview.sessions === 0) {
    command.say(`  right now   ${reach.silent.length > 0 ? `what it stops cannot be counted: ${nobody}` : nobody}`);
    return;
  }
  const left = isNobody ? `, where they are next taken up: ${nobody}` : '';
  command.say(`  right now   ${verb} ${paint(io, 'bold', count(preview.sessions, 'session'))}${left}`);
  if (preview.sessions > 0) {
    command.say(`  workflows   ${tally(preview.byWorkflow)}`);
    command.say(`  users       ${tally(preview.byUser)}`);
  } else if (tier === 'user' || tier === 'instance') {
    // Ids that differ in one character are somebody else's.
    const nearest = preview.nearest.length > 0 ? `; nearest: ${preview.nearest.map(clean).join(', ')}` : '';
    command.say(
      paint(
        io,
        'yellow',
        `  warning     no live session of ${target.isConversation ? 'conversation' : tier} ${subject}${nearest}`,
      ),
    );
  }
}
