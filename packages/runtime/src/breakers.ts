// breakers.ts: automatic pauses, each a latched stop with its own cause. None resets itself: a person releases it and
// names what more is allowed. Thresholds that are not declared only report.
//
// | threshold      | counts                                                        | pauses      | reports at, undeclared |
// |----------------|---------------------------------------------------------------|-------------|------------------------|
// | costMicros     | spend of the whole graph, reserved before each call           | the root    | 5,000,000 ($5)         |
// | toolFailures   | consecutive failures of one tool, in it and its sub-agents    | the session | 5                      |
// | turns          | turns begun, its own and those of all its sub-agents          | the session | 50                     |
// | actions        | calls with an effect                                          | the session | 200                    |
// | repeats        | identical calls, name and arguments, among the last 16        | the session | 5                      |
// | callsPerMinute | a limiter: slows calls down, is no stop                       | nobody      | never                  |
//
// A threshold is what is allowed: N passes, and N + 1 trips. `toolFailures: 5` pauses at the sixth failure in a row, `repeats: 5`
// at the sixth identical call. After a release those two begin anew; the others go on by what the release allowed.
//
// What a session does is charged to its ancestors too, against their own thresholds: a parent whose children loop is looping. So
// the root of a tree is charged each turn of each sub-agent in it: `turns` is for the whole tree, not for its root's own turns.

import type { Breaker } from '@offswitch/core';
import { RuntimeError } from './error.ts';

export interface Thresholds {
  /** Millionths of the currency of `usageOf`. Integer. */
  readonly costMicros?: number;
  readonly toolFailures?: number;
  readonly turns?: number;
  readonly actions?: number;
  readonly repeats?: number;
  /** Model and tool calls a minute, over all sessions of the workflow in this process. */
  readonly callsPerMinute?: number;
}

/** By workflow; `*` for those not named. */
export type BreakerTable = Readonly<Record<string, Thresholds>>;

export const reportAt: Readonly<Record<Breaker, number>> = {
  cost: 5_000_000,
  'tool-failures': 5,
  turns: 50,
  actions: 200,
  repeats: 5,
};

const fieldOf: Readonly<Record<Breaker, keyof Thresholds>> = {
  cost: 'costMicros',
  'tool-failures': 'toolFailures',
  turns: 'turns',
  actions: 'actions',
  repeats: 'repeats',
};

/** Checks the table at the edge. Throws `invalid_option`. */
export function checkBreakers(table: BreakerTable, workflows: readonly string[]): void {
  for (const [workflow, thresholds] of Object.entries(table)) {
    if (workflow !== '*' && !workflows.includes(workflow))
      throw new RuntimeError('invalid_option', `breakers: workflow ${JSON.stringify(workflow)} is not declared`);
    if (typeof thresholds !== 'object' || thresholds === null)
      throw new RuntimeError(
        'invalid_option',
        `breakers: ${workflow} has no thresholds (${String(thresholds)}); name some, like { turns: 50 }, or leave the workflow out`,
      );
    for (const [field, value] of Object.entries(thresholds)) {
      if (field !== 'callsPerMinute' && !Object.values(fieldOf).includes(field as keyof Thresholds))
        throw new RuntimeError('invalid_option', `breakers: ${JSON.stringify(field)} is no threshold`);
      if (value !== undefined && !(Number.isSafeInteger(value) && value > 0))
        throw new RuntimeError(
          'invalid_option',
          `breakers: ${workflow}.${field} must be a positive integer, got ${String(value)}`,
        );
    }
  }
}

export function thresholdsFor(table: BreakerTable, workflow: string): Thresholds {
  return Object.hasOwn(table, workflow) ? table[workflow]! : (table['*'] ?? none);
}
const none: Thresholds = {};

export function isDeclared(thresholds: Thresholds, breaker: Breaker): boolean {
  return thresholds[fieldOf[breaker]] !== undefined;
}

/** Where each breaker of one workflow trips or, undeclared, reports. */
export type Reach = Readonly<Record<Breaker, number>> & { readonly workflow: string };

export function reachOf(workflow: string, thresholds: Thresholds): Reach {
  const at = (breaker: Breaker): number => thresholds[fieldOf[breaker]] ?? reportAt[breaker];
  return {
    workflow,
    cost: at('cost'),
    'tool-failures': at('tool-failures'),
    turns: at('turns'),
    actions: at('actions'),
    repeats: at('repeats'),
  };
}

/** What one session's breakers look at beside its two plain counts (saved.ts). Made at the first call, so that an idle session carries none. */
export class Counters {
  private reports: Set<Breaker> | undefined;
  private failures: Map<string, number> | undefined;
  private recent: string[] | undefined;
  private oldest = 0;

  /** True once: an undeclared threshold is reported, and not again. */
  mayReport(breaker: Breaker): boolean {
    this.reports ??= new Set();
    if (this.reports.has(breaker)) return false;
    this.reports.add(breaker);
    return true;
  }

  /** The length of the run of failures of this tool; 0 after a success. */
  toolEnded(name: string, hasFailed: boolean): number {
    if (!hasFailed) {
      this.failures?.delete(name);
      return 0;
    }
    this.failures ??= new Map();
    const run = (this.failures.get(name) ?? 0) + 1;
    this.failures.set(name, run);
    return run;
  }

  /** How many of the last 16 calls were this very call, itself included. */
  called(identity: string): number {
    this.recent ??= [];
    const { recent } = this;
    let same = 1;
    for (let i = 0; i < recent.length; i++) if (recent[i] === identity) same++;
    // Written round: to move sixteen of them along for each call costs more than to count them.
    recent[this.oldest] = identity;
    this.oldest = (this.oldest + 1) % 16;
    return same;
  }

  /** It was not made after all: parked before it was sent, it comes again. */
  uncalled(identity: string): void {
    const at = this.recent?.lastIndexOf(identity) ?? -1;
    if (at >= 0) this.recent![at] = '';
  }

  /** After a release the count starts anew, so that what tripped it does not trip it again at once. */
  forgive(breaker: Breaker): void {
    if (breaker === 'tool-failures') this.failures = undefined;
    if (breaker !== 'repeats') return;
    this.recent = undefined;
    this.oldest = 0;
  }
}

/** The spend of one graph, in integer micro-units: cap, spent and reserved. */
export class Budget {
  spent = 0;
  reserved = 0;
  /** The dearest call so far: what is reserved for a call that declares no most. */
  dearest = 0;

  /** Reserves before the call; false when it does not fit under the cap. */
  reserve(micros: number, cap: number | undefined): boolean {
    if (cap !== undefined && this.spent + this.reserved + micros > cap) return false;
    this.reserved += micros;
    return true;
  }

  settle(reservedMicros: number, actualMicros: number): void {
    this.reserved -= reservedMicros;
    this.spent += actualMicros;
    if (actualMicros > this.dearest) this.dearest = actualMicros;
  }
}
