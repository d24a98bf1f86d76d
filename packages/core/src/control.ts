// control.ts: the port through which people's flips go out, to the vendor that stays the record.

import type { KillSwitches, SwitchFlag } from './define.ts';
import type { Position } from './reading.ts';

/** One flip a person asks for. */
export interface Order {
  readonly flag: SwitchFlag;
  /** The id to add to or take from the tier's targets; absent for global and feature. */
  readonly target?: string;
  /** What the target id is, for the instance tier. Default `session`. */
  readonly targetKind?: 'session' | 'conversation';
  /** Why. Required, recorded at the vendor, shown to everybody who looks. */
  readonly reason: string;
  /** Who asks. Recorded; whether it is believed is the vendor's token's business. */
  readonly by: string;
  /**
   * The highest engaged n of the stop this order is about, where control and source share a counter: the new position is
   * above it, so that a release releases (S3).
   */
  readonly above?: number;
}

/** One flip that was made and read back, or that history remembers. */
export interface Flip {
  readonly key: string;
  readonly action: 'engage' | 'release';
  readonly target?: string;
  readonly reason: string;
  readonly by: string;
  /** Epoch milliseconds, by the clock of whoever recorded it. */
  readonly at: number;
  /** Where the vendor's history now stands; absent where control and source share no counter. */
  readonly position?: Position;
  /** False when the vendor already said so and nothing was written. */
  readonly changed: boolean;
}

/** What provisioning would do, or did, step by step. */
export interface Plan {
  readonly steps: readonly PlanStep[];
  /** True once the steps were carried out; a plan that was only asked for says false. */
  readonly applied: boolean;
}

export interface PlanStep {
  readonly key: string;
  readonly change: 'create' | 'keep' | 'refuse';
  /** What is created, or why an existing flag is left alone and what to do about it. */
  readonly detail: string;
}

/** One finding about a switch at the vendor: what is wrong, and what to do. */
export interface Finding {
  /** Stable name of the fault, `missing`, `wrong-type`, `inverted-polarity`, ... */
  readonly code: string;
  /** `error`: the switch does not work. `warning`: it may surprise. */
  readonly severity: 'error' | 'warning';
  readonly message: string;
}

export interface Inspection {
  readonly key: string;
  readonly flag: SwitchFlag;
  /** Engaged for somebody: for everybody, for the listed targets, or not at all; `unknown` where it cannot be told. */
  readonly engaged: 'everybody' | 'targets' | 'nobody' | 'unknown';
  readonly targets: readonly string[];
  readonly findings: readonly Finding[];
}

export interface HistoryQuery {
  readonly key?: string;
  /** Newest first; default 50. */
  readonly limit?: number;
}

/** Each method reads back what it wrote before it confirms, and rejects with an error that names the way out. */
export interface SwitchControl {
  readonly name: string;
  engage(order: Order): Promise<Flip>;
  release(order: Order): Promise<Flip>;
  /** Creates what is missing. With `apply: false` (the default) it only plans. Never edits what it did not create. */
  provision(switches: KillSwitches, options?: { readonly apply?: boolean }): Promise<Plan>;
  inspect(switches: KillSwitches): Promise<readonly Inspection[]>;
  history(query?: HistoryQuery): Promise<readonly Flip[]>;
}
