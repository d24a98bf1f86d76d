// ghosts-found.ts: what is alive although its graph was stopped, in one look at everything (I12). The classes are those of the
// kinds of ways in which that can come to be.
//
// Absence is no evidence: what a process does not say, or what cannot be read, makes no ghost; it is told as not known.

import type { Stop } from '@offswitch/core';
import { foldJournals, type Journals, type KeptGrant, type Receipt, type StoredStop } from '@offswitch/runtime';
import { folderHold, type Step } from './folder-holds.ts';
import { isEnded, type SessionLine } from './wire.ts';

/** What each class means, for people. */
export const ghostClasses = {
  'dead-process': 'stopped for good while its process was gone, and no living process has marked it',
  'ended-parent': 'runs although what started it has ended',
  'unknown-root': 'runs under a root that nobody knows',
  'late-call': 'a call that began after nothing could begin any more',
  overdue: 'stopped, and its calls in flight are past their deadline',
  'live-grant': 'a credential that works although its session has ended',
} as const;
export type GhostClass = keyof typeof ghostClasses;

export interface Ghost {
  readonly class: GhostClass;
  readonly session: string;
  readonly process?: string;
  /** The call or the grant. */
  readonly of?: string;
  readonly stop?: string;
  readonly why: string;
}

/** Everything there is to see at one moment. */
export interface Seen {
  /** Epoch milliseconds. */
  readonly at: number;
  /** What each process that answered runs. */
  readonly processes: readonly {
    readonly process: string;
    readonly sessions: readonly SessionLine[];
    readonly effectDeadlineMs?: number;
  }[];
  /** Some processes did not answer: what they run is not known, and nothing is concluded from not seeing it. */
  readonly isPartial: boolean;
  readonly journals: Journals['journals'];
  readonly stops: readonly StoredStop[];
  readonly receipts: readonly Receipt[];
  readonly grants: readonly KeptGrant[];
}

/** Clocks of two machines may differ by so much. Milliseconds. */
const clockSkewMs = 250;
const defaultDeadlineMs = 10_000;

export function ghostsIn(seen: Seen): readonly Ghost[] {
  const journaled = [...foldJournals(seen.journals)].map(([id, one]) => ({ id, ...one }));
  const live = new Map<string, { readonly line: SessionLine; readonly process: string; readonly deadlineMs: number }>();
  for (const { process, sessions, effectDeadlineMs = defaultDeadlineMs } of seen.processes)
    for (const line of sessions)
      if (!isEnded(line) && line.state !== 'elsewhere') live.set(line.id, { line, process, deadlineMs: effectDeadlineMs });
  const ended = new Set<string>();
  for (const { sessions } of seen.processes) for (const line of sessions) if (isEnded(line)) ended.add(line.id);
  for (const { id, saved } of journaled) if (saved.settled) ended.add(id);
  const steps = new Map<string, Step>(journaled.map(({ id, saved }) => [id, saved.record]));
  for (const { line } of live.values()) steps.set(line.id, { ...line, s: line.id });
  const holdOf = folderHold(seen.stops, steps);
  const fencedAt = (stop: Stop): number | undefined =>
    seen.receipts.find((one) => one.stop.id === stop.id && one.released === undefined)?.stages.fenced;

  const ghosts: Ghost[] = [];
  for (const { line, process, deadlineMs } of live.values()) {
    const base = { session: line.id, process };
    const parent = line.path.slice(0, -1).findLast((id) => ended.has(id) && !live.has(id));
    if (parent !== undefined) ghosts.push({ ...base, class: 'ended-parent', why: `${parent} above it has ended` });
    const root = line.path[0]!;
    if (!seen.isPartial && !steps.has(root) && !ended.has(root))
      ghosts.push({ ...base, class: 'unknown-root', why: `nobody knows ${root}, with which its path begins` });
    const hold = holdOf({ path: line.path });
    const fenced = hold?.action === 'terminate' ? fencedAt(hold) : undefined;
    if (hold === undefined || fenced === undefined) continue;
    for (const call of line.calls ?? [])
      if (call.startedAt > fenced + clockSkewMs)
        ghosts.push({
          ...base,
          class: 'late-call',
          of: call.id,
          stop: hold.id,
          why: `${call.name} began ${call.startedAt - fenced} ms after every process had confirmed the stop`,
        });
    if (seen.at > fenced + deadlineMs + clockSkewMs)
      ghosts.push({
        ...base,
        class: 'overdue',
        stop: hold.id,
        why: `${line.state} ${Math.round((seen.at - fenced) / 1000)} s after the stop, whose deadline was ${deadlineMs / 1000} s`,
      });
  }
  // Where nobody runs, nothing is alive: what was left is marked by whoever starts next.
  if (seen.processes.length > 0 && !seen.isPartial)
    for (const { id, saved, isElsewhere } of journaled) {
      if (isElsewhere || ended.has(id) || live.has(id)) continue;
      const hold = holdOf(saved.record);
      if (hold?.action !== 'terminate' || fencedAt(hold) === undefined) continue;
      ghosts.push({
        class: 'dead-process',
        session: id,
        stop: hold.id,
        why: 'its process is gone, and no other has taken it up',
      });
    }
  for (const { record } of seen.grants) {
    if (record.state !== 'active' || record.expiresAt <= seen.at) continue;
    const isOver = ended.has(record.session) && !live.has(record.session);
    if (isOver)
      ghosts.push({
        class: 'live-grant',
        session: record.session,
        process: record.process,
        of: record.id,
        why: `the grant of ${record.broker} works for ${Math.ceil((record.expiresAt - seen.at) / 1000)} s more`,
      });
  }
  return ghosts;
}

/** Seen in both looks: what was on its way out at the first is gone at the second (I12). */
export function inBoth(first: readonly Ghost[], second: readonly Ghost[]): readonly Ghost[] {
  const keyOf = ({ class: of, session, of: what }: Ghost): string =>
    JSON.stringify([of, session, of === 'late-call' ? '' : what]);
  const before = new Set(first.map(keyOf));
  return second.filter((one) => before.has(keyOf(one)));
}
