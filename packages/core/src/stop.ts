// stop.ts: an order against a subject, and who gave it.

import type { Subject } from './subject.ts';
import type { StopAction, Tier } from './tier.ts';

/** Who made a stop. Only a switch's stop is released by a reading; the others are released by act alone (S3). */
export type StopCause = 'switch' | 'breaker' | 'operator';

/** What the breakers watch; see the table of thresholds in the runtime. */
export type Breaker = 'cost' | 'tool-failures' | 'turns' | 'actions' | 'repeats';

/**
 * A stop in force. `id` names it for receipts and for `release`: for a switch's stop it is made of tier and subject,
 * for an act it is minted.
 */
export interface Stop {
  readonly id: string;
  readonly cause: StopCause;
  readonly tier: Tier;
  readonly action: StopAction;
  /** The subject it is against: {} for global, else one of workflow, userId, sessionId. */
  readonly subject: Subject;
  readonly reason: string;
  /** Who engaged it, as far as the source tells. */
  readonly by?: string;
  /** Epoch milliseconds at which this toolkit first learned of it. */
  readonly since: number;
  readonly breaker?: Breaker;
}
