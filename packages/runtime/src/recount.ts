// recount.ts: what the breakers had counted, told again by the journals: a crash gives nobody a fresh allowance (S4).
//
// Nothing is written down for it beside what is written anyway: a turn, a call and its end are what a breaker counts.

import type { Breaker } from '@offswitch/core';
import { Counters } from './breakers.ts';
import type { JournalRecord } from './journal.ts';
import type { Saved } from './saved.ts';

type OfTurn = Extract<JournalRecord, { readonly t: 'turn' | 'call' | 'end' }>;
type CallRecord = Extract<JournalRecord, { readonly t: 'call' }>;

interface Journal {
  readonly records: readonly JournalRecord[];
}

/**
 * Counts again for every session that has not ended, its descendants' doings included. `forgivenAt`: when a person last released
 * that breaker of that session (epoch milliseconds): runs of failures and repetitions begin anew there.
 */
export function recount(
  folded: ReadonlyMap<string, { readonly saved: Saved }>,
  journals: readonly Journal[],
  forgivenAt: (session: string, breaker: Breaker) => number,
): void {
  const lines = new Map<string, readonly Saved[]>();
  const lineOf = (session: string): readonly Saved[] => {
    let line = lines.get(session);
    if (!line) {
      const path = folded.get(session)?.saved.record.path ?? [];
      line = path
        .flatMap((id) => folded.get(id)?.saved ?? [])
        .filter((saved) => saved.settled === undefined || saved.record.inline);
      lines.set(session, line);
    }
    return line;
  };
  const calls = new Map<string, CallRecord>();
  const asked = new Set<string>();
  for (const { records } of inOrder(journals)) {
    for (const record of records) {
      if (record.t !== 'turn' && record.t !== 'call' && record.t !== 'end') continue;
      const line = lineOf(record.s);
      // What a restart took over from the old run was charged to that one.
      if (line.length === 0 || isInherited(folded.get(record.s)?.saved, record)) continue;
      switch (record.t) {
        case 'turn':
          for (const one of line) one.turnsCharged++;
          continue;
        case 'call': {
          if (record.isAgain) continue;
          calls.set(nameOf(record), record);
          // A second model call without a turn is a turn (S9).
          const turn = `${record.s}\n${record.turn}`;
          if (record.kind === 'model' && asked.size === asked.add(turn).size) for (const one of line) one.turnsCharged++;
          if (record.kind !== 'tool') continue;
          if (isAction(record)) for (const one of line) one.actionsCharged++;
          for (const one of line)
            if (record.at >= forgivenAt(one.record.s, 'repeats')) countersOf(one).called(recognisedOf(record.key));
          continue;
        }
        case 'end': {
          const call = calls.get(nameOf(record));
          if (call?.kind !== 'tool') continue;
          if (record.outcome === 'not-sent' && isAction(call)) for (const one of line) one.actionsCharged--;
          if (record.outcome === 'not-sent') for (const one of line) countersOf(one).uncalled(recognisedOf(record.key));
          if (record.outcome !== 'completed' && record.outcome !== 'failed') continue;
          for (const one of line)
            if (record.at >= forgivenAt(one.record.s, 'tool-failures'))
              countersOf(one).toolEnded(call.name, record.outcome === 'failed');
        }
      }
    }
  }
}

/** One journal per process, the oldest first: within one, the order is that of writing. */
function inOrder(journals: readonly Journal[]): readonly Journal[] {
  return journals.toSorted((a, b) => (a.records[0]?.at ?? 0) - (b.records[0]?.at ?? 0));
}

function nameOf(record: Exclude<OfTurn, { readonly t: 'turn' }>): string {
  return `${record.s}\n${record.turn}\n${record.key}`;
}

function isInherited(saved: Saved | undefined, { e, at }: OfTurn): boolean {
  const birth = saved?.record;
  return birth?.restartOf !== undefined && birth.e === e && birth.at === at;
}

function isAction(call: CallRecord): boolean {
  return call.class === 'effect' || call.class === 'idempotent';
}

/** A key without the occurrence that it ends in, unless the caller gave it. */
function recognisedOf(key: string): string {
  return key.replace(/(:[0-9a-v]{12}):\d+$/, '$1');
}

function countersOf(saved: Saved): Counters {
  saved.counters ??= new Counters();
  return saved.counters;
}
