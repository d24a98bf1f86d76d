// world.ts: a runtime in memory with a manual clock and a source that tests flip: what most tests here start from.

import { defineKillSwitches, type KillSwitches } from '@offswitch/core';
import {
  createRuntime,
  type MemoryStore,
  memoryStore,
  type Runtime,
  type RuntimeOptions,
  type StoreChange,
} from '@offswitch/runtime';
import { type ManualClock, type MemorySource, manualClock, memorySource } from '@offswitch/testing';

export const switches = defineKillSwitches({
  global: { authorized: ['on-call'] },
  features: {
    alpha: { authorized: ['on-call'] },
    beta: { authorized: ['on-call'], mayDetach: true },
  },
  user: { authorized: ['support'] },
  instance: { authorized: ['on-call'] },
});
export type Workflows = 'alpha' | 'beta';

export interface TestWorld {
  readonly runtime: Runtime<Workflows>;
  readonly source: MemorySource;
  readonly store: MemoryStore;
  readonly clock: ManualClock;
  /** A new process over the same memory, after the old one died without a word. */
  restart(options?: Partial<RuntimeOptions<Workflows>>): Promise<TestWorld>;
}

export async function world(options: Partial<RuntimeOptions<Workflows>> = {}): Promise<TestWorld> {
  const clock = (options.clock as ManualClock | undefined) ?? manualClock();
  const source = (options.source as MemorySource | undefined) ?? memorySource(switches as KillSwitches, { now: clock.now });
  const store = (options.store as MemoryStore | undefined) ?? memoryStore();
  const runtime = await createRuntime<Workflows>({ switches, parkAfterMs: 5_000, ...options, source, store, clock });
  return {
    runtime,
    source,
    store,
    clock,
    restart: (more = {}) =>
      world({ ...options, ...more, clock, source: (more.source as MemorySource | undefined) ?? source, store: store.reopen() }),
  };
}

/** A store in memory, and a way to tell whoever watches it what another process, or a loss, would. */
export function tellingStore(): { readonly store: MemoryStore; tell(change: StoreChange): void } {
  const store = memoryStore();
  const listeners: ((change: StoreChange) => void)[] = [];
  const { watch } = store;
  store.watch = (listener) => {
    listeners.push(listener);
    return watch.call(store, listener);
  };
  return {
    store,
    tell: (change) => {
      for (const listener of listeners) listener(change);
    },
  };
}

/** Lets everything that is ready happen: timers due now, promises, immediates. */
export async function settle(clock: ManualClock, ms = 50): Promise<void> {
  for (let i = 0; i < 6; i++) {
    await clock.advance(ms / 5);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A promise and its ends. */
export function deferred<T = void>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: unknown) => void } {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((done, fail) => {
    resolve = done;
    reject = fail;
  });
  return { promise, resolve, reject };
}
