// source-contract.ts: what every switch source must hold, whoever wrote it. One exported suite, run by each adapter with a
// harness that can flip, break and lose the vendor behind it.

import { defineKillSwitches, type KillSwitches, type Reading, type Subject } from '@offswitch/core';
import { afterEach, describe, expect, test } from 'vitest';
import { activeResources, leaked } from './active-resources.ts';
import { definite, read } from './definite.ts';
import { contractSwitches, type SourceContractOptions, type SourceHarness } from './source-harness.ts';

/** Runs the contract. `make` gets the switches to seed and returns a fresh harness each time. */
export function describeSwitchSource(
  name: string,
  make: (switches: KillSwitches) => Promise<SourceHarness>,
  options: SourceContractOptions = {},
): void {
  const { global, user, instance } = contractSwitches;
  const rewrite = contractSwitches.feature('resume-rewrite');
  const scoring = contractSwitches.feature('batch-scoring');
  if (!user || !instance) throw new Error('the contract needs all four tiers');
  const hasPositions = options.positions ?? true;
  const open: SourceHarness[] = [];

  const opened = async (): Promise<SourceHarness> => {
    const harness = await make(contractSwitches);
    open.push(harness);
    await harness.source.open();
    return harness;
  };

  describe(`a switch source: ${name}`, () => {
    afterEach(async () => {
      for (const harness of open.splice(0)) {
        await harness.source.close();
        await harness.close();
      }
    });

    test('has a name, and says nothing definite before it is opened (S5)', async () => {
      const harness = await make(contractSwitches);
      open.push(harness);
      expect(harness.source.name).toMatch(/\S/);
      expect(harness.source.health.state).toBe('starting');
      expect((await read(harness.source, global, {})).state).toBe('unknown');
    });

    test('opens within its bound and is then fresh, by our own clock', async () => {
      const harness = await make(contractSwitches);
      open.push(harness);
      const before = Date.now();
      await harness.source.open();
      expect(Date.now() - before).toBeLessThan(options.openWithinMs ?? 5000);
      expect(harness.source.health.state).toBe('fresh');
      expect(Number.isFinite(harness.source.health.since)).toBe(true);
    });

    test('reads every switch released, live and with its series, when nothing was flipped', async () => {
      const { source } = await opened();
      for (const flag of contractSwitches.flags) {
        const reading = await definite(source, flag, { workflow: 'resume-rewrite', userId: 'u-1', sessionId: 's-1' });
        expect([flag.key, reading.state, reading.origin]).toEqual([flag.key, 'released', 'live']);
        expect(reading.position.series).toMatch(/\S/);
        expect(reading.position.n === undefined).toBe(!hasPositions);
      }
    });

    test('reads an engaged global switch engaged for everybody and nothing else (I7)', async () => {
      const harness = await opened();
      await harness.engage(global);
      expect((await definite(harness.source, global, {})).state).toBe('engaged');
      expect((await definite(harness.source, global, { userId: 'u-1', sessionId: 's-1' })).state).toBe('engaged');
      expect((await definite(harness.source, rewrite, { workflow: 'resume-rewrite' })).state).toBe('released');
      expect((await definite(harness.source, user, { userId: 'u-1' })).state).toBe('released');
      await harness.release(global);
      expect((await definite(harness.source, global, {})).state).toBe('released');
    });

    test('reads a workflow switch engaged without touching another workflow (I7)', async () => {
      const harness = await opened();
      await harness.engage(rewrite);
      expect((await definite(harness.source, rewrite, { workflow: 'resume-rewrite' })).state).toBe('engaged');
      expect((await definite(harness.source, scoring, { workflow: 'batch-scoring' })).state).toBe('released');
    });

    test('honours the polarity of each switch: with engagedWhen false, false is engaged', async () => {
      const harness = await opened();
      await harness.engage(scoring);
      expect((await definite(harness.source, scoring, { workflow: 'batch-scoring' })).state).toBe('engaged');
      await harness.release(scoring);
      expect((await definite(harness.source, scoring, { workflow: 'batch-scoring' })).state).toBe('released');
    });

    test('matches a user exactly: an id that differs in one character, in case or in length is somebody else (I7)', async () => {
      const harness = await opened();
      await harness.engage(user, 'user-10');
      expect((await definite(harness.source, user, { userId: 'user-10' })).state).toBe('engaged');
      for (const userId of ['user-1', 'user-100', 'user-11', 'User-10', 'user-10 ', 'ser-10', '10', 'user_10']) {
        expect([userId, (await definite(harness.source, user, { userId })).state]).toEqual([userId, 'released']);
      }
    });

    test('takes any printable id for what it is: __proto__, constructor, quotes, commas, Unicode', async () => {
      const harness = await opened();
      const ids = [
        '__proto__',
        'constructor',
        'toString',
        'a,b',
        'say "hi"',
        "o'neil",
        'grüße-日本-🙂',
        'with space',
        '{"var":"x"}',
      ];
      for (const userId of ids) expect((await definite(harness.source, user, { userId })).state).toBe('released');
      for (const userId of ids) {
        await harness.engage(user, userId);
        expect([userId, (await definite(harness.source, user, { userId })).state]).toEqual([userId, 'engaged']);
      }
      for (const userId of ['proto', 'a', 'b', 'hasOwnProperty', 'grüße-日本']) {
        expect([userId, (await definite(harness.source, user, { userId })).state]).toEqual([userId, 'released']);
      }
      await harness.release(user, '__proto__');
      expect((await definite(harness.source, user, { userId: '__proto__' })).state).toBe('released');
      expect((await definite(harness.source, user, { userId: 'constructor' })).state).toBe('engaged');
    });

    test('reads an instance switch engaged for the targeted session alone (I7)', async () => {
      const harness = await opened();
      await harness.engage(instance, 's-1');
      const around = { workflow: 'resume-rewrite', userId: 'u-1', conversationId: 'c-1' };
      expect((await definite(harness.source, instance, { ...around, sessionId: 's-1' })).state).toBe('engaged');
      expect((await definite(harness.source, instance, { ...around, sessionId: 's-2' })).state).toBe('released');
    });

    test('reads a scoped switch that is on for everybody engaged for a canary too, or says untargeted (S11)', async () => {
      const harness = await opened();
      await harness.turnOn(user);
      const reading = await read(harness.source, user, { userId: 'offswitch-canary-1' });
      if (reading.state === 'unknown') expect(reading.cause).toBe('untargeted');
      else expect(reading.state).toBe('engaged');
    });

    test('says unknown, never released, for a flag the vendor does not have (S5, S13)', async () => {
      const harness = await opened();
      const foreign = defineKillSwitches({ global: { authorized: ['a'], key: 'nobody.made.this' }, features: {} }).global;
      const reading = await read(harness.source, foreign, {});
      expect(reading).toMatchObject({ state: 'unknown', cause: 'not-found' });
      if (reading.state === 'unknown') expect(reading.message).toMatch(/\S/);
    });

    test('says unknown, never released, for an engaged switch whose flag was removed (S3)', async () => {
      const harness = await opened();
      await harness.engage(global);
      await harness.remove(global);
      expect(await read(harness.source, global, {})).toMatchObject({ state: 'unknown', cause: 'not-found' });
    });

    test('says unknown: wrong-type for a value that is no boolean, however much it looks like one', async () => {
      const harness = await opened();
      await harness.setWrongType(global);
      expect(await read(harness.source, global, {})).toMatchObject({ state: 'unknown', cause: 'wrong-type' });
    });

    test.runIf(hasPositions)('gives positions of one series that grow with every flip (S3)', async () => {
      const harness = await opened();
      const seen = [(await definite(harness.source, global, {})).position];
      for (const flip of ['engage', 'release', 'engage', 'release'] as const) {
        await harness[flip](global);
        seen.push((await definite(harness.source, global, {})).position);
      }
      expect(new Set(seen.map((position) => position.series)).size).toBe(1);
      const ns = seen.map((position) => position.n ?? Number.NaN);
      expect(ns).toEqual([...new Set(ns)].sort((a, b) => a - b));
    });

    test('tells listeners after the change can be read, and a throwing listener keeps nobody from hearing (I13)', async () => {
      const harness = await opened();
      const heard: (readonly string[] | undefined)[] = [];
      const states: (Reading | Promise<Reading>)[] = [];
      harness.source.subscribe(() => {
        throw new Error('a listener of somebody else');
      });
      harness.source.subscribe((change) => {
        heard.push(change.flagsChanged);
        states.push(harness.source.read(global, {}));
      });
      await harness.engage(global);
      expect((await Promise.all(states)).some((reading) => reading.state === 'engaged')).toBe(true);
      expect(heard.some((keys) => keys === undefined || keys.includes(global.key))).toBe(true);
    });

    test('tells a listener nothing any more once it stopped listening', async () => {
      const harness = await opened();
      let heard = 0;
      const stopListening = harness.source.subscribe(() => {
        heard++;
      });
      stopListening();
      stopListening();
      await harness.engage(global);
      expect(heard).toBe(0);
    });

    test('answers from what it knew, as cached and never live, while the vendor is lost (S3, I13)', async () => {
      const harness = await opened();
      await harness.engage(global);
      await harness.engage(user, 'u-1');
      const before = harness.source.health.since;
      await harness.lose();
      expect(harness.source.health.state).toBe('stale');
      expect(harness.source.health.since).toBeGreaterThanOrEqual(before);
      expect(harness.source.health.why).toMatch(/\S/);
      for (const [flag, subject, state] of [
        [global, {}, 'engaged'],
        [user, { userId: 'u-1' }, 'engaged'],
        [user, { userId: 'u-2' }, 'released'],
        [rewrite, { workflow: 'resume-rewrite' }, 'released'],
      ] as const) {
        const reading = await read(harness.source, flag, subject);
        if (reading.state === 'unknown') expect(state, 'an engaged switch was forgotten').toBe('released');
        else expect([flag.key, reading.state, reading.origin]).toEqual([flag.key, state, 'cached']);
      }
    });

    test('is fresh and live again once the vendor is back, with the same series', async () => {
      const harness = await opened();
      await harness.engage(global);
      const before = await definite(harness.source, global, {});
      await harness.lose();
      await harness.recover();
      expect(harness.source.health.state).toBe('fresh');
      const after = await definite(harness.source, global, {});
      expect([after.state, after.origin, after.position.series]).toEqual(['engaged', 'live', before.position.series]);
      await harness.release(global);
      expect(await definite(harness.source, global, {})).toMatchObject({ state: 'released', origin: 'live' });
    });

    test('never throws from read, whatever the subject (I13)', async () => {
      const { source } = await opened();
      const odd: unknown[] = [
        {},
        Object.create(null),
        { userId: undefined, sessionId: undefined },
        { userId: '' },
        { userId: 'x'.repeat(100_000) },
        { userId: 7, sessionId: null },
        { userId: ['u-1'], sessionId: { toString: null } },
        Object.freeze({ sessionId: '\u0000' }),
        null,
        undefined,
      ];
      for (const subject of odd) {
        for (const flag of contractSwitches.flags) await read(source, flag, subject as Subject);
      }
    });

    test('closes once and for all: idempotent, closed in health, nothing live any more', async () => {
      const harness = await opened();
      await harness.engage(global);
      await Promise.all([harness.source.close(), harness.source.close()]);
      await harness.source.close();
      expect(harness.source.health.state).toBe('closed');
      const reading = await read(harness.source, global, {});
      expect(reading.state === 'unknown' || reading.origin === 'cached').toBe(true);
    });

    test('closes even when it was never opened', async () => {
      const harness = await make(contractSwitches);
      open.push(harness);
      await harness.source.close();
      expect(harness.source.health.state).toBe('closed');
    });

    test('leaves no timer, socket or watcher behind', async () => {
      const before = activeResources();
      const harness = await make(contractSwitches);
      await harness.source.open();
      await harness.engage(global);
      await harness.lose();
      await harness.source.close();
      await harness.close();
      // Handles are freed in the loop's own close phase; the bound keeps a leak from becoming a hang.
      for (let turn = 0; turn < 200 && leaked(before).length > 0; turn++) await new Promise((resolve) => setImmediate(resolve));
      expect(leaked(before)).toEqual([]);
    });
  });
}
