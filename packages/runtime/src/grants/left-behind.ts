// left-behind.ts: what processes that are gone had lent. Nobody has the secrets any more, so all of it is taken back.

import type { Clock } from '../clock.ts';
import type { CredentialBroker } from './broker.ts';
import { endless, type GrantRecord, type GrantStore, isOver, laterOf } from './grant-record.ts';
import { brokerTimeoutMs } from './in-time.ts';
import type { Ledger } from './ledger.ts';
import { type Lent, newLent } from './lent.ts';

export interface LeftBehind {
  /** To be taken back from here. */
  readonly left: readonly Lent[];
  /** Brokers that this process has not: another one may. */
  readonly unknown: ReadonlySet<string>;
}

/** Reads them into the ledger. Rejects when the store cannot be read. */
export async function findLeftBehind(
  store: GrantStore,
  ledger: Ledger,
  brokers: ReadonlyMap<string, CredentialBroker>,
  clock: Clock,
): Promise<LeftBehind> {
  const left: Lent[] = [];
  const unknown = new Set<string>();
  for (const { record, isOwnerAlive } of await store.list()) {
    const own = ledger.get(record.session, record.id);
    // Others have taken this process for dead meanwhile, and taken back what it had lent.
    if (own?.record.state === 'active' && laterOf(record, own.record) > 0) left.push(own);
    if (isOwnerAlive || own) continue;
    const lent = newLent(boundedFromNow(record, clock), brokers.get(record.broker), '');
    // What is over already, however long, is kept for the receipts that have told of it as it was before.
    ledger.add(lent);
    if (isOver(record)) continue;
    if (!lent.broker) {
      // Here it can only be told of.
      unknown.add(record.broker);
      continue;
    }
    // What was asked for in the last moment may arrive yet: from now on, for the clock of who asked may be wrong by an hour.
    if (record.state !== 'active' && record.isAnswered !== true) lent.unansweredUntil = clock.monotonic() + brokerTimeoutMs;
    left.push(lent);
  }
  return { left, unknown };
}

/** What was asked for when its process died may live for as long as that reckoned with, but from now on: its clock may be wrong by an hour. */
function boundedFromNow(record: GrantRecord, clock: Clock): GrantRecord {
  if (record.state !== 'issuing' || record.isAnswered === true) return record;
  const bound = Math.min(endless, clock.now() + record.expiresAt - record.at);
  return { ...record, expiresAt: Math.max(record.expiresAt, bound) };
}
