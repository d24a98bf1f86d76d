// restart.ts: a new run of terminated work is a new act, from the checkpoint: it inherits the interrupted turn's journal and
// key scope, so that what the old run had already done is not done again (S6).

import type { JournalRecord, SessionRecord } from './journal.ts';
import { applyRecord, newSaved, type Saved } from './saved.ts';

/**
 * A new session that begins where another ended: its checkpoint, the calls of its interrupted turns, and its own end if it
 * had come to one before the stop. `records` says the same to the journal, so that the new session stands alone.
 */
export function inherit(from: Saved, born: SessionRecord): { readonly saved: Saved; readonly records: readonly JournalRecord[] } {
  const record: SessionRecord = { ...born, restartOf: from.record.s, keyScope: from.record.keyScope ?? from.record.s };
  const base = { s: record.s, e: record.e, at: record.at };
  const records: JournalRecord[] = [record];
  if (from.checkpointTurn > 0) {
    records.push({
      ...base,
      t: 'checkpoint',
      turn: from.checkpointTurn,
      ...(from.state === undefined ? {} : { state: from.state }),
    });
  }
  for (const turn of from.turns) {
    records.push({ ...base, t: 'turn', turn: turn.number });
    for (const { key, id, kind, name, class: of, child, inheritsChild, outcome, value, error } of turn.calls) {
      const old = inheritsChild ?? child;
      const at = { ...base, turn: turn.number, key };
      records.push({ ...at, t: 'call', id, kind, name, class: of, ...(old === undefined ? {} : { inheritsChild: old }) });
      if (outcome === undefined) continue;
      records.push({
        ...at,
        t: 'end',
        outcome,
        ...(value === undefined ? {} : { value }),
        ...(error === undefined ? {} : { error }),
      });
    }
  }
  for (const turn of from.turns) {
    if (turn.failed !== undefined) records.push({ ...base, t: 'turn-failed', turn: turn.number, error: turn.failed });
  }
  if (from.settled && from.settled.status !== 'terminated') {
    const { status, result, error } = from.settled;
    records.push({
      ...base,
      t: 'settled',
      status,
      ...(result === undefined ? {} : { result }),
      ...(error === undefined ? {} : { error }),
    });
  }
  const saved = newSaved(record);
  for (const one of records) applyRecord(saved, one);
  // What the old run spent is spent; the new one has a budget of its own.
  saved.costMicros = 0;
  return { saved, records };
}
