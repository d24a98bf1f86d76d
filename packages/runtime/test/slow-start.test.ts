// What the store tells while a process is still starting: a vendor may take its time to open.

import type { KillSwitches } from '@offswitch/core';
import { memoryStore, type Session } from '@offswitch/runtime';
import { manualClock, memorySource } from '@offswitch/testing';
import { describe, expect, test } from 'vitest';
import { deferred, settle, switches, type TestWorld, world } from './world.ts';

/** Begins to start a process on this store, whose source opens when it is told to. */
function starting(first: TestWorld, store: TestWorld['store']): { readonly opens: () => Promise<TestWorld> } {
  const source = memorySource(switches as KillSwitches, { now: first.clock.now });
  const { open } = source;
  const gate = deferred();
  source.open = async () => {
    await gate.promise;
    await open.call(source);
  };
  const started = world({ clock: first.clock, source, store });
  return {
    opens: () => {
      gate.resolve();
      return started;
    },
  };
}

describe('while a process starts', () => {
  test('the end of another one is heard of, and what that ran goes on here (S7)', async () => {
    const first = await world({ clock: manualClock(), store: memoryStore() });
    const body = (log: string[]) => async (session: Session) => {
      log.push(`turn ${session.turnNumber}`);
      await session.turn(() => new Promise(() => {}));
    };
    const { id } = first.runtime.agent('alpha', body([])).start(undefined);
    await settle(first.clock);
    const { opens } = starting(first, first.store.share());
    await settle(first.clock);
    // Dead at once, as after a kill -9.
    first.store.reopen();
    const second = await opens();
    const log: string[] = [];
    second.runtime.agent('alpha', body(log));
    await settle(second.clock);
    expect(log).toEqual(['turn 0']);
    expect(second.runtime.session(id)?.state).toBe('running');
  });

  test('a person’s word on a call of unknown outcome is heard, and its session goes on (S7)', async () => {
    const first = await world({ clock: manualClock(), store: memoryStore() });
    const body = async (session: Session) => session.turn((turn) => turn.tool('pay', {}, () => new Promise(() => {})));
    const { id } = first.runtime.agent('alpha', body).start(undefined);
    await settle(first.clock);
    const store = first.store.reopen();
    const { opens } = starting(first, store);
    await settle(first.clock);
    await store.share().resolve({ session: id, call: 't1-1', verdict: 'happened', by: 'ann', at: first.clock.now() });
    await settle(first.clock);
    const second = await opens();
    const ended = second.runtime.settled(id);
    second.runtime.agent('alpha', body);
    await settle(second.clock);
    expect(second.runtime.session(id)).toBeUndefined();
    expect((await ended).status).toBe('completed');
  });
});
