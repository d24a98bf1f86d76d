import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KillSwitches } from '@offswitch/core';
import { createRuntime, folderStore, requestControl } from '@offswitch/runtime';
import { memorySource } from '@offswitch/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { deferred, settle, switches, world } from './world.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'offswitch-two-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const open = (): ReturnType<typeof createRuntime> =>
  createRuntime({
    switches: switches as KillSwitches,
    source: memorySource(switches as KillSwitches),
    store: folderStore(folder),
  });

describe('two processes on one folder', () => {
  test('confirm each other’s stops before they are called fenced, and a stop against a session of the other takes hold there (S10, I11)', async () => {
    const one = await open();
    const two = await open();
    try {
      const gate = deferred();
      const { id, outcome } = one.agent('alpha', (session) => session.turn(() => gate.promise)).start(undefined);
      // The second process does not run it; the command line reaches the one that does.
      const answers = await requestControl(folder, 'stop', { session: id, reason: 'runaway', by: 'ann' });
      expect(answers).toHaveLength(2);
      const receipt = answers.find((answer) => 'result' in answer)!;
      expect(receipt).toMatchObject({ result: { stages: { recorded: expect.any(Number), fenced: expect.any(Number) } } });
      expect((await outcome).status).toBe('terminated');
      expect(two.stops().map((stop) => [stop.action, stop.subject.sessionId])).toEqual([['terminate', id]]);
    } finally {
      await Promise.all([one.close(), two.close()]);
    }
  });

  test('do not take over each other’s sessions while both live', async () => {
    const one = await open();
    let entered = 0;
    const body = async (session: import('@offswitch/runtime').Session): Promise<void> => {
      entered += 1;
      await session.turn(() => new Promise(() => {}));
    };
    one.agent('alpha', body).start(undefined);
    const two = await open();
    try {
      two.agent('alpha', body);
      await new Promise((resolve) => setImmediate(resolve));
      await two.refresh();
      expect(entered).toBe(1);
      expect(two.sessions().map((session) => session.state)).toEqual(['elsewhere']);
    } finally {
      await Promise.all([one.close(), two.close()]);
    }
  });
});

describe('a receipt of a stop against a session of another process', () => {
  test('names it as unconfirmed until the process that runs it has said what became of it (S10)', async () => {
    const one = await world();
    const { id, outcome } = one.runtime.agent('alpha', (session) => session.turn(() => new Promise(() => {}))).start(undefined);
    await settle(one.clock);
    const two = await world({ store: one.store.share(), clock: one.clock, source: one.source as never });
    const early = await two.runtime.stop({ session: id, reason: 'r', by: 'ann' });
    expect(early.stages.drained).toBe(undefined);
    await settle(one.clock);
    const told = { id: early.id, sessions: [{ session: id, state: 'stopped' }], stages: { done: expect.any(Number) } };
    expect(await two.runtime.receipts()).toMatchObject([told]);
    expect((await outcome).status).toBe('terminated');
    await two.runtime.close();
    expect(await one.store.receipts()).toMatchObject([told]);
  });

  test('asks for many graphs at once, so that a folder of them is read once', async () => {
    const one = await world();
    const agent = one.runtime.agent('alpha', (session) => session.turn(() => new Promise(() => {})));
    for (let n = 0; n < 50; n++) agent.start(undefined);
    await settle(one.clock);
    const store = one.store.share();
    const { ends } = store.lineage;
    let asked = 0;
    const answer = deferred();
    store.lineage.ends = async (root, sessions) => {
      asked++;
      await answer.promise;
      return ends(root, sessions);
    };
    const two = await world({ store, clock: one.clock });
    two.source.engage('killswitch.global');
    await settle(one.clock);
    expect(asked).toBe(50);
    answer.resolve();
    await settle(one.clock);
    expect((await two.runtime.receipts())[0]!.sessions).toHaveLength(50);
  });

  test('learns in one reading how those ended that were let go of meanwhile, and asks again where it could not (S10)', async () => {
    const one = await world();
    const gate = deferred();
    const agent = one.runtime.agent('alpha', (session) => session.turn(() => gate.promise));
    const runs = [agent.start(undefined), agent.start(undefined)];
    await settle(one.clock);
    const store = one.store.share();
    const { ends } = store.lineage;
    // The records of the one that closes are not given to it.
    store.lineage.adopt = async () => ({ claims: [], journals: [] });
    const asked: (readonly string[])[] = [];
    store.lineage.ends = (root, sessions) => {
      asked.push(sessions);
      return asked.length === 1 ? Promise.reject(new Error('no answer in time')) : ends(root, sessions);
    };
    const two = await world({ store, clock: one.clock });
    gate.resolve();
    for (const { outcome } of runs) await outcome;
    // It says nothing of the stop that follows, which covers nobody of it any more.
    await one.runtime.close();
    two.source.engage('killswitch.global');
    await settle(one.clock);
    expect((await two.runtime.receipts())[0]!.stages.drained).toBe(undefined);
    await settle(one.clock, 2_000);
    const [receipt] = await two.runtime.receipts();
    expect(receipt!.stages.done).toBeDefined();
    expect(receipt!.sessions.map((told) => told.state)).toEqual(['already-ended', 'already-ended']);
    expect(asked.flat()).toHaveLength(3);
    await two.runtime.close();
  });
});
