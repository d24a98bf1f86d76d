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

describe('a child at a gate that begins while its parent is being made known', () => {
  const child = (gate: Gate<Workflows>, sessionId = 'child', parentId = 'parent') =>
    gate.decide({ workflow: 'alpha', sessionId, parentId });
  /** Two gates, and the path of a root of the first at the second. */
  const arrived = async () => {
    const clock = manualClock();
    const store = memoryStore();
    const shared = store.share();
    const [there, here] = [await open({ store, clock }), await open({ store: shared, clock })];
    await ask(there, 'root');
    const parent = await here.accept((await there.carry('root')).headers);
    const close = async (): Promise<void> => {
      for (const gate of [there, here]) await gate.close();
    };
    return { clock, store, lineage: shared.lineage, there, here, parent, close };
  };
  const away = async () => {
    throw new RuntimeError('store_failed', 'away');
  };

  test('does not begin under one that is refused, nor does what it started (I2, S2)', async () => {
    const { there, here, parent, close } = await arrived();
    there.end('root');
    const refused = code(ask(here, 'parent', parent));
    const below = [code(child(here)), code(child(here, 'grandchild', 'child'))];
    expect(await Promise.all([refused, ...below])).toEqual(['root_settled', 'root_settled', 'root_settled']);
    expect(await child(here)).toMatchObject({ action: 'pause', reason: expect.stringContaining('has never asked this gate') });
    await close();
  });

  test('is held with it while the store fails, and is reached by a stop of the root when both have begun (S2, I1)', async () => {
    const { clock, store, lineage, here, parent, close } = await arrived();
    const { register } = lineage;
    lineage.register = away;
    const asked = [ask(here, 'parent', parent), child(here).then(({ action }) => action)];
    expect(await Promise.all(asked)).toEqual(['pause', 'pause']);
    lineage.register = register;
    // Whose child it is was fixed when it asked first, though it was held.
    expect([await ask(here, 'child'), await ask(here, 'parent')]).toEqual(['run', 'run']);
    await store.mark('act.operator.terminate.instance.root.o1', 'engaged', 0, { reason: 'r', by: 'ann', at: 1, subject: 'root' });
    await settle(clock);
    expect((await child(here)).action).toBe('terminate');
    await close();
  });

  test('is carried nowhere before both have begun, and neither is its parent (I1, I2)', async () => {
    const { there, lineage, here, parent, close } = await arrived();
    const { register } = lineage;
    lineage.register = away;
    await Promise.all([ask(here, 'parent', parent), child(here)]);
    expect([await code(here.carry('parent')), await code(here.carry('child'))]).toEqual(['store_failed', 'store_failed']);
    lineage.register = register;
    expect((await there.accept((await here.carry('child')).headers)).path).toEqual(['root', 'parent', 'child']);
    await close();
  });

  test('that was held with it is refused with it, and not taken up by another of its id (I2)', async () => {
    const { lineage, here, parent, close } = await arrived();
    const { register } = lineage;
    lineage.register = away;
    await Promise.all([ask(here, 'parent', parent), child(here)]);
    lineage.register = async () => ({ status: 'refused', code: 'root_unknown' });
    expect(await code(ask(here, 'parent'))).toBe('root_unknown');
    lineage.register = register;
    expect(await ask(here, 'parent', parent)).toBe('run');
    expect(await code(child(here))).toBe('root_unknown');
    expect((await child(here)).action).toBe('run');
    await close();
  });

  test('waits until its parent is known, and may go on then', async () => {
    const { clock, lineage, here, parent, close } = await arrived();
    const { register } = lineage;
    const answered = deferred();
    lineage.register = async (one) => {
      await answered.promise;
      return register.call(lineage, one);
    };
    const asked = ask(here, 'parent', parent);
    let action: string | undefined;
    const below = child(here).then((one) => {
      action = one.action;
    });
    await settle(clock);
    expect(action).toBeUndefined();
    answered.resolve();
    await Promise.all([asked, below]);
    expect(action).toBe('run');
    await close();
  });

  test('who asks again in the moment of a refusal waits for the new try, whenever the first one is over (S4)', async () => {
    for (let later = 0; later < 12; later++) {
      const { clock, lineage, here, parent, close } = await arrived();
      let tries = 0;
      lineage.register = async () => {
        if (tries++ > 0) return new Promise(() => {});
        let at: Promise<unknown> = Promise.resolve();
        for (let i = 0; i < later; i++) at = at.then(() => {});
        void at.then(() => ask(here, 'parent', parent));
        return away();
      };
      await ask(here, 'parent', parent);
      await settle(clock, 10);
      let answer: string | undefined;
      if (tries > 1)
        void ask(here, 'parent').then((action) => {
          answer = action;
        });
      await settle(clock, 10);
      expect([later, answer]).toEqual([later, undefined]);
      await close();
    }
  });

  test('is answered by no gate that was closed meanwhile: it hears of no stop any more (I1)', async () => {
    const { lineage, here, parent, close } = await arrived();
    const answer = deferred<never>();
    lineage.register = () => answer.promise;
    const asked = [code(ask(here, 'parent', parent)), code(child(here))];
    await close();
    answer.resolve({ status: 'registered' } as never);
    expect(await Promise.all(asked)).toEqual(['closed', 'closed']);
  });

  test('leaves nothing of what was refused for the command line to see', async () => {
    const clock = manualClock();
    const store = memoryStore();
    let handler: ((method: string, params: Record<string, unknown>) => Promise<unknown>) | undefined;
    const shared = Object.assign(store.share(), {
      serve: async (one: typeof handler) => {
        handler = one;
      },
    });
    const [there, here] = [await open({ store, clock }), await open({ store: shared as never, clock })];
    await ask(there, 'root');
    const parent = await here.accept((await there.carry('root')).headers);
    there.end('root');
    await Promise.all([code(ask(here, 'parent', parent)), code(child(here))]);
    expect(await handler!('sessions', {})).toEqual([]);
    for (const gate of [there, here]) await gate.close();
  });
});
