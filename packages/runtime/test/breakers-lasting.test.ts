// breakers-lasting.test.ts: nobody gets a fresh allowance by being parked, or by dying: every count, and what a release allowed,
// outlives both, in memory and in a folder (S4, "none resets itself").

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KillSwitches } from '@offswitch/core';
import {
  type Agent,
  createRuntime,
  folderStore,
  memoryStore,
  type Runtime,
  type Session,
  type Thresholds,
} from '@offswitch/runtime';
import { manualClock, memorySource } from '@offswitch/testing';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { deferred, switches, type Workflows } from './world.ts';

interface Kind {
  readonly thresholds: Thresholds;
  readonly step: (session: Session) => Promise<unknown>;
  /** Steps made before it trips, and in all before it trips again when two more were allowed. */
  readonly first: number;
  readonly second: number;
}
let helper: Agent<number, unknown>;

// A failure is known when its call has ended, all else before it is made; runs of failures and repetitions begin anew at a release.
const kinds: Record<'turns' | 'actions' | 'repeats' | 'tool-failures' | 'model turns' | 'children', Kind> = {
  turns: { thresholds: { turns: 3 }, first: 3, second: 5, step: (session) => session.turn(async () => {}) },
  actions: {
    thresholds: { actions: 3 },
    first: 3,
    second: 5,
    step: (session) => session.turn((turn) => turn.tool('send', { n: turn.number }, () => 1)),
  },
  repeats: {
    thresholds: { repeats: 3 },
    first: 3,
    second: 8,
    step: (session) => session.turn((turn) => turn.tool('look', { at: 'the same' }, () => 1, { effect: false })),
  },
  'tool-failures': {
    thresholds: { toolFailures: 3 },
    first: 4,
    second: 10,
    step: (session) =>
      session.turn((turn) =>
        turn.tool('flaky', {}, () => Promise.reject(new Error('503')), { effect: false }).catch(() => undefined),
      ),
  },
  // A second model call without a turn is a turn (S9).
  'model turns': {
    thresholds: { turns: 6 },
    first: 3,
    second: 4,
    step: (session) =>
      session.turn(async (turn) => {
        await turn.model('m', async () => 1);
        await turn.model('m', async () => 2);
      }),
  },
  // What a child does is charged to its parent.
  children: {
    thresholds: { actions: 3 },
    first: 3,
    second: 5,
    step: (session) => session.turn((turn) => turn.spawn(helper, turn.number)),
  },
};

const places: string[] = [];
afterEach(() => {
  for (const place of places.splice(0)) rmSync(place, { recursive: true, force: true });
});

const clock = manualClock();
let source = memorySource(switches as KillSwitches, { now: clock.now });

/** Opens one process after another over one state. */
function storesOf(kind: string): () => NonNullable<Parameters<typeof createRuntime>[0]['store']> {
  if (kind === 'memory') {
    let store: ReturnType<typeof memoryStore> | undefined;
    return () => (store = store ? store.reopen() : memoryStore());
  }
  const place = mkdtempSync(join(tmpdir(), 'ofs-'));
  places.push(place);
  return () => folderStore(join(place, 'state'), { clock });
}

async function open(store: ReturnType<ReturnType<typeof storesOf>>, breakers: Thresholds): Promise<Runtime<Workflows>> {
  source = memorySource(switches as KillSwitches, { now: clock.now });
  return createRuntime<Workflows>({ switches, clock, source, store, parkAfterMs: 1_000, breakers: { alpha: breakers } });
}

/** Lets time pass until it is so: a folder's own flush takes turns of the loop that nobody counts. */
async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 30_000 && !isSo(); i++) {
    await clock.advance(10);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(isSo()).toBe(true);
}

describe.each(['memory', 'folder'])('in a store in %s', (where) => {
  describe.each(Object.entries(kinds))('the count of %s', (_, { thresholds, step, first, second }) => {
    test.each(['a park', 'a crash'])('outlives %s, and so does what a release allowed', async (how) => {
      vi.spyOn(console, 'error').mockImplementation(() => {});
      const nextStore = storesOf(where);
      let runtime = await open(nextStore(), thresholds);
      const ran: number[] = [];
      let stopAt = 2;
      let gate = deferred();
      const define = () => {
        const life = runtime;
        helper = life.agent('helper', (session: Session, n: number) => session.turn((turn) => turn.tool('send', { n }, () => n)));
        return life.agent('alpha', async (session: Session) => {
          while (session.turnNumber < 50) {
            if (ran.length === stopAt) await gate.promise;
            if (life !== runtime) return;
            await step(session);
            ran.push(session.turnNumber);
          }
        });
      };
      const { id } = define().start(undefined);
      const state = () => runtime.session(id)?.state;
      const trip = () => runtime.stops().find((one) => one.cause === 'breaker');
      const interrupt = async (): Promise<void> => {
        await until(() => ran.length === stopAt);
        if (how === 'a park') {
          source.engage('killswitch.global');
          stopAt = 0;
          gate.resolve();
          await until(() => state() === 'parked');
          source.release('killswitch.global');
          return;
        }
        await runtime.close();
        runtime = await open(nextStore(), thresholds);
        stopAt = 0;
        define();
      };
      await interrupt();
      await until(() => trip() !== undefined);
      await until(() => state() === 'parked');
      expect(ran).toHaveLength(first);
      await runtime.release({ stop: trip()!.id, reason: 'worth it', by: 'ann', allowance: 2 });
      gate = deferred();
      stopAt = first + 1;
      await interrupt();
      await until(() => trip() !== undefined);
      await until(() => state() === 'parked');
      expect(ran).toHaveLength(second);
      await runtime.close();
      gate.resolve();
      vi.restoreAllMocks();
    });
  });
});

describe('a session that is parked again and again before its turn', () => {
  test('is charged for the turns that it begins, and not for the waiting', async () => {
    const runtime = await open(memoryStore(), { turns: 3, actions: 3 });
    const ran: number[] = [];
    const agent = runtime.agent('alpha', async (session: Session) => {
      while (session.turnNumber < 3)
        await session.turn(async (turn) => {
          await turn.tool('send', { n: turn.number }, () => void ran.push(turn.number));
        });
    });
    source.engage('killswitch.global');
    const { id } = agent.start(undefined);
    const end = runtime.settled(id);
    for (let i = 0; i < 10; i++) {
      await until(() => runtime.session(id)?.state === 'parked');
      source.release('killswitch.global');
      source.engage('killswitch.global');
      await clock.advance(20);
    }
    source.release('killswitch.global');
    await clock.advance(5_000);
    expect((await end).status).toBe('completed');
    expect(runtime.stops()).toEqual([]);
    expect(ran).toEqual([1, 2, 3]);
    await runtime.close();
  });
});
