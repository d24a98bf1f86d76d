// left-behind.ts: what processes that are gone had lent. Nobody has the secrets any more, so all of it is taken back.

import type { CredentialBroker } from './broker.ts';
import { type GrantStore, isOver } from './grant-record.ts';
import { brokerTimeoutMs } from './in-time.ts';
import { keptMs, type Ledger } from './ledger.ts';
import { type Lent, newLent } from './lent.ts';

export interface LeftBehind {
  /** To be taken back from here. */
  readonly left: readonly Lent[];
  /** Brokers that this process has not: another one may. */
  readonly unknown: ReadonlySet<string>;
}

/** Reads them into the ledger, and clears away what is over since long. Rejects when the store cannot be read. */
export async function findLeftBehind(
  store: GrantStore,
  ledger: Ledger,
  brokers: ReadonlyMap<string, CredentialBroker>,
  now: () => number,
): Promise<LeftBehind> {
  const kept = await store.list();
  const isLongOver = ({ record }: (typeof kept)[number]): boolean =>
    isOver(record) && Math.max(record.at, record.residualUntil ?? 0) < now() - keptMs;
  // What is not removed now is found again by the next one.
  void store.remove(kept.filter(isLongOver).map(({ record }) => record)).catch(() => {});
  const left: Lent[] = [];
  const unknown = new Set<string>();
  for (const one of kept) {
    const { record, isOwnerAlive } = one;
    if (isOwnerAlive || ledger.has(record.id) || isLongOver(one)) continue;
    const lent = newLent(record, brokers.get(record.broker), '');
    // What is over already is kept for the receipts that have told of it.
    ledger.add(lent);
    if (isOver(record)) continue;
    if (!lent.broker) {
      // Here it can only be told of.
      lent.isFinal = true;
      unknown.add(record.broker);
      continue;
    }
    // What was asked for in the last moment may arrive yet.
    if (record.state === 'issuing') lent.unansweredUntil = record.at + brokerTimeoutMs;
    left.push(lent);
  }
  return { left, unknown };
}
