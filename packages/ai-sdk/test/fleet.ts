// fleet.ts: a runtime in memory with time that moves by hand, a second life of it, and ways to wait without sleeping.

import { defineKillSwitches } from '@offswitch/core';
import { createRuntime, type JournalRecord, type MemoryStore, memoryStore, type Runtime } from '@offswitch/runtime';
import { type ManualClock, type MemorySource, manualClock, memorySource } from '@offswitch/testing';

export const switches = defineKillSwitches({
  global: { authorized: ['on-call'] },
  features: { letters: { authorized: ['on-call'] } },
  user: { authorized: ['support'] },
  instance: { authorized: ['on-call'] },
});

export interface Fleet {
  readonly runtime: Runtime;
  readonly source: MemorySource;
  readonly clock: ManualClock;
  readonly store: MemoryStore;
  /** Flips a switch and lets the runtime read it. */
  engage(key: string): Promise<void>;
  /** Releases it and gives what may go on the time to do so. */
  release(key: string): Promise<void>;
}

export async function fleet(before?: Fleet, options: { readonly breakers?: object } = {}): Promise<Fleet> {
  const clock = before?.clock ?? manualClock();
  const source = before?.source ?? memorySource(switches, { now: clock.now });
  const store = before ? before.store.reopen() : memoryStore();
  const runtime = (await createRuntime({ switches, source, store, clock, ...options })) as Runtime;
  return {
    runtime,
    source,
    clock,
    store,
    async engage(key) {
      source.engage(key, undefined, { reason: 'drill', by: 'test' });
      await clock.advance(100);
    },
    async release(key) {
      source.release(key);
      await clock.advance(1_000);
    },
  };
}

/** Lets everything that can go on go on; no timer of the fleet runs. */
export async function settle(rounds = 40): Promise<void> {
  for (let round = 0; round < rounds; round++) await new Promise((resolve) => setImmediate(resolve));
}

/** Waits for something that must become true without time passing. */
export async function until(what: string, isTrue: () => boolean): Promise<void> {
  for (let round = 0; round < 2_000; round++) {
    if (isTrue()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`it never came true: ${what}`);
}

export interface Gate {
  readonly reached: boolean;
  wait(): Promise<void>;
  open(): void;
}

/** A point at which the code under test waits until the test says so. */
export function gate(): Gate {
  let open!: () => void;
  let reached = false;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return {
    get reached() {
      return reached;
    },
    wait() {
      reached = true;
      return opened;
    },
    open: () => open(),
  };
}

/** How a session that may go on ends: the pacer, which spreads resumes over time, is given its time. */
export async function ended({ runtime, clock }: Pick<Fleet, 'runtime' | 'clock'>, session: string): Promise<unknown> {
  const end = runtime.settled(session);
  await clock.advance(1_000);
  return end;
}

/** Everything the journals of all lives hold. */
export async function recordsOf(store: MemoryStore): Promise<readonly JournalRecord[]> {
  const { journals } = await store.share().open();
  return journals.flatMap(({ records }) => records);
}
