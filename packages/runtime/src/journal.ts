// journal.ts: what is written down of a session, so that a crash loses nothing and repeats nothing (S7, I9).
//
// A record is one fact, appended once and never changed. Folding a session's records in order of epoch and writing gives
// its checkpoint, the interrupted turn's calls and their ends.

import type { PathSegment } from './path/segment.ts';

/** What a call may do to the world, which decides what a crash in the middle of it means. */
export type CallClass =
  /** Reads only: run again. */
  | 'read'
  /** Safe to repeat with the same key: run again with it. */
  | 'idempotent'
  /** Changes the world (and every undeclared tool): never run again by us; without an end its outcome is unknown. */
  | 'effect'
  /** Only starts other governed calls: re-entered, its inner calls answer from the journal. */
  | 'delegates';

export type CallKind = 'model' | 'tool' | 'spawn';

/** How a call ended. `not-sent` is said only of a call whose body was never entered. `late` came after the stop: recorded, not delivered. */
export type CallOutcome = 'completed' | 'failed' | 'aborted' | 'not-sent' | 'late' | 'unknown';

interface Of {
  /** Session. */
  readonly s: string;
  /** Session epoch under which it was written: 1 at birth, one more at each resume after a crash or park. */
  readonly e: number;
  /** Epoch milliseconds. */
  readonly at: number;
}

export interface SessionRecord extends Of {
  readonly t: 'session';
  readonly root: string;
  /** Root first, the session itself last. */
  readonly path: readonly string[];
  readonly agent: string;
  readonly workflow: string;
  readonly user?: string | undefined;
  readonly conversation?: string | undefined;
  readonly input?: unknown;
  /** The call of the parent that started it. */
  readonly parentCall?: { readonly turn: number; readonly key: string } | undefined;
  /** Its body is the inside of its parent's call (no registered agent): replayed from its first turn, with the parent. */
  readonly inline?: true | undefined;
  /** It came from another process: who is above it, root first, its parent last. */
  readonly arrived?: (Above & { readonly call?: string }) | undefined;
  /** The terminated session whose work it takes up (S6). */
  readonly restartOf?: string;
  /** The session in whose name its calls' idempotency keys are made: its own, or the first of a line of restarts. */
  readonly keyScope?: string;
  readonly detached?:
    | {
        readonly from: string;
        readonly reason: string;
        readonly owner: string;
        /** Whom it left, from the nearest up: their switches still reach it when they are gone. */
        readonly left?: Left;
      }
    | undefined;
}

/** Whom a detached session left, from the nearest up: what the switches of their tiers are read for, each once. */
export type Left = readonly { readonly workflow?: string; readonly user?: string }[];

/** What stands above a session that came from another process. */
export interface Above {
  /** Root first, the parent last. */
  readonly segments: readonly PathSegment[];
  /** Whom the root was detached from. */
  readonly left?: Left;
}

export type JournalRecord =
  | SessionRecord
  /** A process took the session over: records of lower epochs written after this count for nothing. */
  | (Of & { readonly t: 'claim' })
  | (Of & { readonly t: 'turn'; readonly turn: number })
  | (Of & {
      readonly t: 'call';
      readonly turn: number;
      readonly key: string;
      /** What people call it: `t3-2` is the second call of turn 3. */
      readonly id: string;
      readonly kind: CallKind;
      readonly name: string;
      readonly class: CallClass;
      /** What it had reserved of a cap before it was sent. */
      readonly reserveMicros?: number;
      /** It was written down before; this says what it reserved now that it is made once more. */
      readonly isAgain?: true;
      /** The child session of a spawn. */
      readonly child?: string;
      /** In a restart: the child that this call had in the old run; the new one inherits from it. */
      readonly inheritsChild?: string;
    })
  | (Of & {
      readonly t: 'end';
      readonly turn: number;
      readonly key: string;
      readonly outcome: CallOutcome;
      readonly value?: unknown;
      readonly error?: string;
      readonly costMicros?: number;
    })
  /** `read`: the agent goes on from its checkpoint, so the turns up to it are not needed any more. */
  | (Of & { readonly t: 'checkpoint'; readonly turn: number; readonly read?: true; readonly state?: unknown })
  | (Of & { readonly t: 'turn-failed'; readonly turn: number; readonly error: string })
  | (Of & { readonly t: 'parked'; readonly stopId?: string })
  | (Of & {
      readonly t: 'settled';
      readonly status: 'completed' | 'terminated' | 'failed';
      readonly result?: unknown;
      readonly error?: string;
      readonly stopId?: string;
    });

/** Stable across resume and process, and across a restart of terminated work; different for every call that is meant to be another one. */
export function idempotencyKeyOf(record: SessionRecord, turn: number, key: string): string {
  return `${record.keyScope ?? record.s}/${turn}/${key}`;
}

/** What a person, or a declared probe, said of a call of unknown outcome. */
export interface Resolution {
  readonly session: string;
  /** `t3-2`. */
  readonly call: string;
  readonly verdict: 'happened' | 'did-not';
  /** The result to hand to the agent when it happened. */
  readonly value?: unknown;
  readonly by: string;
  /** How the person knows. */
  readonly reason?: string;
  readonly at: number;
}
