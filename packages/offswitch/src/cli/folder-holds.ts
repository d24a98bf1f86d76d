// folder-holds.ts: which stop in the folder holds a session that no process runs: with nobody to ask, the stops' own names say.

import { isEngaged, type Stop } from '@offswitch/core';
import {
  conversationKey,
  type Left,
  parseStopKey,
  type SessionRecord,
  type StopKey,
  type StoredStop,
  subjectKey,
} from '@offswitch/runtime';
import { stopOf } from './command.ts';

/** The strongest stop in force on the session's own path (S1); `undefined` where none is. `records`: every session by id. */
export function folderHold(
  stored: readonly StoredStop[],
  records: ReadonlyMap<string, Step>,
): (session: { readonly path: readonly string[] }) => Stop | undefined {
  const engaged = stored.flatMap((one) => {
    const key = isEngaged(one.marks) ? parseStopKey(one.key) : undefined;
    const stop = key && stopOf(one);
    return stop ? [{ key, stop }] : [];
  });
  return (session) => {
    const path = session.path.map((id): Step => records.get(id) ?? { s: id });
    const left = path.flatMap((one) => one.left ?? []);
    const holding = engaged.filter(({ key }) => reaches(key, path, left));
    return (holding.find(({ stop }) => stop.action === 'terminate') ?? holding[0])?.stop;
  };
}

/** What stops are made against, of one session. */
export interface Step {
  readonly s?: string;
  readonly workflow?: string | undefined;
  readonly user?: string | undefined;
  readonly conversation?: string | undefined;
  /** Whom the root of its graph was detached from. */
  readonly left?: Left | undefined;
}

/** `left` as far as its own record tells: that of a root, or of what came from another process. */
export function stepOf({ s, workflow, user, conversation, detached, arrived }: SessionRecord): Step {
  return { s, workflow, user, conversation, left: detached?.left ?? arrived?.left };
}

/** `left`: whom a detached session left: their switches still reach it, what was made against one of them alone does not (S2). */
function reaches(key: StopKey, path: readonly Step[], left: Left): boolean {
  switch (key.tier) {
    case 'global':
      return true;
    case 'feature':
      return [...path, ...left].some((one) => one.workflow !== undefined && subjectKey(one.workflow) === key.subject);
    case 'user':
      return [...path, ...left].some((one) => one.user !== undefined && subjectKey(one.user) === key.subject);
    case 'instance':
      return path.some(
        (one) =>
          (one.s !== undefined && subjectKey(one.s) === key.subject) ||
          (one.conversation !== undefined && conversationKey(one.conversation) === key.subject),
      );
  }
}
