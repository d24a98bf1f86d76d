// fault-harness.ts: a vendor as the fault contract drives it.

import type { SwitchFlag } from '@offswitch/core';
import type { Fault } from './fault.ts';
import type { FaultProblemCode } from './fault-result.ts';
import type { SourceHarness } from './source-harness.ts';

export interface FaultHarness extends SourceHarness {
  /**
   * The vendor stores a change, whatever stands between it and the source. Resolves when the vendor has it, not when the source
   * saw it.
   */
  store(action: 'engage' | 'release', flag: SwitchFlag, target?: string): Promise<void>;
  /**
   * Brings the fault about; resolves when the vendor's side is so, not when the source noticed. It lasts until `heal`, and holds
   * for connections that are open already: an open stream is ended, so that the next request meets the fault.
   *
   * What some faults do to the flags, where `global` is the switch of that tier and users are those of `faultUsers`:
   *
   * - `empty-set`: the vendor serves a well-formed set without any flag.
   * - `flag-deleted`, `flag-archived`, `wrong-type`: the global flag, and no other.
   * - `older-version`: the vendor sends what it held before anything was engaged, with the version of then, after newer data was seen.
   * - `duplicate`: the vendor sends the last data once more.
   * - `change-in-gap`: the connection is cut, user `first` is engaged at the vendor, and the connection is let through again.
   * - `two-quick-changes`: user `first` and user `second` are engaged in two writes with no wait in between.
   * - `reordered`: the same two writes, and the data after the second arrives before the data after the first.
   * - `many-targets`: the user switch gets 100,000 targets more, none of them in `faultUsers`.
   */
  inject(fault: Fault): Promise<void>;
  /**
   * The fault ends: everything that was stored is served again, what was stored during the fault included, and a flag that was
   * deleted, archived or broken is back as it was. Resolves when the vendor's side is so; the source has to find out by itself.
   */
  heal(): Promise<void>;
  /** The faults that this vendor's protocol cannot have, with the reason, which the table of faults shows. */
  readonly cannot?: Readonly<Partial<Record<Fault, string>>>;
}

export interface FaultContractOptions {
  /**
   * Longest that health may stay `fresh` after the data was cut, or after a change that cannot be seen. Milliseconds. Default
   * 10000. A harness makes its source with short limits of its own, so that the suite is quick.
   */
  readonly staleWithinMs?: number;
  /** Longest from the end of a fault to fresh and right again, with no restart. Milliseconds. Default 10000. */
  readonly recoverWithinMs?: number;
  /** As for the source contract: false where a release is an act (S3). Default true. */
  readonly positions?: boolean;
  /** The faults to run. Default: all of them. */
  readonly only?: readonly Fault[];
  /**
   * What this source cannot hold, by fault and by problem: it stands on something that cannot be mended from outside. Any other
   * problem fails the test, and so does a fault that holds after all, so that the list stays true. Default: nothing.
   */
  readonly unfixable?: Readonly<Partial<Record<Fault, readonly FaultProblemCode[]>>>;
}
