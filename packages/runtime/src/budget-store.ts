// budget-store.ts: the part of the store by which several processes spend of one cap: credit is leased ahead, in whole
// micro-units, so that a call reserves in memory and nobody has to be asked.
//
// What is leased counts as spent until it is settled. A process that dies keeps its leases open, on the safe side, until somebody
// who was given its journal says what it really spent.

/** What a cap is over: the key is the same in every process. `graph.<root>`, `user.<user>`, `feature.<workflow>`, the subject as stops name it. */
export interface BudgetScope {
  readonly key: string;
  /** As the asking process knows it: releases raise it. Integer millionths of the currency of `usageOf`. */
  readonly capMicros: number;
  /** What was spent at least, this process's open lease not included: where more is known than the store holds, it is taken over. Default 0. */
  readonly atLeastMicros?: number;
}

/** Is this the cap of one graph, and none that others spend of too? */
export function isGraphKey(key: string): boolean {
  return key.startsWith('graph.');
}

export interface BudgetRequest {
  /** Whose spending it is: the graph's, as this process calls it for as long as it has it. With the keys it names the lease; asked again, that one grows. No line feed. */
  readonly account: string;
  /** Narrowest first. Never empty. */
  readonly scopes: readonly BudgetScope[];
  readonly wantMicros: number;
  /** Less is of no use: then nothing is granted. Positive. */
  readonly minMicros: number;
  /** What this process had spent on this account before the lease was opened: whoever reconciles it begins to count there. */
  readonly toldMicros: number;
}

export interface BudgetGrant {
  /** min(want, smallest remaining), in all scopes alike; 0 when that is below the least wanted. */
  readonly grantedMicros: number;
  /** The scope with the least left. */
  readonly tightest: string;
  /** What is left of it after the grant; below 0 where more was spent than it allows. */
  readonly remainingMicros: number;
  /** What other leases hold of it and may still give back: theirs who are dead not included. */
  readonly heldElsewhereMicros: number;
  /** Leases of it that are open, this one included, those of the dead not. */
  readonly holders: number;
}

/** What tells one lease from another. */
export interface BudgetLease {
  readonly process: string;
  readonly account: string;
  /** Every scope in which it is open. */
  readonly keys: readonly string[];
}

/** A lease that is open although its process is gone. */
export interface BudgetOrphan extends BudgetLease {
  readonly grantedMicros: number;
  readonly toldMicros: number;
}

export interface BudgetSpending {
  /** Settled, or reconciled. */
  readonly spentMicros: number;
  /** In open leases: counts as spent for as long as they are open. */
  readonly leasedMicros: number;
}

export interface BudgetStore {
  /** To all scopes or to none, in one step that no other process comes between. Durable when it resolves. Rejects with `store_failed`. */
  lease(request: BudgetRequest): Promise<BudgetGrant>;
  /**
   * Closes this process's lease: what was spent is spent (more than the lease, where calls cost more than they reserved), the rest is
   * free again. A settling whose answer was lost and that is made again counts twice at worst, never not at all.
   */
  settle(account: string, keys: readonly string[], spentMicros: number): Promise<void>;
  spent(key: string): Promise<BudgetSpending>;
  orphans(): Promise<readonly BudgetOrphan[]>;
  /**
   * Closes a lease at what was spent, between 0 and what it was granted: a dead process's, or one of this process for a graph that another has
   * taken over. Nothing happens where somebody did so before.
   */
  reconcile(lease: BudgetLease, spentMicros: number): Promise<void>;
  /** The root of this graph has ended, but sessions of it may run elsewhere: what was spent stands until the retention time is over. */
  retire(key: string): Promise<void>;
  /** Nobody will ask for this key again. */
  forget(key: string): Promise<void>;
}
