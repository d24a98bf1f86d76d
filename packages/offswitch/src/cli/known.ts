// known.ts: every session there is to know of: what running processes tell, and what processes that are gone left and nobody has taken up.
//
// A process that lost a session to another keeps a copy, which says where it was and not how it is. What the store says of it stands above that.

import { hasEnded, type RegisteredSession } from '@offswitch/runtime';
import { inTime } from './in-time.ts';
import { type LeftBehind, leftBehind } from './left-behind.ts';
import type { Place } from './place.ts';
import { type Answers, askAll, mergeSessions, type SessionLine, sessionsIn, silentOnes } from './wire.ts';

export interface Known {
  readonly sessions: readonly SessionLine[];
  /** What was read of those that are gone left, whoever has it now: also what has ended in a graph that has not. */
  readonly left: readonly SessionLine[];
  readonly answers: Answers<readonly SessionLine[]>;
  /** Processes that run and did not answer, as sentences. */
  readonly silent: readonly string[];
  /** What could not be read; then there may be more. */
  readonly damage?: string;
}

/** What nobody runs while others run: nothing goes on in it before a process takes it up that defines its agent. */
const orphaned = { state: 'orphaned', why: 'its process is gone; it waits for one that defines its agent' };

/** `leftWithinMs`: how long reading what was left may take, in milliseconds; what is not read by then is `damage`. Without: as long as it takes. */
export async function knownSessions(place: Place, leftWithinMs?: number): Promise<Known> {
  const answers = await askAll(place, 'sessions', {}, sessionsIn);
  const told = mergeSessions(answers.answered);
  const isNobody = answers.answered.length === 0;
  const left = place.exists() ? await leftIn(place, isNobody, leftWithinMs) : nothing;
  const live = new Map(told.filter(isHad).map((one) => [one.id, one]));
  // Where none runs, everything lies where it was left, and what has ended in it is shown with it.
  const orphans = (isNobody ? left.sessions : left.orphans).filter(({ id }) => !live.has(id));
  const copies = told.filter((one) => !isHad(one) && !orphans.some(({ id }) => id === one.id));
  const registered = await registeredOf(place, copies);
  return {
    sessions: [
      ...live.values(),
      ...orphans.map((one) =>
        isNobody ? one : { ...one, state: orphaned.state, ...(one.action === 'run' ? { reason: orphaned.why } : {}) },
      ),
      ...copies.map((one) => asTold(one, left.ended.get(one.id), registered.get(one.id))),
    ],
    left: left.sessions,
    answers,
    silent: silentOnes(answers),
    ...(left.damage === undefined ? {} : { damage: left.damage }),
  };
}

/** By the process that tells of it. */
const isHad = ({ state }: SessionLine): boolean => state !== 'elsewhere';

const nothing: LeftBehind = { sessions: [], orphans: [], ended: new Map() };

/** While somebody runs, what cannot be read hides nothing of what they tell. */
async function leftIn(place: Place, isNobody: boolean, withinMs: number | undefined): Promise<LeftBehind> {
  try {
    return await (withinMs === undefined ? leftBehind(place) : leftWithin(place, withinMs));
  } catch (error) {
    if (isNobody) throw error;
    return { ...nothing, damage: error instanceof Error ? error.message : String(error) };
  }
}

/** A reading that is given up goes no further: it would take its turns from what is done meanwhile. */
async function leftWithin(place: Place, ms: number): Promise<LeftBehind> {
  const late = `what processes that are gone have left takes more than ${ms / 1000} s to read`;
  let isOver = false;
  const breathe = async (): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    if (isOver) throw new Error(late);
  };
  try {
    return await inTime(ms, leftBehind(place, breathe), late);
  } finally {
    isOver = true;
  }
}

async function registeredOf(place: Place, copies: readonly SessionLine[]): Promise<ReadonlyMap<string, RegisteredSession>> {
  if (copies.length === 0) return new Map();
  const found = await place.registered([...new Set(copies.map(({ path, id }) => path[0] ?? id))]).catch(() => []);
  return new Map(found.map((one) => [one.session, one]));
}

/** A copy, with the last word there is of it. */
function asTold(copy: SessionLine, ended: string | undefined, registered: RegisteredSession | undefined): SessionLine {
  const end = ended ?? (registered && hasEnded(registered.state) ? registered.state : undefined);
  return end === undefined ? copy : { ...copy, state: end, action: 'run', unknownCalls: [], calls: [] };
}
