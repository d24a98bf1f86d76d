// parent-grant.ts: what the sessions above hold from the same broker: a credential below lives no longer than it.

import type { GrantHandle } from './broker.ts';
import type { GrantRecord, KeptGrant } from './grant-record.ts';
import type { Ledger } from './ledger.ts';
import { handleOf, type Lent, newLent } from './lent.ts';

export interface ParentGrant {
  readonly handle: GrantHandle;
  /** Epoch milliseconds. */
  readonly lentUntil: number;
}

/** Of the nearest session above that holds one. `others`: the grants of the graph that other processes have written down. */
export function parentGrant(
  path: readonly string[],
  broker: string,
  ledger: Ledger,
  others: readonly KeptGrant[],
  now: number,
): ParentGrant | undefined {
  const isHeld = ({ record, lentUntil }: Lent): boolean =>
    record.broker === broker && record.state === 'active' && lentUntil > now;
  for (const id of path.slice(0, -1).reverse()) {
    const there = others
      .filter(({ record }) => record.session === id && !ledger.has(record.id))
      .map(({ record }) => lentThere(record));
    const [longest] = [...ledger.of(id), ...there].filter(isHeld).sort((a, b) => b.lentUntil - a.lentUntil);
    if (longest) return { handle: handleOf(longest), lentUntil: longest.lentUntil };
  }
  return undefined;
}

/** As its own process sees it, without the secret. */
function lentThere(record: GrantRecord): Lent {
  const lent = newLent(record, undefined, '');
  lent.lentUntil = record.lentUntil ?? record.expiresAt;
  return lent;
}
