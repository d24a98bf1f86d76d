// order.ts: one stop on its way: whom it covers, who is not at rest yet, and which stages are true.

import type { Stop } from '@offswitch/core';
import type { ReceiptGrant } from './grants/receipt-grant.ts';
import type { Member } from './graph.ts';
import { type Receipt, type Stage, stopOfReceipt } from './receipt.ts';
import type { StopEntry } from './stop-entry.ts';
import type { HeardAgain, Unheard } from './unheard.ts';

/** What is known of one stop on its way. */
export interface Order {
  /** Of its receipt. */
  id: string;
  readonly entry: StopEntry;
  /** The position at which it was engaged when it began here. */
  readonly engagedAt: number;
  /** Who and why may be known later than the stop itself. */
  stop: Stop;
  readonly stages: Partial<Record<Stage, number>>;
  /**
   * Receipts that go on in this one: a flip that was latched before anybody had read it, and the reading that it was taken over by, are
   * one stop; and so is one of which it was known only later where the switch had been released before it.
   */
  readonly formerly: Set<string>;
  /** Everybody it covers, live or not. */
  readonly covered: Map<string, Member>;
  /** Live ones that are not yet at rest, or not yet marked. */
  readonly waiting: Set<Member>;
  /** Settled before the stop came. */
  readonly ended: Set<Member>;
  /** Ended by this stop in another process, as its records say: that may not live to tell of it. */
  readonly endedElsewhere: Set<Member>;
  /** Registered by a process that had not begun it when it was cut off or died; under a terminate that is fenced nobody can begin it any more. */
  readonly neverBegun: Set<Member>;
  readonly missing: { recorded?: readonly string[]; fenced?: readonly string[] };
  /** Other processes that refuse under it and run sessions. */
  others: readonly string[];
  /** What was told last of each grant: the receipt outlives what is known here. */
  readonly grants: Map<string, ReceiptGrant>;
  /** The latch is neither durable nor known to have failed. */
  isLatching: boolean;
  isEnumerated: boolean;
  /** Of those that another process had when this one looked last, it is known whether they have ended since. */
  isElsewhereKnown: boolean;
  /** Whom it covers of processes that are not heard from; `undefined` while nobody has looked. */
  unheard: Unheard | undefined;
  /**
   * Named before as such, and heard of again, or left open by an earlier process: their processes have the next word, and where none lives to say
   * it, their records.
   */
  readonly heardAgain: Map<string, HeardAgain>;
  heardAgainTimer: unknown;
  heardAgainMs: number;
  isAskingUnheard: boolean;
  /** Some that had confirmed were not heard from, or run nothing. */
  isAskedAgain: boolean;
  unheardTimer: unknown;
  /** How often that could not be learned. */
  elsewhereTries: number;
  elsewhereTimer: unknown;
  elsewhereAgainMs: number;
  isDone: boolean;
  released: number | undefined;
  confirmTimer: unknown;
  writeTimer: unknown;
  writeAgainMs: number;
  /** A receipt too long to be written at once is being written. */
  isWriting: boolean;
  /** What is being written was overtaken by what has happened since. */
  isStale: boolean;
  /** How often the receipt had something new to say. */
  changes: number;
  /** What number of that the store has; -1: nothing. */
  written: number;
  /** The last writing of it failed. */
  isUnwritten: boolean;
  /** This process had come to the end of it, and forgotten it; it goes on for what was taken over since. */
  isAgain: boolean;
  /** What this process had told of it then, as the store has it; read with the first writing. */
  earlier: Promise<Pick<Receipt, 'sessions' | 'grants'>> | undefined;
  waiters: { readonly stage: Stage; readonly resolve: (receipt: Receipt) => void }[];
}

/** Residue of a stop whose latch has failed so far. */
export const unlatched =
  'The stop is in force here but could not be written down yet; it is retried. It would not survive this process.';

/** Residue of a stop while nobody has said yet who refuses under it. */
export const unfenced =
  'It is not known yet whether every other process refuses under the stop; they are asked on. A process that the store does not reach refuses by itself when its lease runs out.';

/** Did this stop, or what it goes on from, end a session that `stopId` ended? */
export function isOwn({ stop, formerly }: Order, stopId: string | undefined): boolean {
  if (stopId === undefined || stopId === stop.id) return stopId !== undefined;
  for (const id of formerly) if (stopOfReceipt(id) === stopId) return true;
  return false;
}

/**
 * The same switch engaged again is another stop with a receipt of its own. It goes by where the switch was released last: the position at which
 * it reads engaged grows with every edit of its flag, and no two processes need have read it at the same one.
 */
export function receiptId({ key, name, marks }: Pick<StopEntry, 'key' | 'name' | 'marks'>): string {
  return key.kind === 'switch' ? `${name}.${marks.released + 1}` : name;
}

/** What it was called before, by the position at which it was engaged; `undefined` where that is the same. */
export function olderReceiptId({ key, name, marks }: Pick<StopEntry, 'key' | 'name' | 'marks'>): string | undefined {
  return key.kind === 'switch' && marks.engaged !== marks.released + 1 ? `${name}.${marks.engaged}` : undefined;
}
