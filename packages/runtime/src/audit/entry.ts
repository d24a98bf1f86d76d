// entry.ts: one fact of the audit log, and how it is chained to the one before it.
//
// Who, what, when and why, by reference: ids, names, positions and the words of operators. Never an input, a result, a prompt or a
// secret, so that the log may be kept longer, and shown to more people, than what it tells of.

import type { StopAction, StopCause, Subject, Tier } from '@offswitch/core';
import type { GrantState } from '../grants/grant-record.ts';
import type { Stage } from '../receipt.ts';
import { canonical, sha256 } from './canonical.ts';

/** One entry of one chain, by its number and hash. Whoever keeps it notices when that entry, or any before it, is changed or gone. */
export interface AuditHead {
  readonly process: string;
  readonly n: number;
  /** SHA-256, hex. */
  readonly hash: string;
}

interface StopFact {
  /** The stop's id. */
  readonly stop: string;
  readonly cause: StopCause;
  readonly tier: Tier;
  readonly action: StopAction;
  readonly subject: Subject;
  readonly reason: string;
  readonly by?: string;
  /** Where in its history the source says so; without a series for acts. */
  readonly position?: { readonly series?: string; readonly n: number };
  /** Another process had made it durable; this one took it in. */
  readonly isLearned?: true;
}

export type AuditFact =
  /** The first of each chain. `heads`: of the chains found then that no other entry names yet; together they reach every chain. */
  | {
      readonly type: 'opened';
      readonly pid: number;
      readonly versions: { readonly offswitch: string; readonly node: string };
      readonly heads: readonly AuditHead[];
      /** The other chains could not be read, so none is named. */
      readonly unread?: string;
    }
  | ({ readonly type: 'stop-engaged' } & StopFact)
  | ({ readonly type: 'stop-released' } & StopFact)
  | { readonly type: 'stage'; readonly stop: string; readonly stage: Stage }
  /** A flip that our command line asked a source's control for. */
  | {
      readonly type: 'flip';
      readonly action: 'engage' | 'release';
      readonly switch: string;
      readonly tier: Tier;
      readonly subject?: string;
      readonly source: string;
      readonly outcome: 'done' | 'failed';
      readonly reason: string;
      readonly by: string;
      readonly position?: { readonly series?: string; readonly n?: number };
      readonly why?: string;
    }
  /** The command line wrote a mark of a stop into the store. */
  | {
      readonly type: 'mark';
      readonly stop: string;
      readonly side: 'engaged' | 'released';
      readonly n: number;
      readonly subject?: string;
      readonly reason: string;
      readonly by?: string;
    }
  | { readonly type: 'resumed'; readonly session: string; readonly by: string; readonly reason: string }
  /** `hasValue`: a result was handed over with it, which is not repeated here. */
  | {
      readonly type: 'resolved';
      readonly session: string;
      readonly call: string;
      readonly verdict: 'happened' | 'did-not';
      readonly by: string;
      readonly reason?: string;
      readonly hasValue: boolean;
    }
  /** A path from another process was refused. `count`: so many, of which the message is that of the last. */
  | { readonly type: 'refused'; readonly code: string; readonly message: string; readonly count?: number }
  /** `taken`: this process goes on with what one that is gone had left. `lost`: another took over what this one ran. The first 100 are named. */
  | { readonly type: 'takeover'; readonly side: 'taken' | 'lost'; readonly sessions: readonly string[]; readonly count: number }
  | {
      readonly type: 'grant';
      readonly grant: string;
      readonly session: string;
      readonly broker: string;
      readonly state: GrantState;
      readonly stop?: string;
    }
  /** The bundle of a terminated session was written. */
  | { readonly type: 'forensics'; readonly session: string; readonly stop?: string; readonly digest: string }
  /** So many facts were lost, because the log could not be written for so long. */
  | { readonly type: 'dropped'; readonly count: number }
  /** The process ended in order. */
  | { readonly type: 'closed' };

export type AuditEntry = AuditFact & {
  /** From 1, without a gap. */
  readonly n: number;
  /** Epoch milliseconds at which it was so. */
  readonly at: number;
  /** Whose chain it is. */
  readonly process: string;
  /** The hash of the entry before; 64 zeros in the first. */
  readonly prev: string;
  /** SHA-256 over the canonical JSON of all the rest. */
  readonly hash: string;
};

/** What the first entry of a chain follows. */
export const genesis: string = '0'.repeat(64);

export function sealEntry(fact: AuditFact, at: number, after: AuditHead | { readonly process: string }): AuditEntry {
  const { process } = after;
  const { n, hash: prev } = 'n' in after ? after : { n: 0, hash: genesis };
  const open = { ...bounded(fact), n: n + 1, at, process, prev };
  return { ...open, hash: sha256(canonical(open)) };
}

/** The hash that an entry should have. */
export function hashOf(entry: Readonly<Record<string, unknown>>): string {
  const { hash: _, ...open } = entry;
  return sha256(canonical(open));
}

export function headOf({ process, n, hash }: AuditEntry): AuditHead {
  return { process, n, hash };
}

/** Longest text taken in, UTF-16 units: as long as a reason may be. */
const longest = 2_000;

/** Only plain data goes in, and no endless text. */
function bounded<T>(value: T): T {
  return JSON.parse(
    JSON.stringify(value, (_, one: unknown) => (typeof one === 'string' && one.length > longest ? one.slice(0, longest) : one)),
  );
}
