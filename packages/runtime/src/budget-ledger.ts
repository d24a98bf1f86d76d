// budget-ledger.ts: the arithmetic of leases over caps, apart from where the numbers are kept.

import type { BudgetGrant, BudgetLease, BudgetOrphan, BudgetRequest } from './budget-store.ts';

/** One open lease as a scope keeps it. */
export interface OpenLease extends BudgetLease {
  readonly grantedMicros: number;
  readonly toldMicros: number;
}

/** One scope as it is kept. */
export interface ScopeLedger {
  readonly key: string;
  readonly spentMicros: number;
  readonly leases: readonly OpenLease[];
  /** When the root of its graph had ended: it may go when the retention time is over. Epoch milliseconds. */
  readonly retiredAt?: number;
}

export function emptyLedger(key: string): ScopeLedger {
  return { key, spentMicros: 0, leases: [] };
}

export function leasedMicros(ledger: ScopeLedger): number {
  return ledger.leases.reduce((sum, lease) => sum + lease.grantedMicros, 0);
}

/** What is granted, and the scopes as they are then, in the order of the request; none where nothing changes. */
export function grant(
  request: BudgetRequest,
  process: string,
  ledgers: readonly ScopeLedger[],
  isAlive: (process: string) => boolean,
): { readonly answer: BudgetGrant; readonly after: readonly ScopeLedger[] } {
  const { scopes, wantMicros, minMicros } = request;
  const known = scopes.map(({ atLeastMicros = 0 }, i) => {
    const ledger = ledgers[i]!;
    return atLeastMicros > ledger.spentMicros ? { ...ledger, spentMicros: atLeastMicros } : ledger;
  });
  const left = scopes.map(({ capMicros }, i) => capMicros - known[i]!.spentMicros - leasedMicros(known[i]!));
  const smallest = Math.min(...left);
  const at = left.indexOf(smallest);
  const fits = Math.min(Math.max(wantMicros, minMicros), smallest);
  const grantedMicros = fits >= minMicros ? fits : 0;
  const isOwn = isOf(
    process,
    request.account,
    scopes.map(({ key }) => key),
  );
  const after = grantedMicros > 0 ? known.map((ledger) => grow(ledger, request, process, grantedMicros)) : [];
  const tightest = after[at] ?? known[at]!;
  const living = tightest.leases.filter((lease) => isAlive(lease.process));
  return {
    answer: {
      grantedMicros,
      tightest: tightest.key,
      remainingMicros: smallest - grantedMicros,
      heldElsewhereMicros: living.reduce((sum, lease) => sum + (isOwn(lease) ? 0 : lease.grantedMicros), 0),
      holders: 1 + living.filter((lease) => !isOwn(lease)).length,
    },
    after,
  };
}

function grow(ledger: ScopeLedger, { account, scopes, toldMicros }: BudgetRequest, process: string, micros: number): ScopeLedger {
  const keys = scopes.map(({ key }) => key);
  const isOwn = isOf(process, account, keys);
  const before = ledger.leases.find(isOwn);
  const lease = before
    ? { ...before, grantedMicros: before.grantedMicros + micros }
    : { process, account, keys, grantedMicros: micros, toldMicros };
  return { ...ledger, leases: [...ledger.leases.filter((one) => !isOwn(one)), lease] };
}

/** The scope with that lease closed; the spending counts whether there was one or not. */
export function close(ledger: ScopeLedger, lease: BudgetLease, spentMicros: number): ScopeLedger {
  const isIt = isOf(lease.process, lease.account, lease.keys);
  return {
    ...ledger,
    spentMicros: ledger.spentMicros + spentMicros,
    leases: ledger.leases.filter((one) => !isIt(one)),
  };
}

/** The same where somebody else may have done so: at most what it was granted in this scope, and only where it is still open. */
export function closeIfOpen(ledger: ScopeLedger, lease: BudgetLease, spentMicros: number): ScopeLedger {
  const open = ledger.leases.find(isOf(lease.process, lease.account, lease.keys));
  return open ? close(ledger, lease, Math.min(Math.max(spentMicros, 0), open.grantedMicros)) : ledger;
}

/** Each open lease of a process that is gone, once, with the most it was granted in any of its scopes. */
export function orphansOf(ledgers: Iterable<ScopeLedger>, isAlive: (process: string) => boolean): readonly BudgetOrphan[] {
  const found = new Map<string, BudgetOrphan>();
  for (const { leases } of ledgers)
    for (const lease of leases) {
      if (isAlive(lease.process)) continue;
      const name = JSON.stringify([lease.process, lease.account, lease.keys]);
      const before = found.get(name);
      if (!before || before.grantedMicros < lease.grantedMicros) found.set(name, lease);
    }
  return [...found.values()];
}

function isOf(process: string, account: string, keys: readonly string[]): (lease: OpenLease) => boolean {
  return (lease) =>
    lease.process === process &&
    lease.account === account &&
    lease.keys.length === keys.length &&
    lease.keys.every((key, i) => key === keys[i]);
}
