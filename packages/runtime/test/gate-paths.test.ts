// gate-paths.test.ts: what a gate makes of sessions that came from other processes, and of a path that it gives away.

import {
  type Arrival,
  type Gate,
  type GateOptions,
  type MemoryStore,
  memoryStore,
  newPathKey,
  openGate,
  pathKeysFromEnv,
  RuntimeError,
} from '@offswitch/runtime';
import { manualClock, memorySource } from '@offswitch/testing';
import { describe, expect, test } from 'vitest';
import { deferred, settle, switches, type Workflows, world } from './world.ts';

const pathKeys = pathKeysFromEnv({ OFFSWITCH_PATH_KEYS: newPathKey() });
const open = (options: Partial<GateOptions<Workflows>> = {}): Promise<Gate<Workflows>> =>
  openGate<Workflows>({
    switches,
    source: memorySource(switches),
    store: memoryStore(),
    pathKeys,
    onAlarm: () => {},
    ...options,
  });
const ask = async (gate: Gate<Workflows>, sessionId: string, parent?: Arrival): Promise<string> =>
  (await gate.decide({ workflow: 'alpha', sessionId, ...(parent ? { parent } : {}) })).action;
const refusedIn = async (store: MemoryStore): Promise<Record<string, unknown>[]> => {
  const entries = (await store.audit!.chains()).flatMap(({ lines }) => lines.map((line) => JSON.parse(line)));
  return entries.filter(({ type }) => type === 'refused');
};
const code = (promise: Promise<unknown>): Promise<unknown> => promise.catch((error: { code?: string }) => error.code);

describe('at a gate', () => {
  test('one call has one child: another session under its path is refused, the same one asks on', async () => {
    const one = await world({ pathKeys });
    let headers: object = {};
    const agent = one.runtime.agent('alpha', (session) =>
      session.turn((turn) =>
        turn.tool(
          'delegate',
          {},
          async () => {
            headers = (await session.carry()).headers;
            await new Promise(() => {});
          },
          { delegates: true },
        ),
      ),
    );
    agent.start(undefined);
    await settle(one.clock);
    const gate = await open({ store: one.store.share(), clock: one.clock });
    expect(await ask(gate, 'first', await gate.accept(headers))).toBe('run');
    expect(await code(ask(gate, 'second', await gate.accept(headers)))).toBe('session_elsewhere');
    expect(await ask(gate, 'first')).toBe('run');
    await gate.close();
  });

  test('an arrival begins nothing once the path was good no more, or its root has ended', async () => {
    const clock = manualClock();
    const store = memoryStore();
    const [there, here] = [await open({ store, clock }), await open({ store: store.share(), clock })];
    await ask(there, 'root');
    const late = await here.accept((await there.carry('root')).headers);
    expect(await ask(here, 'in-time', late)).toBe('run');
    await clock.advance(600_001);
    expect(await code(ask(here, 'late', late))).toBe('path_expired');
    const orphan = await here.accept((await there.carry('root')).headers);
    there.end('root');
    expect(await code(ask(here, 'orphan', orphan))).toBe('root_settled');
    expect(await ask(here, 'in-time')).toBe('run');
    await there.close();
    await here.close();
  });

  test.each([
    ['the path is good no more', 'path_expired'],
    ['the root has ended', 'root_settled'],
    ['the store has lost the root', 'root_unknown'],
  ] as const)(
    'a session that was accepted and is refused when %s is an entry of the audit log, however often it asked meanwhile',
    async (_, refusal) => {
      const clock = manualClock();
      const store = memoryStore();
      const shared = store.share();
      const [there, here] = [await open({ store, clock }), await open({ store: shared, clock })];
      await ask(there, 'root');
      const parent = await here.accept((await there.carry('root')).headers);
      if (refusal === 'path_expired') await clock.advance(600_001);
      if (refusal === 'root_settled') there.end('root');
      if (refusal === 'root_unknown') shared.lineage.register = async () => ({ status: 'refused', code: refusal });
      const asked = [ask(here, 'loop', parent)];
      if (refusal !== 'path_expired') asked.push(ask(here, 'loop'));
      expect(await Promise.all(asked.map(code))).toEqual(asked.map(() => refusal));
      await here.close();
      await there.close();
      expect(await refusedIn(store)).toMatchObject([{ code: refusal }]);
    },
  );

  test.each([
    ['and does not begin anew, is told of as ended', false, 'completed'],
    ['and begins anew, runs', true, 'running'],
  ])('a session that ends while it is made known %s', async (_, isAnew, state) => {
    const store = memoryStore();
    const there = await open({ store });
    await ask(there, 'root');
    const carrier = await there.carry('root');
    const hereStore = store.share();
    const { register } = hereStore.lineage;
    const answered = deferred();
    hereStore.lineage.register = async (one) => {
      await answered.promise;
      return register.call(hereStore.lineage, one);
    };
    const slow = await open({ store: hereStore });
    const parent = await slow.accept(carrier.headers);
    const asked = [ask(slow, 'loop', parent)];
    slow.end('loop');
    if (isAnew) asked.push(ask(slow, 'loop', parent));
    answered.resolve();
    await Promise.all(asked);
    expect((await store.lineage.find('loop', 'root'))?.state).toBe(state);
    for (const gate of [there, slow]) await gate.close();
  });

  test('a session that cannot be made known is held, and goes on when it can (S4)', async () => {
    const store = memoryStore();
    const shared = store.share();
    const [there, here] = [await open({ store }), await open({ store: shared })];
    await ask(there, 'root');
    const parent = await here.accept((await there.carry('root')).headers);
    const { register } = shared.lineage;
    shared.lineage.register = async () => {
      throw new RuntimeError('store_failed', 'away');
    };
    expect(await here.decide({ workflow: 'alpha', sessionId: 'lower', parent })).toMatchObject({
      action: 'pause',
      cause: 'unknown',
      reason: expect.stringContaining('away'),
    });
    shared.lineage.register = register;
    expect(await ask(here, 'lower', parent)).toBe('run');
    await there.close();
    await here.close();
  });

  test('a root that ends while it is being carried is carried nowhere', async () => {
    const store = memoryStore();
    const gate = await open({ store });
    await ask(gate, 'root');
    const carried = gate.carry('root');
    gate.end('root');
    expect(await code(carried)).toBe('unknown_session');
    expect((await store.lineage.find('root', 'root'))?.state ?? 'completed').toBe('completed');
    await gate.close();
  });

  test.each([
    ['two of one id', [pathKeys[0]!, pathKeys[0]!]],
    ['one that is too short', [{ id: 'k', secret: 'AAAA' }]],
  ])('path keys are checked before anything is opened: %s', async (_, keys) => {
    expect(await code(open({ pathKeys: keys }))).toBe('invalid_option');
    expect(await code(world({ pathKeys: keys }))).toBe('invalid_option');
  });
});
