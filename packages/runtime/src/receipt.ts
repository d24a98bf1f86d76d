// receipt.ts: the record of one stop: per session and per call, what happened and when. What is not known is named, never
// left out (S10).

import type { Stop } from '@offswitch/core';
import type { AuditHead } from './audit/entry.ts';
import type { ReceiptGrant } from './grants/receipt-grant.ts';
import type { CallKind, CallOutcome } from './journal.ts';

/** The stages in the order in which they become true; shown to people by `stageNames`. */
export const stages = ['recorded', 'fenced', 'drained', 'revoked', 'done'] as const;
export type Stage = (typeof stages)[number];

/** What people read for each stage. */
export const stageNames: Readonly<Record<Stage, string>> = {
  recorded: 'recorded',
  fenced: 'nothing new starts',
  drained: 'work in flight finished',
  revoked: 'access revoked',
  done: 'done',
};

export interface ReceiptCall {
  /** `t3-2`: the second call of turn 3. */
  readonly id: string;
  readonly kind: CallKind;
  readonly name: string;
  /** `in-flight`: it runs on at the time of writing; a pause lets it finish. */
  readonly outcome: CallOutcome | 'in-flight';
  readonly idempotencyKey?: string;
}

export interface ReceiptSession {
  readonly session: string;
  readonly path: readonly string[];
  /** Who told it: the process that runs it, or ran it last. */
  readonly process?: string;
  readonly agent: string;
  readonly workflow: string;
  readonly user?: string;
  /**
   * `stopped`: terminated, for good. `paused`: rests at a turn boundary or waits on what rests. `already-ended`: had
   * settled before. `unconfirmed`: not known to be at rest; `why` says what is missing. `why` also says where an end is known
   * from the records of a process alone.
   */
  readonly state: 'stopped' | 'paused' | 'already-ended' | 'unconfirmed';
  readonly why?: string;
  /** The last completed turn, which is the checkpoint; 0 when none was completed. */
  readonly checkpointTurn: number;
  /** Of a terminated one: the SHA-256 digest (hex) of its bundle as it is stored (`offswitch forensics`), or why there is none. */
  readonly forensics?: { readonly digest: string } | { readonly missing: string };
  /** The calls of the turn that was interrupted; of one that was being run again from an earlier turn, those of that one too. */
  readonly calls: readonly ReceiptCall[];
}

export interface Receipt {
  /**
   * The stop's id; of a switch's stop with `.n`, above the position at which the switch was released before it (0: never). The same for as
   * long as it is in force, at whatever positions the switch is read engaged meanwhile; where a release before it is heard of only then, the
   * receipt goes on in one above that (`formerly`).
   */
  readonly id: string;
  readonly stop: Stop;
  /**
   * Receipts that go on in this one, and are not listed beside it: most often that of a flip which was latched before anybody had read it;
   * its stop is another one from the first reading on (docs/semantics.md), with the same receipt.
   */
  readonly formerly?: readonly string[];
  /** Epoch milliseconds at which each stage became true; absent: not yet. */
  readonly stages: Partial<Readonly<Record<Stage, number>>>;
  /** When each process knew that nothing new starts, by its own clock: what it wrote down itself is to be compared with no other. */
  readonly fences?: readonly { readonly process: string; readonly at: number }[];
  readonly sessions: readonly ReceiptSession[];
  /** Credentials lent to the sessions, by reference: what became of each, and how that is known. */
  readonly grants: readonly ReceiptGrant[];
  /** What this stop cannot promise, in plain words: unknown outcomes, sessions unconfirmed, storage that failed. */
  readonly residue: readonly string[];
  /** Epoch milliseconds. */
  readonly released?: number;
  /** The last entry of each process's audit chain when it wrote its part: what stands before it cannot be cut off unnoticed. */
  readonly audit?: readonly AuditHead[];
}

/** Is this the receipt that somebody means who names a receipt or a stop? */
export function isReceiptOf({ id, stop, formerly = [] }: Pick<Receipt, 'id' | 'stop' | 'formerly'>, name: string): boolean {
  return id === name || stop.id === name || formerly.some((one) => one === name || stopOfReceipt(one) === name);
}

/** The stop of a switch's receipt: its id goes without the `.n`. */
export function stopOfReceipt(id: string): string {
  return id.slice(0, id.lastIndexOf('.'));
}

/** What one process knows of a stop: its own sessions, its own stages. The receipt is all parts joined (receipt-join.ts). */
export interface ReceiptPart extends Receipt {
  readonly process: string;
  /** Epoch milliseconds at which it was written. */
  readonly at: number;
  /** Other processes that run sessions and were found to refuse under the stop: the receipt waits for what they have to say. */
  readonly others: readonly string[];
  /** Residue as long as the stage is not true in any part: why it is not true in this one. */
  readonly missing: Partial<Readonly<Record<'recorded' | 'fenced', readonly string[]>>>;
}
