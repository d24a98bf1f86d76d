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
import { folderHold, type Step, stepOf } from './folder-holds.ts';
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
  /** No ghost yet, but to be looked into: it is one only if no clock was set between the stop and now. */
  readonly isUncertain?: true;
}

/** Everything there is to see at one moment. */
export interface Seen {
  /** Epoch milliseconds: when the look began. */
  readonly at: number;
  /** Within which all processes that answered have said their `at`. Milliseconds. */
  readonly withinMs?: number;
  /** What each process that answered runs. */
  readonly processes: readonly {
    readonly process: string;
    readonly sessions: readonly SessionLine[];
    readonly effectDeadlineMs?: number;
    /** The same moment by the clock of the process, where it says. Epoch milliseconds. */
    readonly at?: number;
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

/** Clocks of two machines may differ by so much, where what one process wrote down is compared with another's. Milliseconds. */
const clockSkewMs = 250;
const defaultDeadlineMs = 10_000;

export function ghostsIn(seen: Seen): readonly Ghost[] {
  const journaled = [...foldJournals(seen.journals)].map(([id, one]) => ({ id, ...one }));
  const live = new Map<
    string,
    { readonly line: SessionLine; readonly process: string; readonly deadlineMs: number; readonly at: number }
  >();
  for (const { process, sessions, effectDeadlineMs: deadlineMs = defaultDeadlineMs, at = seen.at } of seen.processes)
    for (const line of sessions)
      if (!isEnded(line) && line.state !== 'elsewhere') live.set(line.id, { line, process, deadlineMs, at });
  /** How, by session. */
  const ended = new Map<string, string>();
  for (const { session, state } of seen.registered) if (hasEnded(state)) ended.set(session, state);
  for (const { id, saved } of journaled) if (saved.settled) ended.set(id, saved.settled.status);
  for (const { sessions } of seen.processes) for (const line of sessions) if (isEnded(line)) ended.set(line.id, line.state);
  const steps = new Map<string, Step>(seen.registered.map((one) => [one.session, { ...one, s: one.session }]));
  for (const { id, saved } of journaled) steps.set(id, stepOf(saved.record));
  for (const { line } of live.values()) steps.set(line.id, { ...line, s: line.id });
  const holdOf = folderHold(seen.stops, steps);
  // Newest first, and the newest counts.
  const receipts = new Map(
    seen.receipts
      .filter((one) => one.released === undefined)
      .toReversed()
      .map((one) => [one.stop.id, one]),
  );
  const clocks: Clocks = {
    at: new Map(seen.processes.flatMap(({ process, at }) => (at === undefined ? [] : [[process, at] as const]))),
    slackMs: clockSkewMs + (seen.withinMs ?? 0),
  };
  const isFenced = (stop: Stop): boolean => receipts.get(stop.id)?.stages.fenced !== undefined;
  // Where nobody runs nobody fences: whoever takes it up hears of the stop first.
  const isNobody = seen.processes.length === 0 && !seen.isPartial;

  const ghosts: Ghost[] = [];
  for (const { line, process, deadlineMs, at } of live.values()) {
    const base = { session: line.id, process };
    const root = line.path[0]!;
    // A path that was carried on before its session had completed may be used after that, for as long as its root lives.
    const mayOutlive = (id: string): boolean => id !== root && ended.get(id) !== 'terminated' && !ended.has(root);
    const hold = holdOf({ path: line.path });
    const stopping = hold?.action === 'terminate' ? receipts.get(hold.id) : undefined;
    const fence = stopping && fenceFor(stopping, process);
    // One process that never confirms keeps a stop from being fenced: then it counts from when it was made, by the clock of who looks.
    const isOverdue = fence
      ? at > fence.at + deadlineMs + clockSkewMs
      : seen.at > (stopping?.stages.recorded ?? Number.POSITIVE_INFINITY) + deadlineMs + clockSkewMs;
    // Each process marks what it runs itself as it ends: what is above may be marked while a call here has its time still.
    const isOnItsWayOut = stopping !== undefined && stopping.stages.done === undefined && !isOverdue;
    const parent = line.path.slice(0, -1).findLast((id) => ended.has(id) && !live.has(id) && !mayOutlive(id));
    if (parent !== undefined && !isOnItsWayOut)
      ghosts.push({ ...base, class: 'ended-parent', why: `${parent} above it has ended` });
    if (!seen.isPartial && !steps.has(root) && !ended.has(root))
      ghosts.push({ ...base, class: 'unknown-root', why: `nobody knows ${root}, with which its path begins` });
    if (hold === undefined || stopping === undefined || fence === undefined) continue;
    for (const call of line.calls ?? []) {
      const late = lateBy(stopping, process, clocks, call.name, call.startedAt);
      if (late) ghosts.push({ ...base, class: 'late-call', of: call.id, stop: hold.id, ...late });
    }
    if (isOverdue)
      ghosts.push({
        ...base,
        class: 'overdue',
        stop: hold.id,
        why: `${line.state} ${Math.round((at - fence.at) / 1000)} s after the stop, whose deadline was ${deadlineMs / 1000} s`,
      });
  }
  // Where nobody runs, nothing is alive: what was left is marked by whoever starts next.
  if (seen.processes.length > 0 && !seen.isPartial)
    for (const { id, saved, isElsewhere } of journaled) {
      if (isElsewhere || ended.has(id) || live.has(id)) continue;
      const hold = holdOf(saved.record);
      if (hold?.action !== 'terminate' || !isFenced(hold)) continue;
      ghosts.push({
        class: 'dead-process',
        session: id,
        stop: hold.id,
        why: 'its process is gone, and no other has taken it up',
      });
    }
  const told = new Set(ghosts.map((one) => `${one.session} ${one.of}`));
  for (const [id, { saved, late }] of lateCalls(seen.journals, journaled, clocks, (one) => {
    const hold = holdOf(one);
    return hold?.action === 'terminate' ? receipts.get(hold.id) : undefined;
  }))
    for (const call of late)
      if (!told.has(`${id} ${call.id}`))
        ghosts.push({
          class: 'late-call',
          session: id,
          process: call.process,
          of: call.id,
          ...optionalStop(holdOf(saved.record)),
          ...call.how,
        });
  for (const { record } of seen.grants) {
    // One that is being taken back, or cannot be, works until it is.
    if (isGrantOver(record) || record.expiresAt <= seen.at) continue;
    const { session, path } = record;
    const hold = holdOf({ path });
    const isStopped = hold?.action === 'terminate' && (isNobody || isFenced(hold));
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
  readonly late: readonly { readonly id: string; readonly process: string; readonly how: Lateness }[];
}

/** Calls that were written down after the fence, also those that have ended since; one whose body was never entered is none. */
function lateCalls(
  journals: Journals['journals'],
  journaled: readonly Journaled[],
  clocks: Clocks,
  receiptOf: (session: Saved['record']) => Receipt | undefined,
): ReadonlyMap<string, Late> {
  const found = new Map<string, Late>();
  const fenced = new Map<string, { readonly saved: Saved; readonly receipt: Receipt }>();
  for (const { id, saved } of journaled) {
    const receipt = receiptOf(saved.record);
    if (receipt?.stages.fenced !== undefined) fenced.set(id, { saved, receipt });
  }
  if (fenced.size === 0) return found;
  const neverSent = new Set<string>();
  const records = journals.flatMap(({ process, records }) =>
    records.filter(({ s }) => fenced.has(s)).map((one) => ({ process, one })),
  );
  const callOf = ({ s, e, turn, key }: { s: string; e: number; turn: number; key: string }): string =>
    JSON.stringify([s, e, turn, key]);
  for (const { one } of records) if (one.t === 'end' && one.outcome === 'not-sent') neverSent.add(callOf(one));
  for (const { process, one } of records) {
    if (one.t !== 'call' || neverSent.has(callOf(one))) continue;
    const { saved, receipt } = fenced.get(one.s)!;
    const how = lateBy(receipt, process, clocks, one.name, one.at);
    if (!how) continue;
    const before = found.get(one.s)?.late ?? [];
    found.set(one.s, { saved, late: [...before, { id: one.id, process, how }] });
  }
  return found;
}

/** What each process that answers says the time is, at one moment but for the slack. Milliseconds. */
interface Clocks {
  readonly at: ReadonlyMap<string, number>;
  readonly slackMs: number;
}

interface Fence {
  /** Epoch milliseconds. */
  readonly at: number;
  /** Where it is told by the clock of another process: by how much that may be wrong, and why it is. */
  readonly doubt?: { readonly slackMs: number; readonly why: string };
}

/** When nothing could begin any more, for what this process wrote down or says. */
function fenceFor({ stages, fences = [] }: Receipt, process: string): Fence | undefined {
  const own = fences.find((one) => one.process === process)?.at;
  if (own !== undefined) return { at: own };
  if (stages.fenced === undefined) return undefined;
  return { at: stages.fenced, doubt: { slackMs: clockSkewMs, why: 'it has not said when it knew' } };
}

/** The same, where another process that answers knew before: this one was cut off then, unless a clock of the two was set since. */
function firstFenceFor(fence: Fence, { fences = [] }: Receipt, process: string, { at, slackMs }: Clocks): Fence | undefined {
  const now = at.get(process);
  if (fence.doubt || now === undefined) return undefined;
  const others = fences.map((one) => one.at + now - (at.get(one.process) ?? Number.NEGATIVE_INFINITY));
  const first = Math.min(...others);
  const why = `it knew ${fence.at - first} ms later than another, by what their clocks say now`;
  return first + slackMs < fence.at ? { at: first, doubt: { slackMs, why } } : undefined;
}

type Lateness = Pick<Ghost, 'why' | 'isUncertain'>;

function lateBy(receipt: Receipt, process: string, clocks: Clocks, name: string, startedAt: number): Lateness | undefined {
  const fence = fenceFor(receipt, process);
  if (!fence) return undefined;
  const after = ({ at }: Fence): string => `${name} began ${startedAt - at} ms after every process had confirmed the stop`;
  if (isLate(startedAt, fence))
    return { why: fence.doubt ? `${after(fence)}, if its clock is right: ${fence.doubt.why}` : after(fence) };
  const first = firstFenceFor(fence, receipt, process, clocks);
  if (!first || !isLate(startedAt, first)) return undefined;
  return { why: `${after(first)}, if no clock was set since: ${first.doubt?.why}`, isUncertain: true };
}

function isLate(startedAt: number, { at, doubt }: Fence): boolean {
  return startedAt > at + (doubt?.slackMs ?? 0);
}

/** Seen in both looks: what was on its way out at the first is gone at the second (I12). */
export function inBoth(first: readonly Ghost[], second: readonly Ghost[]): readonly Ghost[] {
  const keyOf = ({ class: of, session, of: what }: Ghost): string =>
    JSON.stringify([of, session, of === 'late-call' ? '' : what]);
  const before = new Set(first.map(keyOf));
  return second.filter((one) => before.has(keyOf(one)));
}
