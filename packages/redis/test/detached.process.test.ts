// detached.process.test.ts: a session that a turn detaches, over a real Redis, and a process that is gone in the middle of it: it is one
// session in the process that takes over.

import { defineKillSwitches } from '@offswitch/core';
import { createRuntime, type JournalRecord, type Runtime, type Session, type StateStore } from '@offswitch/runtime';
import { type LocalRedis, memorySource, startLocalRedis } from '@offswitch/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Fleet, fleet } from './fleet.ts';
import { describeRedis } from './real-redis.ts';
import { until } from './until.ts';

const switches = defineKillSwitches({
  global: { authorized: ['on-call'] },
  features: { alpha: { authorized: ['on-call'], mayDetach: true } },
  user: { authorized: ['on-call'] },
  instance: { authorized: ['on-call'] },
});
const never = () => new Promise<never>(() => {});

describeRedis('a detached session over Redis', () => {
  let redis: LocalRedis;
  let ships: Fleet;
  const open: Runtime[] = [];
  beforeEach(async () => {
    redis = await startLocalRedis();
    ships = await fleet(redis);
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((one) => one.close()));
    await ships.close();
    await redis.close();
  });

  /** A process that mails by a detached session; which sessions have mailed there. */
  async function started(store: StateStore, before?: () => Promise<void>) {
    const source = memorySource(switches);
    const runtime = await createRuntime({ switches, source, store });
    open.push(runtime);
    const mailed: string[] = [];
    const mailer = runtime.agent('mailer', (session: Session) =>
      session.turn(async (turn) => {
        await turn.tool('mail', {}, () => void mailed.push(session.id));
        await never();
      }),
    );
    const alpha = runtime.agent('alpha', (session: Session) =>
      session.turn(async (turn) => {
        if (before) await turn.tool('wait', {}, before, { effect: false });
        turn.detach(mailer, 'x', { reason: 'a letter', owner: 'ann' });
        await turn.tool('look', {}, never, { effect: false });
      }),
    );
    const stateOf = (name: string) => runtime.sessions().find(({ agent }) => agent === name)?.state;
    const mailers = () => runtime.sessions().flatMap(({ id, agent }) => (agent === 'mailer' ? [id] : []));
    return { runtime, source, alpha, mailed, mailers, stateOf };
  }

  describe('whose process is gone', () => {
    test.each([
      ['before its birth is written', (record: JournalRecord) => record.t === 'session' && record.agent === 'mailer', false],
      ['before it is registered', () => false, false],
      [
        'before the turn has its id',
        (record: JournalRecord) => record.t === 'end' || (record.t === 'call' && record.name === 'mail'),
        true,
      ],
    ] as const)(
      '%s is that one, and acts once (S7, I9)',
      async (_, isTooLate, isRegistered) => {
        const store = ships.store;
        const one = await started(store);
        const { append } = store;
        const { register } = store.lineage;
        let intended = '';
        let isDead = false;
        store.append = (root, record) => {
          if (record.t === 'call' && record.child !== undefined) intended = record.child;
          isDead ||= isTooLate(record);
          if (!isDead) append.call(store, root, record);
        };
        store.lineage.register = (registration) => {
          if (registration.agent === 'mailer' && !isRegistered) return never();
          return register.call(store.lineage, registration);
        };
        one.alpha.start('x');
        await until('it is under way', () => intended !== '' && (isDead || !isRegistered));
        await store.flush();
        await ships.kill(store);
        const two = await started(await ships.share());
        await until('it has mailed', () => two.mailed.length > 0);
        expect([two.mailed, two.mailers()]).toEqual([[intended], [intended]]);
        await until('the turn goes on', () =>
          two.runtime.sessions().some(({ agent, calls }) => agent === 'alpha' && calls.some(({ name }) => name === 'look')),
        );
        const [, second] = [...ships.proxies.keys()];
        await second!.flush();
        await ships.kill(second!);
        const three = await started(await ships.share());
        await until('both are taken over again', () => three.runtime.sessions().length === 2);
        await until('the turn goes on again', () =>
          three.runtime.sessions().some(({ agent, calls }) => agent === 'alpha' && calls.some(({ name }) => name === 'look')),
        );
        expect([three.mailed, three.mailers()]).toEqual([[], [intended]]);
      },
      60_000,
    );
  });

  /** A process that detaches a mailer while it is cut off; its mailer is not taken in by the store before it may be. */
  async function cutOff({ isIntentWritten }: { readonly isIntentWritten: boolean }) {
    const { store } = ships;
    const { append } = store;
    const { register } = store.lineage;
    const state = { intended: '', isTried: false, mayRegister: false };
    store.append = (root, record) => {
      if (record.t === 'call' && record.child !== undefined) state.intended = record.child;
      append.call(store, root, record);
    };
    store.lineage.register = async (registration) => {
      if (registration.agent === 'mailer') state.isTried = true;
      if (registration.agent === 'mailer' && !state.mayRegister) throw new Error('no answer');
      return register.call(store.lineage, registration);
    };
    let detaches = () => {};
    const mayDetach = new Promise<void>((resolve) => {
      detaches = resolve;
    });
    const one = await started(store, () => mayDetach);
    const { id } = one.alpha.start('x');
    await until('its turn is under way', () =>
      one.runtime.sessions().some(({ calls }) => calls.some(({ name }) => name === 'wait')),
    );
    await store.flush();
    if (!isIntentWritten) await ships.lease!.cut(store);
    detaches();
    await until('it has detached', () => state.intended !== '' && (state.isTried || !isIntentWritten));
    await ships.lease!.cut(store);
    return {
      ...one,
      id,
      intended: state.intended,
      isAway: () => ships.lease!.runOut(store),
      isBack: async () => {
        state.mayRegister = true;
        await ships.lease!.mend(store);
      },
      registers: () => {
        state.mayRegister = true;
      },
    };
  }

  describe('whose process was cut off before the store knew of it', () => {
    test.each(['goes on in another process', 'was stopped there, and goes on in another process'])(
      'and before the intent was written, is no more where the turn that detached it %s, which detaches it itself; nor is it waited for (S7, I9, S10)',
      async (how) => {
        const one = await cutOff({ isIntentWritten: false });
        if (how.startsWith('was stopped')) void one.runtime.stop({ session: one.id, reason: 'enough', by: 'ann' });
        await until('it is stopped', () => !how.startsWith('was stopped') || one.stateOf('alpha') === undefined);
        await one.isAway();
        const two = await started(await ships.share(), async () => {});
        await until('another one has mailed', () => two.mailed.length > 0);
        one.source.engage('killswitch.feature.alpha');
        await one.isBack();
        await until('it is let go of, or has mailed', () => one.mailers().length === 0 || one.mailed.length > 0);
        expect([one.mailed, two.mailed]).toEqual([[], two.mailers()]);
        expect(two.mailers()).not.toContain(one.intended);
        const named = (await one.runtime.receipts()).flatMap(({ sessions }) => sessions.map(({ session }) => session));
        expect(named).not.toContain(one.intended);
      },
      60_000,
    );

    test('is left to the process that has begun it by the intent that was written (S7, I14)', async () => {
      const one = await cutOff({ isIntentWritten: true });
      await one.isAway();
      const two = await started(await ships.share(), async () => {});
      await until('the same has mailed there', () => two.mailed.length > 0);
      await one.isBack();
      await until('it is the other’s', () => one.stateOf('mailer') === 'elsewhere');
      expect([one.mailed, two.mailed]).toEqual([[], [one.intended]]);
    }, 60_000);

    test('lives on where the one that detached it was only stopped meanwhile (S2)', async () => {
      const one = await cutOff({ isIntentWritten: true });
      void one.runtime.stop({ session: one.id, reason: 'enough', by: 'ann' });
      await until('it is stopped', () => one.stateOf('alpha') === undefined);
      await one.isBack();
      await until('it has mailed', () => one.mailed.length > 0);
      expect(one.mailed).toEqual([one.intended]);
    }, 60_000);

    test('is the one that its turn finds again when that comes back at once (S7, I14)', async () => {
      const { store } = ships;
      const one = await cutOff({ isIntentWritten: true });
      const looks: (() => void)[] = [];
      const { find } = store.lineage;
      store.lineage.find = async (session, root) => {
        const found = await find.call(store.lineage, session, root);
        // It is on its way while the turn comes back, and is out of date when it comes.
        if (session === one.intended) await new Promise<void>((resolve) => looks.push(resolve));
        return found;
      };
      await one.isAway();
      const other = await ships.share();
      other.lineage.find = never;
      const two = await started(other, async () => {});
      await until('its turn goes on elsewhere', () => two.stateOf('alpha') === 'running');
      await one.isBack();
      await until('it is asked whether the store knows it', () => looks.length > 0);
      await ships.kill(other);
      // What it does next, which goes on: that it asks for it may be over before anybody sees it.
      await until('its turn is back, and has asked for it', () =>
        one.runtime
          .sessions()
          .some(
            ({ agent, state, calls }) => agent === 'alpha' && state === 'running' && calls.some(({ name }) => name === 'look'),
          ),
      );
      for (const look of looks) look();
      await until('it has mailed', () => one.mailed.length > 0);
      expect([one.mailed, one.mailers()]).toEqual([[one.intended], [one.intended]]);
    }, 60_000);
  });
});
