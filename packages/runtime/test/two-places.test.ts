// two-places.test.ts: a session that lives here and has something under it here that came by its path: two places, one session.

import { type Arrival, type Gate, memoryStore, newPathKey, type Outcome, openGate, pathKeysFromEnv } from '@offswitch/runtime';
import { memorySource } from '@offswitch/testing';
import { describe, expect, test } from 'vitest';
import { formatStopKey, subjectKey } from '../src/stop-key.ts';
import { deferred, settle, switches, type Workflows, world } from './world.ts';

const pathKeys = pathKeysFromEnv({ OFFSWITCH_PATH_KEYS: newPathKey() });
const terminate = (session: string): string =>
  formatStopKey({ kind: 'act', cause: 'operator', action: 'terminate', tier: 'instance', subject: subjectKey(session), id: 'o' });
const words = (subject: string) => ({ reason: 'odd', by: 'ann', at: 1, subject });

describe('a stop of a session reaches what it started in its own process by its path (S2, I1)', () => {
  test.each([
    ['while it runs', false],
    ['also when it has ended', true],
  ])('%s', async (_, hasEnded) => {
    const one = await world({ pathKeys });
    const two = await world({ pathKeys, store: one.store.share(), clock: one.clock, source: one.source });
    const [go, mayEnd] = [deferred(), deferred()];
    let calls = 0;
    let upper = '';
    let lowerRun: Promise<Outcome> | undefined;
    const lower = two.runtime.agent('beta', (session) =>
      session.turn(async (turn) => {
        await turn.tool('first', {}, () => calls++);
        await go.promise;
        await turn.tool('second', {}, () => calls++);
      }),
    );
    const middle = two.runtime.agent('alpha', (session) => {
      upper = session.id;
      return session.turn((turn) =>
        turn.tool(
          'start',
          {},
          async () => {
            const parent = await two.runtime.accept((await session.carry()).headers);
            lowerRun = lower.run(undefined, { parent });
            await mayEnd.promise;
          },
          { delegates: true },
        ),
      );
    });
    let middleRun: Promise<Outcome> | undefined;
    const root = one.runtime.agent('alpha', (session) =>
      session.turn((turn) =>
        turn.tool(
          'ask',
          {},
          async () => {
            const parent = await two.runtime.accept((await session.carry()).headers);
            middleRun = middle.run(undefined, { parent });
            await new Promise(() => {});
          },
          { delegates: true },
        ),
      ),
    );
    root.start(undefined);
    await settle(one.clock);
    expect(calls).toBe(1);
    if (hasEnded) {
      mayEnd.resolve();
      await settle(one.clock, 1_000);
      expect((await middleRun)!.status).toBe('completed');
    }
    await one.store.mark(terminate(upper), 'engaged', 0, words(upper));
    await settle(one.clock, 1_000);
    go.resolve();
    await settle(one.clock, 1_000);
    expect(calls).toBe(1);
    expect((await lowerRun)!.status).toBe('terminated');
  });
});

describe('a gate refuses what stands under a stopped session by a path (S2)', () => {
  const open = (store = memoryStore()): Promise<Gate<Workflows>> =>
    openGate<Workflows>({ switches, source: memorySource(switches), store, pathKeys, onAlarm: () => {} });
  const ask = async (gate: Gate<Workflows>, sessionId: string, parent?: Arrival): Promise<string> =>
    (await gate.decide({ workflow: 'alpha', sessionId, ...(parent ? { parent } : {}) })).action;
  const stopped = async (store: ReturnType<typeof memoryStore>, session: string): Promise<void> => {
    const other = store.share();
    await other.open();
    await other.mark(terminate(session), 'engaged', 0, words(session));
  };

  test('also when that has ended here', async () => {
    const store = memoryStore();
    const gate = await open(store);
    await ask(gate, 'upper');
    expect(await ask(gate, 'lower', await gate.accept((await gate.carry('upper')).headers))).toBe('run');
    gate.end('upper');
    await stopped(store, 'upper');
    expect(await ask(gate, 'lower')).toBe('terminate');
    await gate.close();
  });

  test('also when another that came by the same path has ended', async () => {
    const store = memoryStore();
    const gate = await open(store);
    await ask(gate, 'upper');
    const carrier = (await gate.carry('upper')).headers;
    expect(await ask(gate, 'first', await gate.accept(carrier))).toBe('run');
    expect(await ask(gate, 'second', await gate.accept(carrier))).toBe('run');
    gate.end('upper');
    gate.end('first');
    await stopped(store, 'upper');
    expect(await ask(gate, 'second')).toBe('terminate');
    await gate.close();
  });

  test('also when that asks here itself, after what stands under it has', async () => {
    const store = memoryStore();
    const [there, here] = [await open(store), await open(store.share())];
    await ask(there, 'upper');
    expect(await ask(here, 'lower', await here.accept((await there.carry('upper')).headers))).toBe('run');
    expect(await ask(here, 'upper')).toBe('run');
    await stopped(store, 'upper');
    expect([await ask(here, 'upper'), await ask(here, 'lower')]).toEqual(['terminate', 'terminate']);
    await there.close();
    await here.close();
  });
});
