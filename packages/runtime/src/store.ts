// store.ts: the port behind which state lives: stops, journals, receipts, last readings. A folder on this machine by
// default (folder/), memory for tests; a server where there is more than one machine.
//
// Nothing here decides. A store that cannot be trusted says so in its health, and the runtime holds (S5, I13).

import type { Marks } from '@offswitch/core';
import type { AuditLog } from './audit/audit-log.ts';
import type { BudgetStore } from './budget-store.ts';
import type { ForensicsStore } from './forensics/forensics-store.ts';
import type { GrantStore } from './grants/grant-record.ts';
import type { JournalRecord, Resolution } from './journal.ts';
import type { ChildNews, LineageStore } from './lineage-store.ts';
import type { Receipt, ReceiptPart } from './receipt.ts';

/** Who and why, kept beside a stop. Losing them loses words, not the stop. */
export interface StopDetails {
  readonly reason: string;
  readonly by?: string;
  /** Epoch milliseconds. */
  readonly at: number;
  /** The subject in clear; the stop's name may hold only its hash. */
  readonly subject?: string;
  /** The series in clear. */
  readonly series?: string;
  /** On a breaker's release: how much more is allowed, in the breaker's unit. */
  readonly allowance?: number;
}

export interface StoredStop {
  /** See stop-key.ts. */
  readonly key: string;
  readonly marks: Marks;
  /** Of the highest engaged mark. */
  readonly engaged?: StopDetails;
  /** Of the highest released mark. */
  readonly released?: StopDetails;
}

export interface StoreHealth {
  /** `ok`; `memory`: nothing survives this process, and a stop that was latched in the folder may be unknown here; `failed`: hold everything. */
  readonly state: 'ok' | 'memory' | 'failed';
  readonly why?: string;
  /** Nothing is written, whatever else is wrong: what this process is told is gone with it. The system's code: `EACCES`, `ENOSPC`. */
  readonly unwritable?: string;
}

/** The last definite reading of one flag for one subject, kept so that a vendor's outage during a deploy does not stop the fleet (S5). */
export interface KeptReading {
  readonly key: string;
  readonly state: 'engaged' | 'released';
  readonly series: string;
  readonly n?: number;
  /** Epoch milliseconds at which it was last confirmed by a live reading. */
  readonly at: number;
}

/** A session (as stop-key.ts names subjects) was taken up under this epoch. */
export interface StoreClaim {
  readonly session: string;
  readonly epoch: number;
}

export interface StoreChange {
  /** Stops whose marks changed by another process (or a person's hand). */
  readonly stops?: readonly StoredStop[];
  /** Stops whose marks somebody removed by hand. Removing them releases nothing (S4): they are being written again. */
  readonly lost?: readonly StoredStop[];
  readonly resolutions?: readonly Resolution[];
  /** Health may have changed. */
  readonly health?: StoreHealth;
  /** A process is gone, or may be: what it ran may be adopted, and what it had lent be taken back. */
  readonly isOrphaned?: true;
  /** It was restarted, or another server took over, and it may have lost what it had acknowledged last: grants and receipts are to be written again. */
  readonly isSetBack?: true;
  /** Local roots that another process took over while this one was cut off. */
  readonly takenOver?: readonly string[];
  /** Sessions that processes took up, told where claims and not the store decide who does. May name claims of this process too. */
  readonly claimed?: readonly StoreClaim[];
  /** Of sessions in other processes that calls of this one wait for. */
  readonly children?: readonly ChildNews[];
}

/** What was found when the store was opened. */
export interface StoreOpening {
  readonly stops: readonly StoredStop[];
  readonly resolutions: readonly Resolution[];
  readonly readings: readonly KeptReading[];
  /**
   * The highest claimed epoch of each session (as stop-key.ts names subjects): a process may have claimed a session and died
   * before it wrote anything down.
   */
  readonly claims: readonly { readonly session: string; readonly epoch: number; readonly alive: boolean }[];
  /**
   * Journals of graphs that are not known to be settled, one list per journal in the order of writing. `alive`: the process
   * that writes it is running, so its sessions are not ours to resume.
   */
  readonly journals: readonly { readonly process: string; readonly alive: boolean; readonly records: readonly JournalRecord[] }[];
}

/** A stop in force, as a process finds it that starts. */
export interface StopToGoOn {
  /** Of its receipt. */
  readonly id: string;
  /** It is never released, so once its receipt is done nothing is left to go on with. */
  readonly isForGood: boolean;
}

export interface StateStore {
  readonly name: string;
  /** The folder, for people. */
  readonly location?: string;
  /** Minted at open; names this process's journal. */
  readonly processId: string;
  /** Nothing here survives the process anyway: intents need not wait for a flush. */
  readonly volatile?: boolean;
  readonly health: StoreHealth;
  readonly lineage: LineageStore;
  /** Caps that several processes spend of. Without it a graph's cap holds in each process by itself, and there are no caps for users and workflows. */
  readonly budgets?: BudgetStore;
  /** Where credentials lent to sessions are written down; without it no broker can be used. */
  readonly grants?: GrantStore;
  /**
   * Reads everything. A damaged log (anything but an incomplete last record) or a failed disk gives health `failed` and never
   * an empty answer; an unwritable folder gives `memory` and says so. Rejects on bad configuration only.
   */
  open(options?: {
    /** This process runs sessions, so receipts wait for what it has to say of them. Default false: a gate, a command line. */
    readonly runsSessions?: boolean;
  }): Promise<StoreOpening>;
  /**
   * Latches or releases: one mark, grow-only, idempotent. Resolves when it is durable; the time of one flush whatever the
   * size of the graph. Rejects when it is not (the caller has applied it already and retries).
   */
  mark(key: string, side: 'engaged' | 'released', n: number, details: StopDetails): Promise<void>;
  /** The stops as they are stored now, others' marks included. */
  stops(): Promise<readonly StoredStop[]>;
  /**
   * Appends one record to this process's journal. `root`: the first session of its graph in this process, which may have come from another one.
   * When it returns, the record survives a kill -9 of the process. Throws `store_failed` when it could not be written whole, and every append
   * after that too.
   */
  append(root: string, record: JournalRecord): void;
  /** Resolves when everything appended so far survives a loss of power. One flush serves all who wait. */
  flush(): Promise<void>;
  /** Claims an epoch of a session for this process by exclusive creation; false when another had it first. */
  claim(session: string, epoch: number): boolean;
  /** This root and its subtree are settled: its records may be cleared away after the retention time. */
  forget(root: string): void;
  /** Records a person's word on a call of unknown outcome. Durable when it resolves. The first word stands; false when there was one. */
  resolve(resolution: Resolution): Promise<boolean>;
  /** This process's part of a receipt; what it wrote of it before is replaced. */
  writeReceipt(receipt: ReceiptPart): Promise<void>;
  /**
   * Newest first, the parts of all processes joined (receipt-join.ts). A part that cannot be read is left out, and `unread` told of it: its name
   * and why, in words for people. It is not the same as none (S10).
   */
  receipts(unread?: (what: string) => void): Promise<readonly Receipt[]>;
  /** What is written of these, by id, for a process that goes on with them; those left out that are for good and over (`isOver`). */
  receiptsToGoOn(stops: readonly StopToGoOn[]): Promise<ReadonlyMap<string, Receipt | undefined>>;
  keepReadings(readings: readonly KeptReading[]): Promise<void>;
  /** Small named documents for the command line: what is declared here and where the flags are. Atomic. */
  writeDocument(name: 'switches', value: unknown): Promise<void>;
  readDocument(name: 'switches'): Promise<unknown>;
  /** What an auditor asks for. Absent: this store keeps none. */
  readonly audit?: AuditLog;
  /** What is left of each terminated session. Absent: this store keeps none. */
  readonly forensics?: ForensicsStore;
  /** Tells of what other processes did. Returns the way to stop listening. */
  watch(listener: (change: StoreChange) => void): () => void;
  /**
   * Answers requests of the command line until closed, where the store is shared with other processes; the path of the local
   * socket. Listening is also what makes this process count as alive. `keepsAlive` (default true): it alone keeps the process running.
   */
  serve?(handler: ControlHandler, options?: { readonly keepsAlive?: boolean }): Promise<string>;
  close(): Promise<void>;
}

/** One request of the command line to a running process, and its answer, both plain JSON. A thrown error's code and message are sent back. */
export type ControlHandler = (method: string, params: Readonly<Record<string, unknown>>) => Promise<unknown>;
