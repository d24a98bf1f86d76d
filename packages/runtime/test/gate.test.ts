// Level 1: decisions and lineage for a loop of one's own.

import type { KillSwitches, Reading, SwitchSource } from '@offswitch/core';
import { defineKillSwitches } from '@offswitch/core';
import {
  type Gate,
  type GateOptions,
  type MemoryStore,
  memoryStore,
  newPathKey,
  openGate,
  pathKeysFromEnv,
} from '@offswitch/runtime';
import { type ManualClock, type MemorySource, manualClock, memorySource } from '@offswitch/testing';
import { describe, expect, test } from 'vitest';
import { settle, switches, type Workflows } from './world.ts';

async function gated(options: Partial<GateOptions<Workflows>> = {}) {
  const clock = (options.clock as ManualClock | undefined) ?? manualClock();
  const source = (options.source as MemorySource | undefined) ?? memorySource(switches as KillSwitches, { now: clock.now });
  const store = (options.store as MemoryStore | undefined) ?? memoryStore();
  const gate = await openGate<Workflows>({ switches, onAlarm: () => {}, ...options, source, store, clock });
  return { gate, clock, source, store };
}

/** A source of somebody else's making: whatever `read` says. */
const sourceOf = (read: (key: string) => unknown): SwitchSource => ({
  name: 'odd',
  health: { state: 'fresh', since: 0 },
  async open() {},
  read: (flag) => read(flag.key) as Reading,
  subscribe: () => () => {},
  async close() {},
});

const ask = (gate: Gate<Workflows>, sessionId: string, more = {}) =>
  gate.decide({ workflow: 'alpha', sessionId, userId: 'u-1', ...more });

describe('a gate', () => {
  test.each([
    ['killswitch.global', undefined, 'global', 'pause'],
    ['killswitch.feature.alpha', undefined, 'feature', 'pause'],
    ['killswitch.user', 'u-1', 'user', 'pause'],
    ['killswitch.instance', 's-1', 'instance', 'terminate'],
  ])('answers what an engaged %s means, and run when it is not', async (key, target, tier, action) => {
    const { gate, source, clock } = await gated();
    expect(await ask(gate, 's-1')).toEqual({ action: 'run' });
    source.engage(key, target, { reason: 'too hot', by: 'ann' });
    await settle(clock);
    expect(await ask(gate, 's-1')).toMatchObject({ action, tier, cause: 'switch', reason: 'too hot', by: 'ann' });
    const other = gate.admits({ workflow: 'alpha', userId: 'u-1' }).action;
    expect(other).toBe(tier === 'instance' ? 'run' : 'pause');
    source.release(key, target);
    await settle(clock);
    // A terminate is for good (S6); a pause is not (S1).
    expect((await ask(gate, 's-1')).action).toBe(action === 'terminate' ? 'terminate' : 'run');
  });

  test('lets a stop of the parent reach its children, and nobody whose id is one character off (S2, I7)', async () => {
    const { gate, source, clock } = await gated();
    await ask(gate, 'p-1');
    await ask(gate, 'c-1', { parentId: 'p-1' });
    await ask(gate, 'c-2', { parentId: 'c-1' });
    await ask(gate, 'p-10');
    await ask(gate, 'P-1');
    source.engage('killswitch.instance', 'p-1');
    await settle(clock);
    const actions = await Promise.all(['p-1', 'c-1', 'c-2', 'p-10', 'P-1'].map(async (id) => (await ask(gate, id)).action));
    expect(actions).toEqual(['terminate', 'terminate', 'terminate', 'run', 'run']);
  });

  test('holds a child whose parent it was never asked for, until it was (S2)', async () => {
    const { gate } = await gated();
    expect(await ask(gate, 'c-1', { parentId: 'p-1' })).toMatchObject({ action: 'pause', cause: 'unknown' });
    await ask(gate, 'p-1');
    expect((await ask(gate, 'c-1', { parentId: 'p-1' })).action).toBe('run');
  });

  test('remembers the stop of a session that ended and asks again (S6)', async () => {
    const { gate, source, clock } = await gated();
    await ask(gate, 's-1');
    source.engage('killswitch.instance', 's-1');
    await settle(clock);
    gate.end('s-1');
    gate.end('never asked');
    source.release('killswitch.instance', 's-1');
    await settle(clock);
    expect((await ask(gate, 's-1')).action).toBe('terminate');
  });

  test.each(['', 'a\nb', 'x'.repeat(10_000_000), null, 7, undefined])('refuses ids that no dashboard could hold', async (id) => {
    const { gate } = await gated();
    await expect(ask(gate, id as string)).rejects.toThrow(/invalid_id/);
    await expect(ask(gate, 's', { userId: id === undefined ? '' : id })).rejects.toThrow(/invalid_id/);
    await expect(ask(gate, 's', { parentId: id === undefined ? '' : id })).rejects.toThrow(/invalid_id/);
    await expect(gate.decide({ workflow: 'gamma' as never, sessionId: 's' })).rejects.toThrow(/unknown_workflow/);
  });

  test.each(['__proto__', 'constructor', 'ß-日本語-🙂', 'a b', '../../etc'])('takes %s for an ordinary id', async (id) => {
    const { gate, source, clock } = await gated();
    expect((await ask(gate, id, { userId: id })).action).toBe('run');
    source.engage('killswitch.instance', id);
    await settle(clock);
    expect((await ask(gate, id, { userId: id })).action).toBe('terminate');
    expect((await ask(gate, 'other')).action).toBe('run');
  });

  test('holds for a user switch that is on for everybody, and stops nobody (S11)', async () => {
    const { gate, source, store, clock } = await gated();
    await ask(gate, 's-1');
    source.turnOn('killswitch.user');
    await settle(clock);
    expect(await ask(gate, 's-1')).toMatchObject({ action: 'pause', cause: 'unknown' });
    expect(await store.stops()).toEqual([]);
    source.release('killswitch.user');
    await settle(clock);
    expect((await ask(gate, 's-1')).action).toBe('run');
  });

  test('closed leaves no timer behind and answers nothing more', async () => {
    const { gate, clock, source } = await gated();
    await ask(gate, 's-1');
    await gate.close();
    await gate.close();
    expect(clock.pending).toBe(0);
    expect(source.listenerCount).toBe(0);
    await expect(ask(gate, 's-1')).rejects.toThrow(/closed/);
  });
});

describe('a source that cannot be believed', () => {
  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('boom');
      },
    ],
    ['rejects', () => Promise.reject(new Error('boom'))],
    ['answers true', () => true],
    ['answers null', () => null],
    ['answers a boolean state', () => ({ state: false })],
    ['answers no position', () => ({ state: 'released', origin: 'live' })],
  ])('and %s is a hold (S5, I13)', async (_, read) => {
    const { gate } = await gated({ source: sourceOf(read) });
    expect(await ask(gate, 's-1')).toMatchObject({ action: 'pause', cause: 'unknown' });
    expect(gate.admits({ workflow: 'alpha' })).toMatchObject({ action: 'pause', cause: 'unknown' });
    await gate.close();
  });

  test('and never answers is a hold after 2 s, and keeps nobody waiting for ever (S5)', async () => {
    const clock = manualClock();
    const opening = gated({ source: sourceOf(() => new Promise(() => {})), clock });
    await clock.advance(20_000);
    const { gate } = await opening;
    const asked = ask(gate, 's-1');
    await clock.advance(20_000);
    expect(await asked).toMatchObject({ action: 'pause', cause: 'unknown' });
    await gate.close();
    expect(clock.pending).toBe(0);
  });

  test('and flaps a thousand times is read a bounded number of times for each session', async () => {
    const clock = manualClock();
    const source = memorySource(switches as KillSwitches, { now: clock.now });
    const { gate } = await gated({ clock, source });
    for (let n = 0; n < 20; n++) await ask(gate, `s-${n}`);
    let reads = 0;
    const { read } = source;
    Object.assign(source, {
      read: (...args: Parameters<typeof read>) => {
        if (args[1].sessionId?.startsWith('s-')) reads++;
        return read(...args);
      },
    });
    for (let n = 0; n < 500; n++) {
      source.engage('killswitch.global');
      source.release('killswitch.global');
    }
    await settle(clock);
    expect(reads).toBeLessThan(20 * 20);
    expect((await ask(gate, 's-1')).action).toBe('run');
  });

  test('does not hold where whenUnknown is run', async () => {
    const loose = defineKillSwitches({
      global: { authorized: ['a'], whenUnknown: 'run' },
      features: { alpha: { authorized: ['a'], whenUnknown: 'run' } },
    } as never) as unknown as typeof switches;
    const { gate } = await gated({ switches: loose, source: sourceOf(() => null) });
    expect((await gate.decide({ workflow: 'alpha', sessionId: 's' })).action).toBe('run');
    await gate.close();
  });
});

describe('a gate opened again while its source is lost', () => {
  const again = async (ageMs: number, engage: boolean) => {
    const first = await gated();
    if (engage) first.source.engage('killswitch.global');
    await settle(first.clock);
    const store = first.store.reopen();
    await first.clock.advance(ageMs);
    return gated({ clock: first.clock, store, source: sourceOf(() => null) });
  };
  test('permits what was read less than an hour ago (S5)', async () => {
    expect((await ask((await again(3_000_000, false)).gate, 's-1')).action).toBe('run');
  });
  test('holds when that is longer ago', async () => {
    expect(await ask((await again(3_700_000, false)).gate, 's-1')).toMatchObject({ action: 'pause', cause: 'unknown' });
  });
  test.each([0, 3_700_000])('keeps its stops, however old (S4)', async (ageMs) => {
    expect(await ask((await again(ageMs, true)).gate, 's-1')).toMatchObject({ action: 'pause', tier: 'global', cause: 'switch' });
  });
});

describe('a session that another process started, at a gate', () => {
  const pathKeys = pathKeysFromEnv({ OFFSWITCH_PATH_KEYS: newPathKey() });

  test('is reached by stops of everybody above it, and of nobody else (S2, I7)', async () => {
    const one = await gated({ pathKeys });
    const two = await gated({ pathKeys, store: one.store.share(), source: one.source, clock: one.clock });
    await ask(one.gate, 'p-1');
    await ask(one.gate, 'c-1', { parentId: 'p-1', userId: 'u-2' });
    await ask(one.gate, 'p-2');
    const parent = await two.gate.accept((await one.gate.carry('c-1')).headers);
    expect(parent).toMatchObject({ path: ['p-1', 'c-1'], workflow: 'alpha', userId: 'u-2' });
    const other = await two.gate.accept((await one.gate.carry('p-2')).meta);
    expect((await ask(two.gate, 'd-1', { parent })).action).toBe('run');
    expect((await ask(two.gate, 'd-2', { parent: other })).action).toBe('run');
    one.source.engage('killswitch.instance', 'p-1');
    await settle(one.clock);
    expect((await ask(two.gate, 'd-1')).action).toBe('terminate');
    expect((await ask(two.gate, 'e-1', { parentId: 'd-1' })).action).toBe('terminate');
    expect((await ask(two.gate, 'd-2')).action).toBe('run');
    // Carried on, the whole path goes along.
    const third = await one.gate.accept((await two.gate.carry('d-2')).env);
    expect(third.path).toEqual(['p-2', 'd-2']);
  });

  test('is refused under a root that is over, that never asked, or with a path that is none (S6)', async () => {
    const one = await gated({ pathKeys });
    await ask(one.gate, 'p-1');
    const { headers } = await one.gate.carry('p-1');
    const stranger = await gated({ pathKeys });
    await expect(stranger.gate.accept(headers)).rejects.toMatchObject({ code: 'root_unknown' });
    one.gate.end('p-1');
    await expect(one.gate.accept(headers)).rejects.toMatchObject({ code: 'root_settled' });
    await expect(one.gate.accept({})).rejects.toMatchObject({ code: 'path_missing' });
    await expect(one.gate.carry('nobody')).rejects.toMatchObject({ code: 'unknown_session' });
    await expect((await gated({ pathKeys: [] })).gate.accept(headers)).rejects.toMatchObject({ code: 'path_keys_missing' });
  });
});
