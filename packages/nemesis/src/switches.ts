// switches.ts: what the workers declare, and what they are told at their start.

import { defineKillSwitches, type KillSwitches } from '@offswitch/core';

export const switches: KillSwitches<'job'> = defineKillSwitches({
  global: { authorized: ['nemesis'] },
  features: { job: { authorized: ['nemesis'] } },
  user: { authorized: ['nemesis'] },
  instance: { authorized: ['nemesis'] },
});

/** To a worker, as JSON in its environment (`NEMESIS`). */
export interface WorkerSetup {
  readonly name: string;
  readonly oracle: string;
  readonly flags: string;
  /** The state folder, where there is no Redis. */
  readonly folder: string;
  readonly redis?: string;
  readonly leaseMs: number;
  readonly seed: number;
  /** What each user may spend. */
  readonly capMicros: number;
  /** Which rule of the protocol its store or its broker breaks. */
  readonly broken?: string;
}

/** Where in its stop the process that carries it out can be killed: by itself, so that it is that very step. */
export const moments = [
  'before it is marked',
  'while it is marked',
  'latched',
  'confirmed',
  'revoking',
  'walked',
  'in the receipt',
] as const;
export type Moment = (typeof moments)[number];

/** To a worker, over its channel. */
export type Order =
  | { readonly type: 'peers'; readonly urls: readonly string[] }
  | { readonly type: 'start'; readonly jobs: number }
  | { readonly type: 'stop'; readonly id: number; readonly session: string; readonly dieAt?: Moment }
  | { readonly type: 'jump'; readonly ms: number }
  /** Lets go what a cap holds, and allows much more. */
  | { readonly type: 'raise' }
  | { readonly type: 'look'; readonly id: number }
  | { readonly type: 'receipts'; readonly id: number };

/** From a worker. */
export type News =
  | { readonly type: 'ready'; readonly url: string; readonly process: string }
  | { readonly type: 'began'; readonly session: string }
  | { readonly type: 'ended'; readonly session: string; readonly path: readonly string[]; readonly status: string }
  | { readonly type: 'alarm'; readonly message: string }
  /** Why a job failed. */
  | { readonly type: 'failed'; readonly session: string; readonly why: string }
  /** A moment of a stop came true, as this process says. `at`: by the machine's monotonic clock, in milliseconds. */
  | { readonly type: 'stage'; readonly stop: SaidStop; readonly stage: 'latched' | 'fenced' | 'revoked'; readonly at: number }
  /** `at`: the machine's monotonic clock, in milliseconds, when the stop was told to be fenced. */
  | { readonly type: 'stopped'; readonly id: number; readonly fenced: boolean; readonly at: number; readonly error?: string }
  | {
      readonly type: 'seen';
      readonly id: number;
      readonly sessions: readonly {
        readonly id: string;
        readonly path: readonly string[];
        readonly state: string;
        readonly doing: string;
      }[];
    }
  | { readonly type: 'receipts'; readonly id: number; readonly receipts: readonly SaidReceipt[] };

/** Whom a stop is against. */
export interface SaidStop {
  readonly action: 'pause' | 'terminate';
  readonly session?: string;
  readonly user?: string;
}

export interface SaidReceipt {
  readonly session: string;
  readonly stages: readonly string[];
  /** What it says of sessions that it does not know to be at rest, for people. */
  readonly unconfirmed: readonly string[];
  /** For a run that is red. */
  readonly residue: readonly string[];
}

/** The machine's monotonic clock: the same in all processes. Milliseconds. */
export function machineMs(): number {
  return Number(process.hrtime.bigint() / 1_000n) / 1_000;
}
