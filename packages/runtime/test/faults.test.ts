// Faults of the source and of the store, one at a time: each is a clear error or a held session, never a lifted stop, never a
// process taken down (I13).

import { defineKillSwitches, type KillSwitches, type Reading, type SwitchSource } from '@offswitch/core';
import {
  type Alarm,
  type ControlHandler,
  createRuntime,
  memoryStore,
  openGate,
  type Receipt,
  type Session,
} from '@offswitch/runtime';
import { type ManualClock, manualClock, memorySource } from '@offswitch/testing';
import { describe, expect, test } from 'vitest';
import { deferred, settle, switches, world } from './world.ts';

const never = new Promise<never>(() => {});

function gateOver(source: SwitchSource, clock: ManualClock = manualClock(), alarms: Alarm[] = []) {
  return openGate({ switches, source, store: memoryStore(), clock, onAlarm: (alarm) => alarms.push(alarm) });
}
const subject = { workflow: 'alpha', sessionId: 's-1' } as const;

describe('a source', () => {
  test('whose open never settles keeps nobody waiting: the gate opens after 5 s, and holds (S5)', async () => {
    const clock = manualClock();
    const source = { ...memorySource(switches as KillSwitches), health: { state: 'starting', since: 0 }, open: () => never };
    const opening = gateOver(source as SwitchSource, clock);
    await clock.advance(6_000);
    expect(await (await opening).decide(subject)).toMatchObject({ action: 'pause', cause: 'unknown' });
  });

  test('that never answers is told of within a second of the first question (S5)', async () => {
    const clock = manualClock();
    const alarms: Alarm[] = [];
    const source = memorySource(switches as KillSwitches);
    const opening = gateOver({ ...source, health: source.health, read: () => never } as SwitchSource, clock, alarms);
    await clock.advance(1_000);
    const keys = switches.flags.map((flag) => flag.key);
    expect(keys.filter((key) => !alarms.some((alarm) => alarm.isActive && alarm.message.includes(key)))).toEqual([]);
    await clock.advance(5_000);
    await (await opening).close();
  });

  test('whose health, subscribe, refresh and close throw is a hold and no crash', async () => {
    const source = memorySource(switches as KillSwitches);
    const broken = (): never => {
      throw new Error('broken');
    };
    const hostile: SwitchSource = {
      ...source,
      get health(): never {
        return broken();
      },
      subscribe: source.subscribe,
      read: broken,
      refresh: broken,
      close: broken,
    };
    const clock = manualClock();
    const store = memoryStore();
    let isClosed = false;
    const { close } = store;
    store.close = async () => {
      isClosed = true;
      await close();
    };
    const runtime = await createRuntime({ switches, source: hostile, store, clock });
    const { id } = runtime.agent('alpha', async () => {}).start(undefined);
    await settle(clock, 120_000);
    expect(runtime.session(id)).toMatchObject({ state: 'parked', decision: { action: 'pause', cause: 'unknown' } });
    expect(runtime.status().source.health.state).toBe('stale');
    await runtime.refresh();
    await expect(runtime.close()).rejects.toMatchObject({ code: 'closed' });
    expect(isClosed).toBe(true);
  });

  test('that cannot be listened to is an error at start, and leaves nothing open', async () => {
    const source = memorySource(switches as KillSwitches);
    const clock = manualClock();
    let isClosed = false;
    const hostile = {
      ...source,
      health: source.health,
      subscribe: () => {
        throw new Error('no');
      },
      close: async () => {
        isClosed = true;
      },
    };
    await expect(gateOver(hostile as SwitchSource, clock)).rejects.toThrow(/no/);
    expect(isClosed).toBe(true);
    expect(clock.pending).toBe(0);
  });

  test('whose readings throw when looked at, or whose words are no words, decides nothing and takes nothing down', async () => {
    const source = memorySource(switches as KillSwitches);
    const position = { series: 'x', n: 1 };
    const trap = new Proxy({} as Record<string, unknown>, {
      get(_, key) {
        if (key === 'then') return undefined;
        throw new Error('trap');
      },
    });
    const clock = manualClock();
    const gate = await gateOver({ ...source, health: source.health, read: () => trap as unknown as Reading }, clock);
    expect(await gate.decide(subject)).toMatchObject({ action: 'pause', cause: 'unknown' });
    const odd = { state: 'engaged', origin: 'live', position, reason: { not: 'words' }, by: 7 } as unknown as Reading;
    const second = await gateOver(
      {
        ...source,
        health: source.health,
        read: (flag) => (flag.tier === 'global' ? odd : { state: 'released', origin: 'live', position }),
      },
      clock,
    );
    const decision = await second.decide(subject);
    expect(decision).toMatchObject({ action: 'pause', tier: 'global', cause: 'switch' });
    expect(decision.action !== 'run' && typeof decision.reason).toBe('string');
    expect(decision.action !== 'run' && ['string', 'undefined'].includes(typeof decision.by)).toBe(true);
  });

  test('a listener or alarm that throws lifts no stop and keeps nobody from hearing (I13)', async () => {
    const source = memorySource(switches as KillSwitches);
    const clock = manualClock();
    const gate = await openGate({
      switches,
      source,
      store: memoryStore(),
      clock,
      onAlarm: () => {
        throw new Error('listener');
      },
    });
    source.fail('killswitch.user', { state: 'unknown', cause: 'error', message: 'x' });
    source.engage('killswitch.global');
    await settle(clock);
    expect(await gate.decide(subject)).toMatchObject({ action: 'pause', tier: 'global' });
  });

  test('that has lost a flag does not have its last reading kept as if it were fresh (S5)', async () => {
    const first = await world({ bootstrapMaxAgeMs: 3_600_000 });
    first.source.remove('killswitch.feature.alpha');
    await settle(first.clock, 3 * 3_600_000);
    const blind = memorySource(switches as KillSwitches, { now: first.clock.now });
    const second = await first.restart({ source: { ...blind, health: blind.health, open: async () => {} } as never });
    const { id } = second.runtime.agent('alpha', async () => {}).start(undefined);
    await settle(second.clock);
    expect(second.runtime.session(id)?.decision).toMatchObject({ action: 'pause', cause: 'unknown' });
  });
});

describe('an ended session of a gate', () => {
  test('whose children go on is still reached by its switch, and they by it (S2)', async () => {
    const source = memorySource(switches as KillSwitches);
    const clock = manualClock();
    const gate = await gateOver(source, clock);
    await gate.decide({ workflow: 'alpha', sessionId: 'parent', userId: 'u-parent' });
    await gate.decide({ workflow: 'alpha', sessionId: 'child', parentId: 'parent', userId: 'u-child' });
    gate.end('parent');
    source.engage('killswitch.user', 'u-parent');
    await settle(clock);
    expect(await gate.decide({ workflow: 'alpha', sessionId: 'child' })).toMatchObject({ action: 'pause', tier: 'user' });
    source.release('killswitch.user', 'u-parent');
    await settle(clock);
    expect(await gate.decide({ workflow: 'alpha', sessionId: 'child' })).toMatchObject({ action: 'run' });
    source.engage('killswitch.instance', 'parent');
    await settle(clock);
    expect(await gate.decide({ workflow: 'alpha', sessionId: 'child' })).toMatchObject({ action: 'terminate' });
  });
});

describe('a stop learned from the store', () => {
  test('that the source has released since is read again at once, and released (S3, I14)', async () => {
    const one = await world();
    const store = one.store.share();
    await store.open();
    // Another process latched an engage at n, died, and the vendor has moved on.
    const { n } = one.source;
    one.source.engage('killswitch.user', 'somebody-else');
    one.source.release('killswitch.user', 'somebody-else');
    await settle(one.clock);
    await store.mark('switch.global.-.memory~', 'engaged', n, { reason: 'x', at: 0 }).catch(() => {});
    const { formatStopKey, seriesKey } = await import('@offswitch/runtime');
    const key = formatStopKey({ kind: 'switch', tier: 'global', subject: '-', series: seriesKey('memory:test') });
    await store.mark(key, 'engaged', n, {
      reason: 'by another process',
      at: one.clock.now(),
      subject: '',
      series: 'memory:test',
    });
    await settle(one.clock);
    expect(one.runtime.stops().filter((stop) => stop.id === key)).toEqual([]);
  });
});

describe('a store whose marks fail', () => {
  test('does not keep a stop from holding here; its receipt says so, and that it was recorded once it was (S3, S10)', async () => {
    const { runtime, store, clock } = await world({ effectDeadlineMs: 100 });
    const { id, outcome } = runtime.agent('alpha', (session: Session) => session.turn(() => never)).start(undefined);
    await settle(clock);
    const { mark } = store;
    let isBroken = true;
    store.mark = (...all) => (isBroken ? Promise.reject(new Error('EIO')) : mark(...all));
    const first = await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    expect((await outcome).status).toBe('terminated');
    expect(first.stages.recorded).toBeUndefined();
    expect(first.residue.join()).toContain('could not be written down');
    await settle(clock, 1_000);
    isBroken = false;
    await settle(clock, 2_000);
    const [receipt] = await runtime.receipts();
    expect(receipt!.stages.recorded).toBeDefined();
    expect(receipt!.residue.join()).not.toContain('could not be written down');
    expect((await store.stops()).map((stop) => stop.key)).toEqual([receipt!.stop.id]);
  });
});

describe('a gate whose store takes no mark', () => {
  test('says of a stop that it is in force, and not that it is recorded until it is (S3, S10)', async () => {
    const clock = manualClock();
    const store = memoryStore();
    let ask: ControlHandler | undefined;
    store.serve = async (handler) => {
      ask = handler;
      return '';
    };
    const gate = await openGate({
      switches,
      source: memorySource(switches as KillSwitches),
      store,
      clock,
      onAlarm: () => undefined,
    });
    await gate.decide(subject);
    const { mark } = store;
    store.mark = () => Promise.reject(new Error('EIO'));
    const told = (await ask!('stop', { session: 's-1', reason: 'odd', by: 'ann' })) as Receipt;
    expect([told.stages.recorded, told.stages.fenced]).toEqual([undefined, expect.any(Number)]);
    expect(told.residue.join()).toContain('could not be written down');
    expect(await gate.decide(subject)).toMatchObject({ action: 'terminate' });
    store.mark = mark;
    await settle(clock, 1_000);
    const [receipt] = (await ask!('receipts', {})) as Receipt[];
    expect(receipt).toMatchObject({ stages: { recorded: expect.any(Number) }, residue: [] });
    await gate.close();
  });
});

describe('a store that answers nobody', () => {
  test('keeps nobody waiting for a stop: after 10 s the receipt says what is not recorded and who may not refuse (S10)', async () => {
    const { runtime, store, clock } = await world();
    const { id, outcome } = runtime.agent('alpha', (session: Session) => session.turn(() => never)).start(undefined);
    await settle(clock);
    const { mark, lineage } = store;
    const { confirm } = lineage;
    store.mark = () => never;
    const stopping = runtime.stop({ session: id, reason: 'r', by: 'ann' });
    expect((await outcome).status).toBe('terminated');
    await settle(clock, 10_000);
    const unmarked = await stopping;
    expect(Object.keys(unmarked.stages)).toEqual([]);
    expect(unmarked.sessions).toMatchObject([{ session: id, state: 'stopped' }]);
    expect(unmarked.residue.join()).toContain('could not be written down');
    expect(unmarked.residue.join()).toContain('not known yet whether every other process refuses');

    store.mark = mark;
    lineage.confirm = () => never;
    const other = runtime.agent('beta', (session: Session) => session.turn(() => never)).start(undefined);
    await settle(clock);
    const again = runtime.stop({ session: other.id, reason: 'r', by: 'ann' });
    await settle(clock, 10_000);
    expect(Object.keys((await again).stages)).toEqual(['recorded']);
    lineage.confirm = confirm;
    await runtime.close();
  });

  test('leaves nobody waiting for a stop when the runtime is closed', async () => {
    const { runtime, store, clock } = await world();
    const { id } = runtime.agent('alpha', (session: Session) => session.turn(() => never)).start(undefined);
    await settle(clock);
    store.lineage.confirm = () => never;
    const stopping = runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock);
    await runtime.close();
    expect((await stopping).stages.fenced).toBeUndefined();
  });
});

describe('a store whose receipts fail', () => {
  test('keeps nobody from stopping, nor the process from starting (I13)', async () => {
    const store = memoryStore();
    store.writeReceipt = () => Promise.reject(new Error('EIO'));
    store.receipts = () => Promise.reject(new Error('EIO'));
    store.keepReadings = () => Promise.reject(new Error('EIO'));
    store.writeDocument = () => Promise.reject(new Error('EIO'));
    const { runtime, clock } = await world({ store });
    const { id, outcome } = runtime.agent('alpha', (session: Session) => session.turn(() => never)).start(undefined);
    await settle(clock);
    await runtime.stop({ session: id, reason: 'r', by: 'ann' });
    await settle(clock, 20_000);
    expect((await outcome).status).toBe('terminated');
    await runtime.close();
  });
});

describe('a wall clock that jumped back between the birth of a parent and of its child', () => {
  test('loses no child at the next start, and repeats none of its effects (S7, I9)', async () => {
    const first = await world();
    let sends = 0;
    const define = (here: Awaited<ReturnType<typeof world>>, gate: Promise<void>) => {
      const child = here.runtime.agent('child', (session: Session) =>
        session.turn(async (turn) => {
          await turn.tool('send', {}, () => void sends++);
          await turn.tool('wait', {}, () => gate, { effect: false });
        }),
      );
      return here.runtime.agent('alpha', (session: Session) =>
        session.turn(async (turn) => {
          first.clock.jump(-86_400_000);
          await turn.spawn(child, undefined);
        }),
      );
    };
    const { id } = define(first, never).start(undefined);
    await settle(first.clock);
    expect(sends).toBe(1);
    const second = await first.restart();
    const end = second.runtime.settled(id);
    define(second, Promise.resolve());
    await settle(second.clock);
    expect((await end).status).toBe('completed');
    expect(sends).toBe(1);
  });
});

describe('a detached session', () => {
  const detaching = defineKillSwitches({
    global: { authorized: ['a'] },
    features: { alpha: { authorized: ['a'] }, beta: { authorized: ['a'], mayDetach: true } },
    user: { authorized: ['a'] },
    instance: { authorized: ['a'] },
  });

  test('is reached by the tiers of those it left, also when they have ended and the process has restarted (S2, S4)', async () => {
    const clock = manualClock();
    const source = memorySource(detaching as KillSwitches, { now: clock.now });
    let store = memoryStore();
    let turns = 0;
    const gate = deferred();
    const start = async (until: Promise<void>) => {
      const runtime = await createRuntime({ switches: detaching, source, store, clock });
      const watcher = runtime.agent('alpha', async (session: Session) => {
        while (session.turnNumber < 3)
          await session.turn(async () => {
            turns++;
            await until;
          });
      });
      const middle = runtime.agent('middle', (session: Session) =>
        session.turn(async (turn) => turn.detach(watcher, undefined, { reason: 'watch', owner: 'ops' })),
      );
      const top = runtime.agent('beta', (session: Session) =>
        session.turn((turn) => turn.spawn(middle, undefined, { userId: 'u-2' })),
      );
      return { runtime, top };
    };
    const first = await start(never);
    expect((await first.top.run(undefined, { userId: 'u-1' })).status).toBe('completed');
    await settle(clock);
    const view = first.runtime.sessions()[0]!;
    expect(view).toMatchObject({ workflow: 'alpha', user: 'u-2', state: 'running' });
    // Live, those it left have ended: their switches are still read for it.
    source.engage('killswitch.user', 'u-1');
    await settle(clock);
    expect(first.runtime.session(view.id)?.decision).toMatchObject({ action: 'pause', tier: 'user' });
    source.release('killswitch.user', 'u-1');
    await settle(clock);
    source.engage('killswitch.feature.beta');
    await settle(clock);
    expect(first.runtime.session(view.id)?.decision).toMatchObject({ action: 'pause', tier: 'feature' });
    store = store.reopen();
    const second = await start(gate.promise);
    await settle(clock);
    expect(second.runtime.session(view.id)?.decision).toMatchObject({ action: 'pause', tier: 'feature' });
    source.release('killswitch.feature.beta');
    source.engage('killswitch.user', 'u-1');
    await settle(clock);
    expect(second.runtime.session(view.id)?.decision).toMatchObject({ action: 'pause', tier: 'user' });
    const end = second.runtime.settled(view.id);
    gate.resolve();
    source.release('killswitch.user', 'u-1');
    await settle(clock);
    expect((await end).status).toBe('completed');
    expect(turns).toBe(4);
  });
});
