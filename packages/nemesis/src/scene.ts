// scene.ts: what a run consists of, and what is written down of what was done to it, for the judge.

import type { LocalRedis } from '@offswitch/testing';
import type { Fleet, Worker } from './fleet.ts';
import type { Random } from './random.ts';

/** A stop that somebody was told is fenced. */
export interface Fenced {
  readonly session: string;
  readonly at: number;
  readonly by: string;
}

/** From when a pause was asked for to when its release was. By the machine's monotonic clock. */
export interface Pause {
  readonly user: string | undefined;
  readonly from: number;
  readonly to: number;
}

export interface Redis {
  readonly server: LocalRedis;
  /** When its data was taken away: everything must hold from then on, and nothing can be expected to end. */
  emptiedAt: number | undefined;
}

export interface Scene {
  readonly redis: Redis | undefined;
  /** Where the state is when there is no Redis. */
  readonly folder: string;
  readonly random: Random;
  readonly fleet: Fleet;
  readonly fenced: Fenced[];
  /** Sessions that were to be terminated, whether or not anybody was told. */
  readonly doomed: Set<string>;
  readonly pauses: Pause[];
  /** What each user may spend until the nemesis has left. */
  readonly capMicros: number;
  /** When nobody could ask anybody: the store was away, or everybody was dead. By the machine's monotonic clock, in milliseconds. */
  readonly outages: { readonly from: number; readonly to: number }[];
  /** Wrong clocks, by worker: put right when the nemesis leaves. */
  readonly jumped: Map<Worker, number>;
  readonly flip: (kind: 'engage' | 'release', tier: 'global' | 'user', subject?: string) => Promise<void>;
}

/** Short, so that a run has many. Milliseconds. */
export const leaseMs = 600;

/** How long between two looks. Milliseconds. */
const lookAgainMs = 100;

/** What goes on, and never ends, is given up after so many times the time in which nothing moved. */
const longestTimes = 6;

/** Looks again and again until nothing is left to be told, or nothing of it has moved for so long: what was left then. */
export async function leftAfter(withinMs: number, look: () => Promise<readonly string[]>): Promise<readonly string[]> {
  const endsAt = Date.now() + longestTimes * withinMs;
  let seen = '';
  for (let until = Date.now() + withinMs; ; ) {
    const left = await look();
    // Thirty jobs in ten processes take two processors longer than any one of them may be stuck.
    if (left.join() !== seen) until = Math.min(endsAt, Date.now() + withinMs);
    seen = left.join();
    if (left.length === 0 || Date.now() > until) return left;
    await wait(lookAgainMs);
  }
}

export const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
