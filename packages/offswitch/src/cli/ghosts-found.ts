// ghosts-found.ts: what is alive although its graph was stopped, in one look at everything (I12). The classes are those of the
// kinds of ways in which that can come to be.
//
// Absence is no evidence: what a process does not say, or what cannot be read, makes no ghost; it is told as not known.

import type { Stop } from '@offswitch/core';
import {
  endless,
  foldJournals,
  type GrantRecord,
  hasEnded,
  isGrantOver,
  type Journals,
  type KeptGrant,
  type Receipt,
  type RegisteredSession,
  type Saved,
  type StoredStop,
} from '@offswitch/runtime';
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
  /** What the store itself knows of the graphs of these sessions and grants. */
  readonly registered: readonly RegisteredSession[];
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
  /** How, by session. */
  const ended = new Map<string, string>();
  for (const { session, state } of seen.registered) if (hasEnded(state)) ended.set(session, state);
  for (const { id, saved } of journaled) if (saved.settled) ended.set(id, saved.settled.status);
  for (const { sessions } of seen.processes) for (const line of sessions) if (isEnded(line)) ended.set(line.id, line.state);
  const steps = new Map<string, Step>(seen.registered.map((one) => [one.session, { ...one, s: one.session }]));
  for (const { id, saved } of journaled) steps.set(id, saved.record);
  for (const { line } of live.values()) steps.set(line.id, { ...line, s: line.id });
  const holdOf = folderHold(seen.stops, steps);
  const fencedAt = (stop: Stop): number | undefined =>
    seen.receipts.find((one) => one.stop.id === stop.id && one.released === undefined)?.stages.fenced;

  const ghosts: Ghost[] = [];
  for (const { line, process, deadlineMs } of live.values()) {
    const base = { session: line.id, process };
    const root = line.path[0]!;
    // A path that was carried on before its session had completed may be used after that, for as long as its root lives.
    const mayOutlive = (id: string): boolean => id !== root && ended.get(id) !== 'terminated' && !ended.has(root);
    const parent = line.path.slice(0, -1).findLast((id) => ended.has(id) && !live.has(id) && !mayOutlive(id));
    if (parent !== undefined) ghosts.push({ ...base, class: 'ended-parent', why: `${parent} above it has ended` });
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
  const told = new Set(ghosts.map((one) => `${one.session} ${one.of}`));
  for (const [id, { saved, late }] of lateCalls(seen.journals, journaled, (one) => {
    const hold = holdOf(one);
    return hold?.action === 'terminate' ? fencedAt(hold) : undefined;
  }))
    for (const call of late)
      if (!told.has(`${id} ${call.id}`))
        ghosts.push({
          class: 'late-call',
          session: id,
          of: call.id,
          ...optionalStop(holdOf(saved.record)),
          why: `${call.name} began ${call.afterMs} ms after every process had confirmed the stop`,
        });
  for (const { record } of seen.grants) {
    // One that is being taken back, or cannot be, works until it is.
    if (isGrantOver(record) || record.expiresAt <= seen.at) continue;
    const { session, path } = record;
    const hold = holdOf({ path });
    const isStopped = hold?.action === 'terminate' && fencedAt(hold) !== undefined;
    const isNowhere = !seen.isPartial && !live.has(session) && !steps.has(session);
    const why = live.has(session)
      ? isStopped && 'its session is stopped for good'
      : ended.has(session)
        ? 'its session has ended'
        : isStopped
          ? 'its session is stopped for good'
          : isNowhere && 'nobody knows its session';
    if (why === false) continue;
    ghosts.push({
      class: 'live-grant',
      session,
      process: record.process,
      of: record.id,
      ...(isStopped ? optionalStop(hold) : {}),
      why: `${why}, and the grant of ${record.broker} (${record.state}) may work ${forHowLong(record, seen.at)}`,
    });
  }
  return ghosts;
}

function forHowLong({ expiresAt }: GrantRecord, at: number): string {
  return expiresAt >= endless ? 'until it is removed by hand' : `for ${Math.ceil((expiresAt - at) / 1000)} s more`;
}

const optionalStop = (stop: Stop | undefined): { readonly stop?: string } => (stop ? { stop: stop.id } : {});

interface Journaled {
  readonly id: string;
  readonly saved: Saved;
}
interface Late {
  readonly saved: Saved;
  readonly late: readonly { readonly id: string; readonly name: string; readonly afterMs: number }[];
}

/** Calls that were written down after the fence, also those that have ended since; one whose body was never entered is none. */
function lateCalls(
  journals: Journals['journals'],
  journaled: readonly Journaled[],
  fencedAt: (session: Saved['record']) => number | undefined,
): ReadonlyMap<string, Late> {
  const found = new Map<string, Late>();
  const fences = new Map<string, { readonly saved: Saved; readonly fenced: number }>();
  for (const { id, saved } of journaled) {
    const fenced = fencedAt(saved.record);
    if (fenced !== undefined) fences.set(id, { saved, fenced });
  }
  if (fences.size === 0) return found;
  const neverSent = new Set<string>();
  const records = journals.flatMap((one) => one.records).filter(({ s }) => fences.has(s));
  const callOf = ({ s, e, turn, key }: { s: string; e: number; turn: number; key: string }): string =>
    JSON.stringify([s, e, turn, key]);
  for (const one of records) if (one.t === 'end' && one.outcome === 'not-sent') neverSent.add(callOf(one));
  for (const one of records) {
    if (one.t !== 'call' || neverSent.has(callOf(one))) continue;
    const { saved, fenced } = fences.get(one.s)!;
    if (one.at <= fenced + clockSkewMs) continue;
    const before = found.get(one.s)?.late ?? [];
    found.set(one.s, { saved, late: [...before, { id: one.id, name: one.name, afterMs: one.at - fenced }] });
  }
  return found;
}

/** Seen in both looks: what was on its way out at the first is gone at the second (I12). */
export function inBoth(first: readonly Ghost[], second: readonly Ghost[]): readonly Ghost[] {
  const keyOf = ({ class: of, session, of: what }: Ghost): string =>
    JSON.stringify([of, session, of === 'late-call' ? '' : what]);
  const before = new Set(first.map(keyOf));
  return second.filter((one) => before.has(keyOf(one)));
}
