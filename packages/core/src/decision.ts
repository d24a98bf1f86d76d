// decision.ts: what a gate answers when an agent asks "may I go on?".
//
// A decision is data, not an exception: being stopped is an ordinary outcome at a turn boundary. It is the maximum
// over every stop on the session's own path, so order, repetition and source do not matter (S1).

import type { StopCause } from './stop.ts';
import { compareActions, type StopAction, type Tier, tiers } from './tier.ts';

export interface Stopped {
  readonly action: StopAction;
  readonly tier: Tier;
  /**
   * `unknown` is a hold: a pause because a switch cannot be read yet, or the state folder cannot be trusted. It is derived,
   * never latched, and ends with a definite reading (S5).
   */
  readonly cause: StopCause | 'unknown';
  /** Why, in the words of whoever stopped it; for a hold, what could not be read and the way out. */
  readonly reason: string;
  /** The effect statement of the tier (S12). */
  readonly effect: string;
  /** Fit for the end user. */
  readonly notice: string;
  readonly by?: string;
  /** The stop behind it; absent for a hold. */
  readonly stopId?: string;
  /** Epoch milliseconds. */
  readonly since: number;
}

export type Decision = { readonly action: 'run' } | Stopped;

/** One object, so that the hot path compares identities. */
export const run: Decision = Object.freeze({ action: 'run' });

const causeRank = { operator: 3, switch: 2, breaker: 1, unknown: 0 } as const;

/**
 * The stronger of two decisions. Ties go to the wider tier, then to the one a person made, then to the older, then to
 * the smaller stop id: a total order, so that every process that knows the same stops shows the same one.
 */
export function strongest(a: Decision, b: Decision): Decision {
  const byAction = compareActions(a.action, b.action);
  if (byAction !== 0) return byAction > 0 ? a : b;
  if (a.action === 'run' || b.action === 'run') return a;
  const byCause = Number(a.cause === 'unknown') - Number(b.cause === 'unknown');
  if (byCause !== 0) return byCause < 0 ? a : b;
  const byTier = tiers.indexOf(a.tier) - tiers.indexOf(b.tier);
  if (byTier !== 0) return byTier < 0 ? a : b;
  const byRank = causeRank[b.cause] - causeRank[a.cause];
  if (byRank !== 0) return byRank < 0 ? a : b;
  if (a.since !== b.since) return a.since < b.since ? a : b;
  return (a.stopId ?? '') <= (b.stopId ?? '') ? a : b;
}
