// left-behind.ts: which journals of dead processes a living one is given to take up from.
//
// Each is given once: what was taken up from it and has ended since would come to life again. But a process that took up work of one
// that had died before may die too, and where that work began is in the older journal.

import type { JournalRecord } from './journal.ts';
import { subjectKey } from './stop-key.ts';
import type { StoreOpening } from './store.ts';

interface Journal {
  readonly process: string;
  readonly alive: boolean;
  readonly records: readonly JournalRecord[];
}

/** With who made it (sessions as stop-key.ts names subjects). Who is not alive was dead before the journals were listed: nothing of it is missing in them. */
export interface OwnedClaim extends StoreClaimThen {
  readonly owner: string;
}
type StoreClaimThen = StoreOpening['claims'][number];

/** What a store hands on of it. */
export function withoutOwner({ session, epoch, alive }: OwnedClaim): StoreClaimThen {
  return { session, epoch, alive };
}

/**
 * Of dead processes, the journals that are not in `taken`, which they are added to; and of those that are, what belongs to graphs that one of
 * the former had taken up: it has written of a session in it, or has claimed one and died before it wrote.
 */
export function leftBehind<J extends Journal>(journals: readonly J[], taken: Set<string>, claims: readonly OwnedClaim[]): J[] {
  const dead = journals.filter(({ alive }) => !alive);
  const fresh = dead.filter(({ process }) => !taken.has(process));
  const owners = new Set(fresh.map(({ process }) => process));
  for (const { owner, alive } of claims) if (!alive && !taken.has(owner)) owners.add(owner);
  if (owners.size === 0) return [];
  const births = new Map<string, JournalRecord & { readonly t: 'session' }>();
  for (const { records } of dead) for (const record of records) if (record.t === 'session') births.set(record.s, record);
  const headOf = (session: string): string | undefined => {
    for (let birth = births.get(session); birth; birth = births.get(birth.path.at(-2) ?? ''))
      if (birth.arrived || birth.path.length === 1) return birth.s;
    return undefined;
  };
  const touched = new Set(fresh.flatMap(({ records }) => records.map(({ s }) => s)));
  const claimed = new Set<string>();
  for (const { session, owner } of claims) if (owners.has(owner)) claimed.add(session);
  if (claimed.size > 0) for (const session of births.keys()) if (claimed.has(subjectKey(session))) touched.add(session);
  const heads = new Set([...touched].map(headOf));
  const isTouched = (session: string): boolean => {
    const head = headOf(session);
    return head !== undefined && heads.has(head);
  };
  const older = dead.flatMap((journal) => {
    if (!taken.has(journal.process)) return [];
    const records = journal.records.filter(({ s }) => isTouched(s));
    return records.length > 0 ? [{ ...journal, records }] : [];
  });
  for (const process of owners) taken.add(process);
  return [...older, ...fresh];
}
