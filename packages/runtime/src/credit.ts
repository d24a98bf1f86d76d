// credit.ts: what this process holds of the caps that one account spends of: calls reserve from it in memory, and it is made more
// before it runs out, so that the store is asked for one call in many.
//
// What it holds is at most what is in use, or its share of what is left, as if one more came: near the cap it shrinks by itself.

import { type BudgetGrant, type BudgetStore, isGraphKey } from './budget-store.ts';
import { turnOfLoop } from './slices.ts';

export interface CreditOptions {
  readonly budgets: BudgetStore;
  /** This one. */
  readonly process: string;
  readonly account: string;
  readonly keys: readonly string[];
  /** As they are now, in the order of the keys. */
  caps(): readonly number[];
  /** What the account's graph has spent as this process knows it, open leases not included. */
  knownMicros(): number;
  /** Resolves when what dead processes spent of these caps is known. */
  ready(): Promise<void>;
  /** Others hold credit that they may give back: resolves when they have had the time. */
  wait(): Promise<void>;
  /** Its calls wait anyway: a cap was reached meanwhile. */
  isHeld(): boolean;
  /** A cap is reached. `overMicros`: by how much the call would be over it; `nextMicros`: what it may cost. */
  reached(key: string, overMicros: number, nextMicros: number): void;
  /** It holds something now. */
  opened(): void;
}

/** Of how many one expects to be before it knows: the first lease is 1/64 of the smallest cap. */
const firstHolders = 32;

/** How often others, who hold enough, are given the time to use it or give it back, before a cap counts as reached. */
const waits = 2;

export class Credit {
  /** Since the lease was opened; what calls that reserved nothing cost may be above `granted`. */
  private granted = 0;
  private spent = 0;
  private reserved = 0;
  /** Of calls that wait for more. */
  private waiting = 0;
  /** What was ever reserved and waited for at once. */
  private peak = 0;
  /** Spent under leases that were settled. */
  private told = 0;
  private share: number | undefined;
  private hasAsked = false;
  private asking: Promise<boolean> | undefined;
  private returning: Promise<void> | undefined;
  private returningMicros = 0;
  /** Giving this back failed, so the store may still count it as leased. */
  private owed: number | undefined;
  private isUsed = false;
  private isOver = false;
  /** All of it was given back, or is nothing to this process any more. */
  private isEnded = false;
  private lastMicros: number | undefined;
  private isLost = false;
  private readonly options: CreditOptions;

  constructor(options: CreditOptions) {
    this.options = options;
  }

  get account(): string {
    return this.options.account;
  }

  /** Spent and not told to the store yet. */
  get untoldMicros(): number {
    return this.spent + this.returningMicros;
  }

  get holdsAny(): boolean {
    return this.granted > 0 || this.spent > 0 || this.owed !== undefined;
  }

  /** Reserves from what is there; false when it is not enough. */
  take(micros: number): boolean {
    if (this.granted - this.spent - this.reserved < micros) return false;
    this.reserved += micros;
    this.isUsed = true;
    return true;
  }

  /** Reserves, asking the store for more where needed; false when a cap is reached. Rejects with `store_failed`. */
  async ask(micros: number): Promise<boolean> {
    this.waiting += micros;
    try {
      for (;;) {
        await this.returning;
        if (this.isOver) return false;
        if (this.take(micros)) return true;
        if (!this.asking) {
          this.asking = this.more(micros);
          const end = (): void => {
            this.asking = undefined;
          };
          this.asking.then(end, end);
        }
        if (!(await this.asking)) return false;
      }
    } finally {
      this.waiting -= micros;
    }
  }

  settle(reservedMicros: number, actualMicros: number): void {
    this.reserved -= reservedMicros;
    // What is reserved when the last word is said is in it.
    if (this.isEnded || this.lastMicros !== undefined || actualMicros === 0) return;
    this.spent += actualMicros;
    this.isUsed = true;
    if (!this.isOver) this.options.opened();
  }

  /** Gives back what was not used since this was last asked. */
  returnIdle(): void {
    const wasUsed = this.isUsed;
    this.isUsed = false;
    if (!wasUsed) void this.giveBack();
  }

  /** Gives back what no call has a claim on: all of it, or nothing while one is under way. */
  giveBack(): Promise<void> {
    return this.waiting > 0 ? (this.returning ?? Promise.resolve()) : this.giveUp();
  }

  private giveUp(): Promise<void> {
    if (this.reserved > 0 || !this.holdsAny) return this.returning ?? Promise.resolve();
    const { budgets, account, keys } = this.options;
    const { granted, spent } = this;
    this.granted = 0;
    this.spent = 0;
    this.told += spent;
    this.returningMicros = spent;
    // Where it fails it may have landed all the same: what was held is not counted on any more, and what was spent is told again.
    const returning = budgets
      .settle(account, keys, spent)
      .then(() => {
        this.owed = undefined;
      })
      .catch(() => {
        this.spent += spent;
        this.told -= spent;
        this.owed = (this.owed ?? 0) + granted;
        this.options.opened();
      })
      .finally(() => {
        this.returningMicros = 0;
        this.returning = undefined;
      });
    this.returning = returning;
    return returning;
  }

  /** The last of it: what is still reserved may have been spent. Rejects with `store_failed`; then it stays leased until this is asked for again. */
  async end(): Promise<void> {
    if (this.isEnded) return;
    this.isOver = true;
    await this.asking?.catch(() => undefined);
    await this.returning;
    // What ends later is not counted any more, so this is the word also where it has to be said again.
    this.lastMicros ??= this.spent + this.reserved;
    const { budgets, process, account, keys } = this.options;
    if (this.isLost) {
      const leased = this.granted + (this.owed ?? 0);
      if (this.hasAsked) await budgets.reconcile({ process, account, keys }, this.lastMicros);
      // What calls that reserved nothing cost above the lease. Of its graph whoever has that knows it from the journal.
      const others = keys.filter((key) => !isGraphKey(key));
      if (this.lastMicros > leased && others.length > 0) await budgets.settle(account, others, this.lastMicros - leased);
    } else if (this.holdsAny || this.lastMicros > 0) await budgets.settle(account, keys, this.lastMicros);
    this.isEnded = true;
  }

  /** Another process has the account, and may have said what was spent here: `end` says it only where nobody has. */
  lose(): void {
    this.isOver = true;
    this.isLost = true;
  }

  private async more(micros: number): Promise<boolean> {
    await this.options.ready();
    if (this.isOver) return false;
    for (let waited = 0; ; waited++) {
      const missing = micros - (this.granted - this.spent - this.reserved);
      if (missing <= 0) return true;
      const answer = await this.lease(missing);
      this.granted += answer.grantedMicros;
      this.share = Math.max(0, Math.floor(answer.remainingMicros / (answer.holders + 1)));
      if (answer.grantedMicros > 0) {
        this.isUsed = true;
        this.options.opened();
        return true;
      }
      if (this.isOver) return false;
      if (waited === waits || answer.remainingMicros + answer.heldElsewhereMicros < missing) {
        // Calls that were just given what they need are made before the pause.
        await turnOfLoop();
        if (this.isOver) return false;
        this.options.reached(answer.tightest, missing - answer.remainingMicros, micros);
        return false;
      }
      // What is too little for us is not for others.
      await this.giveUp();
      await this.options.wait();
      if (this.isOver || this.options.isHeld()) return false;
    }
  }

  private lease(missing: number): Promise<BudgetGrant> {
    const { budgets, account, keys } = this.options;
    this.hasAsked = true;
    const caps = this.options.caps();
    this.peak = Math.max(this.peak, this.reserved + this.waiting);
    const share = this.share ?? Math.floor(Math.min(...caps) / (2 * firstHolders));
    const inUse = missing + this.peak - this.reserved;
    const known = this.options.knownMicros();
    return budgets.lease({
      account,
      scopes: keys.map((key, i) => ({
        key,
        capMicros: caps[i]!,
        ...(known > 0 && isGraphKey(key) ? { atLeastMicros: known } : {}),
      })),
      wantMicros: Math.max(missing, Math.min(inUse, caps[0]!), share),
      minMicros: missing,
      toldMicros: this.told,
    });
  }
}
