// left-behind.ts: which journals of dead processes a living one is given to take up from.
//
// Each is given once: what was taken up from it and has ended since would come to life again. But a process that took up work of one
// that had died before may die too, and where that work began is in the older journal.

import type { JournalRecord } from './journal.ts';

interface Journal {
  readonly process: string;
  readonly alive: boolean;
  readonly records: readonly JournalRecord[];
}

/**
 * Of dead processes, the journals that are not in `taken`, which they are added to; and of those that are, what belongs to graphs that one of
 * the former had taken up.
 */
export function leftBehind<J extends Journal>(journals: readonly J[], taken: Set<string>): J[] {
  const dead = journals.filter(({ alive }) => !alive);
  const fresh = dead.filter(({ process }) => !taken.has(process));
  if (fresh.length === 0) return [];
  const touched = new Set(fresh.flatMap(({ records }) => records.map(({ s }) => s)));
  const births = new Map<string, JournalRecord & { readonly t: 'session' }>();
  for (const { records } of dead) for (const record of records) if (record.t === 'session') births.set(record.s, record);
  const isTouched = (session: string): boolean => {
    for (let birth = births.get(session); birth; birth = births.get(birth.path.at(-2) ?? ''))
      if (birth.arrived || birth.path.length === 1) return touched.has(birth.s);
    return false;
  };
  const older = dead.flatMap((journal) => {
    if (!taken.has(journal.process)) return [];
    const records = journal.records.filter(({ s }) => isTouched(s));
    return records.length > 0 ? [{ ...journal, records }] : [];
  });
  for (const { process } of fresh) taken.add(process);
  return [...older, ...fresh];
}
