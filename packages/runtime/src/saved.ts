// saved.ts: one session as its journal tells it. The same fold serves a park, a crash and a look from outside (S7).

import type { Counters } from './breakers.ts';
import {
  type CallClass,
  type CallKind,
  type CallOutcome,
  idempotencyKeyOf,
  type JournalRecord,
  type SessionRecord,
} from './journal.ts';
import { isPause } from './loose.ts';
import { atOnce, type Breathe, inSteps, type Steps } from './steps.ts';

export interface SavedCall {
  readonly key: string;
  readonly id: string;
  readonly kind: CallKind;
  readonly name: string;
  readonly class: CallClass;
  child?: string;
  readonly inheritsChild?: string;
  readonly idempotencyKey: string;
  outcome?: CallOutcome;
  value?: unknown;
  error?: string;
}

export interface SavedTurn {
  readonly number: number;
  calls: SavedCall[];
  /** It ended in this error, after which the agent went on. */
  failed?: string;
}

export interface Saved {
  readonly record: SessionRecord;
  epoch: number;
  checkpointTurn: number;
  state: unknown;
  /**
   * The turns after the checkpoint, failed ones included; all of them for an inline session, and for one whose agent does not look at
   * its checkpoint and is replayed. Of a live session without the open one.
   */
  turns: readonly SavedTurn[];
  settled:
    | {
        readonly status: 'completed' | 'terminated' | 'failed';
        readonly result?: unknown;
        readonly error?: string;
        readonly stopId?: string;
        readonly at: number;
      }
    | undefined;
  costMicros: number;
  /** What the breakers count, over the session's life and with its descendants: a park or a crash gives no fresh allowance. */
  turnsCharged: number;
  /** The last turn that was charged: one that waits, is parked and begun again is one. */
  lastTurnCharged: number;
  actionsCharged: number;
  /** Made at the first call. */
  counters: Counters | undefined;
  /** Whom it was told to be paused, and who goes on without a call of it (S8); made with the first. */
  letGo?: Set<string>;
}

/** One for all who have none: most sessions, most of the time. */
const noTurns: readonly SavedTurn[] = [];

export function newSaved(record: SessionRecord): Saved {
  return {
    record,
    epoch: record.e,
    checkpointTurn: 0,
    state: undefined,
    turns: noTurns,
    settled: undefined,
    costMicros: 0,
    turnsCharged: 0,
    lastTurnCharged: 0,
    actionsCharged: 0,
    counters: undefined,
  };
}

/** Adds one record. Records of a lower epoch than the session's are refused (I6). */
export function applyRecord(saved: Saved, record: JournalRecord): void {
  if (record.e < saved.epoch) return;
  saved.epoch = record.e;
  switch (record.t) {
    case 'session':
    case 'claim':
    case 'parked':
      return;
    case 'turn-failed':
      turnOf(saved, record.turn).failed = record.error;
      return;
    case 'turn':
      turnOf(saved, record.turn);
      return;
    case 'call': {
      const turn = turnOf(saved, record.turn);
      const { key, id, kind, name, class: of, child, inheritsChild } = record;
      const call: SavedCall = {
        key,
        id,
        kind,
        name,
        class: of,
        ...(child === undefined ? {} : { child }),
        ...(inheritsChild === undefined ? {} : { inheritsChild }),
        idempotencyKey: idempotencyKeyOf(saved.record, record.turn, key),
      };
      const index = turn.calls.findIndex((one) => one.key === key);
      const known = turn.calls[index];
      if (!known) turn.calls.push(call);
      // A new attempt at a call that a person said did not happen.
      else if (known.outcome === 'not-sent') turn.calls[index] = call;
      // A restart has found out which child takes up the old one's work.
      else if (known.child === undefined && child !== undefined) {
        known.child = child;
        if (isPause(known.value)) letGo(saved, child);
      }
      return;
    }
    case 'end': {
      // Of a turn that is completed by now nothing is kept: it would stand behind the one that is under way, and be taken for it.
      const call = saved.turns.find((one) => one.number === record.turn)?.calls.find((one) => one.key === record.key);
      if (record.costMicros !== undefined) saved.costMicros += record.costMicros;
      if (!call) return;
      call.outcome = record.outcome;
      if (record.value !== undefined) call.value = record.value;
      if (record.error !== undefined) call.error = record.error;
      if (call.child !== undefined && isPause(record.value)) letGo(saved, call.child);
      return;
    }
    case 'checkpoint':
      saved.checkpointTurn = record.turn;
      saved.state = record.state;
      if (record.read && !saved.record.inline && saved.turns.length > 0) {
        const later = saved.turns.filter((turn) => turn.number > record.turn);
        saved.turns = later.length > 0 ? later : noTurns;
      }
      return;
    case 'settled':
      saved.settled = record;
  }
}

/** A spawn was answered with the pause of this child. */
export function letGo(saved: Saved, child: string): void {
  saved.letGo ??= new Set();
  saved.letGo.add(child);
}

function turnOf(saved: Saved, number: number): SavedTurn {
  let turn = saved.turns.find((one) => one.number === number);
  if (!turn) {
    turn = { number, calls: [] };
    // A list that is pushed to makes room for sixteen more, and most sessions have one turn here.
    saved.turns = [...saved.turns, turn];
  }
  return turn;
}

type Folded = Map<string, { saved: Saved; isElsewhere: boolean }>;
type Written = readonly { readonly alive: boolean; readonly records: readonly JournalRecord[] }[];

/** Folds whole journals. Records of one session may lie in several, one per process that ran it; epochs put them in order. */
export function foldJournals(journals: Written): Folded {
  return atOnce(folding(journals));
}

/** The same, where others have their turn in between. `breathe`: as in `readFolderJournals`. */
export function foldJournalsInSteps(journals: Written, breathe: Breathe | undefined): Promise<Folded> {
  return inSteps(folding(journals), breathe);
}

function* folding(journals: Written): Steps<Folded> {
  const bySession = new Map<string, { record: JournalRecord; alive: boolean }[]>();
  for (const { alive, records } of journals) {
    for (const record of records) {
      const list = bySession.get(record.s);
      if (list) list.push({ record, alive });
      else bySession.set(record.s, [{ record, alive }]);
      yield;
    }
  }
  const folded: Folded = new Map();
  for (const [id, list] of bySession) {
    const birth = list.find((one) => one.record.t === 'session')?.record;
    if (birth?.t !== 'session') continue;
    const saved = newSaved(birth);
    // A stable sort: within one epoch there is one writer, and its order is the order of writing.
    for (const { record } of list.toSorted((a, b) => a.record.e - b.record.e)) applyRecord(saved, record);
    const last = list.reduce((a, b) => (b.record.e >= a.record.e ? b : a));
    folded.set(id, { saved, isElsewhere: last.alive });
    yield;
  }
  return folded;
}

/** Calls of the interrupted turns whose outcome only a person can tell. */
export function unknownCalls(saved: Saved): SavedCall[] {
  return saved.turns.flatMap((turn) =>
    turn.calls.filter(
      (call) => call.kind === 'tool' && call.class === 'effect' && (call.outcome === undefined || call.outcome === 'unknown'),
    ),
  );
}
