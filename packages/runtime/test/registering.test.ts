// A store that keeps every session, and does not take one in; and a stop that is asked for while the runtime closes.

import { RuntimeError, type Session } from '@offswitch/runtime';
import { describe, expect, test } from 'vitest';
import { deferred, settle, tellingStore, world } from './world.ts';

describe('where the store keeps every session', () => {
  test('one that it does not take in waits, and that is said once', async () => {
    const { store } = tellingStore();
    Object.assign(store.lineage, { registersAll: true });
    const { register } = store.lineage;
    store.lineage.register = async () => {
      throw new RuntimeError('store_failed', 'away');
    };
    const { runtime, clock } = await world({ store });
    const alarms: string[] = [];
    runtime.subscribe((event) => {
      if (event.type === 'alarm') alarms.push(event.message);
    });
    const { id, outcome } = runtime.agent('alpha', async () => 1).start(undefined);
    for (let i = 0; i < 10; i++) await settle(clock, 1_000);
    expect(alarms).toEqual([`session ${id} waits: the store has not taken it in (RuntimeError: [store_failed] away)`]);
    store.lineage.register = register;
    await settle(clock, 1_000);
    expect((await outcome).status).toBe('completed');
  });

  test('whoever waits for a detached session that never begins, because another process detaches it, is told that nobody knows how it ended', async () => {
    const { store, tell } = tellingStore();
    Object.assign(store.lineage, { registersAll: true });
    const { register, find } = store.lineage;
    const { runtime, clock } = await world({ store });
    const mailer = runtime.agent('mailer', async () => 1);
    let detached!: string;
    store.lineage.register = async (registration) => {
      if (registration.agent !== 'mailer') return register.call(store.lineage, registration);
      detached = registration.session;
      throw new RuntimeError('store_failed', 'away');
    };
    const { id } = runtime
      .agent('beta', (session: Session) =>
        session.turn(async (turn) => {
          await turn.detach(mailer, undefined, { reason: 'later', owner: 'ann' });
          await new Promise(() => {});
        }),
      )
      .start(undefined);
    await settle(clock);
    const told: string[] = [];
    void runtime.settled(detached).catch(({ code }) => told.push(code));
    store.lineage.find = async (session, root) => {
      if (session === detached) return undefined;
      const found = await find.call(store.lineage, session, root);
      return found && { ...found, process: 'other' };
    };
    tell({ takenOver: [id] });
    await settle(clock, 60_000);
    expect(runtime.session(detached)).toBeUndefined();
    expect(told).toEqual(['unknown_session']);
  });

  test('a stop that asks it for the session while the runtime closes is refused, and leaves no timer', async () => {
    const { store } = tellingStore();
    Object.assign(store.lineage, { registersAll: true });
    const { runtime, clock } = await world({ store });
    const located = deferred<undefined>();
    const there = {
      session: 's-1',
      path: ['s-1'],
      agent: 'alpha',
      workflow: 'alpha',
      isLocalRoot: true,
      process: 'q',
      state: 'running',
    };
    store.lineage.locate = () => located.promise.then(() => there as never);
    const refused = expect(runtime.stop({ session: 's-1', reason: 'odd', by: 'ann' })).rejects.toMatchObject({ code: 'closed' });
    await runtime.close();
    located.resolve(undefined);
    await refused;
    expect(clock.pending).toBe(0);
  });

  test('many agents that are defined in one moment ask it once for what processes that are gone left', async () => {
    const { store } = tellingStore();
    Object.assign(store.lineage, { registersAll: true });
    const asked: (readonly string[])[] = [];
    const { adopt } = store.lineage;
    store.lineage.adopt = (agents) => {
      asked.push(agents);
      return adopt.call(store.lineage, agents);
    };
    const { runtime, clock } = await world({ store });
    await settle(clock);
    asked.length = 0;
    for (let i = 0; i < 20; i++) runtime.agent(`agent-${i}`, async () => 1);
    await settle(clock);
    expect(asked.map((agents) => agents.length)).toEqual([20]);
  });
});
