// source-contract-meaning.ts: what each switch says, of whom, and when it says that it cannot tell.

import { defineKillSwitches, type Subject } from '@offswitch/core';
import { expect, test } from 'vitest';
import { definite, read } from './definite.ts';
import type { ContractKit } from './source-contract-kit.ts';
import { contractSwitches } from './source-harness.ts';

export function testMeaning({ opened, global, rewrite, scoring, user, instance, hasPositions }: ContractKit): void {
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

  test('holds a hundred thousand targets, each of them and nobody else (I7)', { timeout: 60_000 }, async ({ skip }) => {
    const harness = await opened();
    if (!harness.engageMany) skip('the harness cannot engage many at once');
    const targets = Array.from({ length: 100_000 }, (_, n) => `many-${n}`);
    await harness.engageMany!(user, targets);
    for (const userId of ['many-0', 'many-49999', 'many-99999'])
      expect([userId, (await definite(harness.source, user, { userId })).state]).toEqual([userId, 'engaged']);
    for (const userId of ['many-100000', 'many-', 'many', 'any-1', 'many-1 '])
      expect([userId, (await definite(harness.source, user, { userId })).state]).toEqual([userId, 'released']);
    expect(harness.source.health.state).toBe('fresh');
  });
}
